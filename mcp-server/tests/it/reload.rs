//! New settings while the server runs: by signal, by a change of the file, and never by halves.

use std::{fs, path::Path, process::Stdio};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::{
    http::Http,
    mcp::{Client, Era, initialize, initialized, modern, post_modern, request},
    process::{Process, command, folder},
    stdio::Pipe,
    within,
};

async fn serve(data_dir: &Path, file: &Path) -> Process {
    let file = file.to_str().unwrap();
    let arguments = ["--listen", "127.0.0.1:0", "--config", file];
    Process::serve_with(data_dir, &arguments, &[]).await
}

fn results_max(results_max: u32) -> String {
    format!("memory: {{limits: {{results_default: 1, results_max: {results_max}}}}}\n")
}

/// Whether a search for 50 memories is accepted.
async fn accepts_fifty(client: &mut Client) -> bool {
    let found = client
        .call("memory_search", json!({"query": "x", "limit": 50}))
        .await;
    found["isError"] == false
}

#[tokio::test]
async fn on_sighup_limits_change_and_a_bad_file_changes_nothing() {
    let dir = folder();
    let file = dir.path().join("settings.yaml");
    fs::write(&file, results_max(5)).unwrap();
    let server = serve(dir.path(), &file).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    assert!(!accepts_fifty(&mut client).await);

    let connections = "http: {connections_max: 77}\n";
    fs::write(&file, results_max(60) + connections).unwrap();
    server.signal("HUP");
    server.log.line("in force: memory.limits.results_max").await;
    let line = server.log.line("before a restart").await;
    assert!(line.contains("http.connections_max"), "{line}");
    assert!(accepts_fifty(&mut client).await);

    for (bad, says) in [
        (
            "lanes: {cursor: {reservd: 1}}\n",
            "did you mean `reserved`?",
        ),
        (
            "lanes: {in_flight_max: 3}\n",
            "what the lanes reserve together",
        ),
        ("log: {filter: 'a=b=c'}\n", "is not a log filter"),
        (
            "memory: {limits: {content_bytes_max: 9000000}}\n",
            "answer_bytes_max",
        ),
    ] {
        fs::write(&file, bad).unwrap();
        server.signal("HUP");
        let line = server.log.line(says).await;
        assert!(line.contains("the settings stay as they are"), "{line}");
    }
    assert!(accepts_fifty(&mut client).await);

    // With nothing new to say it says so.
    fs::write(&file, results_max(60)).unwrap();
    server.signal("HUP");
    server.log.line("no setting has changed").await;
    assert!(accepts_fifty(&mut client).await);
}

#[tokio::test]
async fn a_change_of_the_file_is_noticed() {
    let dir = folder();
    let file = dir.path().join("settings.yaml");
    fs::write(&file, "").unwrap();
    let server = serve(dir.path(), &file).await;
    let mut connection = Http::connect(server.address).await;
    let long = modern(1, "tools/list", &json!({"pad": "x".repeat(2_000)}));
    assert_eq!(post_modern(&mut connection, &long).await.status(), 200);

    // Put in place as editors do.
    let draft = dir.path().join("draft");
    fs::write(
        &draft,
        "http: {body_bytes_max: 1000}\nlog: {filter: mcp_server=debug}\n",
    )
    .unwrap();
    fs::rename(&draft, &file).unwrap();
    let line = server.log.line("new settings are in force").await;
    assert!(line.contains("http.body_bytes_max, log.filter"), "{line}");
    assert_eq!(post_modern(&mut connection, &long).await.status(), 413);
    let mut client = Client::http(Era::Modern, server.address).await;
    client.call("memory_get", json!({"id": "x"})).await;
    server.log.line("tool=memory_get").await;
}

#[tokio::test]
async fn over_stdio_a_change_of_the_file_is_noticed_too() {
    let dir = folder();
    let file = dir.path().join("settings.yaml");
    fs::write(&file, results_max(5)).unwrap();
    let arguments = ["--config", file.to_str().unwrap()];
    let mut pipe = Pipe::start_with(dir.path(), &arguments, &[]);
    pipe.send(&initialize("2025-11-25")).await;
    pipe.receive().await;
    pipe.send(&initialized()).await;
    let arguments = json!({"query": "x", "limit": 50});
    let search = json!({"name": "memory_search", "arguments": arguments});
    let ask = async |pipe: &mut Pipe| -> Value {
        pipe.send(&request(1, "tools/call", &search)).await;
        pipe.receive().await["result"]["isError"].clone()
    };
    assert_eq!(ask(&mut pipe).await, true);
    fs::write(&file, results_max(60)).unwrap();
    pipe.log.line("new settings are in force").await;
    assert_eq!(ask(&mut pipe).await, false);
}

/// Without a file there is nothing new, and the signal does no harm.
#[tokio::test]
async fn without_a_file_sighup_changes_nothing() {
    let dir = folder();
    let server = Process::serve(dir.path()).await;
    server.signal("HUP");
    server.log.line("no setting has changed").await;
    let mut client = Client::http(Era::Modern, server.address).await;
    assert!(accepts_fifty(&mut client).await);
}

/// Nobody may read the log any more, as when a terminal is closed.
#[tokio::test]
async fn the_server_outlives_its_log() {
    let dir = folder();
    let mut child = command()
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log",
            "mcp_server=debug",
        ])
        .arg("--data-dir")
        .arg(dir.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = loop {
        let line = within("a line", lines.next_line()).await.unwrap().unwrap();
        if let Some((_, rest)) = line.split_once("ready: http://") {
            break rest.split_once("/mcp").unwrap().0.parse().unwrap();
        }
    };
    drop(lines);
    let mut client = Client::http(Era::Modern, address).await;
    for _ in 0..3 {
        client.ok("memory_add", json!({"content": "x"})).await;
    }
    assert!(child.try_wait().unwrap().is_none());
}
