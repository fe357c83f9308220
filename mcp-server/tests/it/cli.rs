//! The command line: what can be set and how, and what a mistake is answered with.

use std::fs;

use serde_json::json;
use tokio::net::TcpListener;

use crate::support::{
    http::Http,
    mcp::{Client, Era},
    process::{Process, folder, refused, run, stderr, stdout},
};

#[tokio::test]
async fn help_shows_examples() {
    let output = run(&["--help"], &[]).await;
    assert_eq!(output.status.code(), Some(0));
    let help = stdout(&output);
    for part in [
        "Examples:",
        "mcp-server serve",
        "mcp-server stdio --client cursor",
        "MCP_SERVER__HTTP__LISTEN",
        "--data-dir",
        "--config",
    ] {
        assert!(help.contains(part), "{part:?} is not in {help}");
    }
    let output = run(&["serve", "--help"], &[]).await;
    assert!(
        stdout(&output).contains("127.0.0.1:7420"),
        "{}",
        stdout(&output)
    );
    let output = run(&["--version"], &[]).await;
    assert_eq!(
        stdout(&output).trim(),
        format!("mcp-server {}", env!("CARGO_PKG_VERSION"))
    );
}

#[tokio::test]
async fn wrong_usage_is_said_to_be_wrong() {
    for (arguments, says) in [
        (&["server"][..], "'serve'"),
        (&["serve", "--liste", "127.0.0.1:0"], "'--listen'"),
        (&["serve", "--listen", "7420"], "invalid socket address"),
        (
            &["serve", "--listen", "127.0.0.1:99999"],
            "invalid socket address",
        ),
        (&["serve", "extra"], "extra"),
        (&["stdio", "--listen", "127.0.0.1:0"], "--listen"),
    ] {
        refused(arguments, &[], 2, &[says]).await;
    }
    let output = run(&[], &[]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("Usage:"), "{}", stderr(&output));
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_to_be_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let dir = folder();
    let data = dir.path().join("data");
    let arguments = [
        "serve",
        "--listen",
        &address,
        "--data-dir",
        data.to_str().unwrap(),
    ];
    refused(&arguments, &[], 1, &[&address, "in use", "--listen"]).await;
    assert!(!data.exists(), "nothing was touched");
}

#[tokio::test]
async fn an_unknown_setting_is_named_and_the_right_one_suggested() {
    let dir = folder();
    let file = dir.path().join("settings.yaml");
    let path = file.to_str().unwrap();
    for (yaml, says) in [
        (
            "htp:\n  listen: 127.0.0.1:0\n",
            &["line 1", "`htp`", "`http`"][..],
        ),
        (
            "http:\n  lissten: 127.0.0.1:0\n",
            &["line 2", "`lissten`", "`listen`"],
        ),
        (
            "memory:\n  sqlite:\n    reader: 3\n",
            &["line 3", "`reader`", "`readers`"],
        ),
        (
            "memory:\n  xyz: 3\n",
            &["line 2", "`xyz`", "data_dir", "limits"],
        ),
        ("http: [1, 2\n", &["line"]),
        ("http:\n  listen: nowhere\n", &["line 2"]),
        ("http:\n  header_timeout: soon\n", &["line 2"]),
        ("http:\n  connections_max: 0\n", &["line 2"]),
        ("http: 5\n", &["line 1"]),
        ("- a\n- b\n", &["line 1"]),
    ] {
        fs::write(&file, yaml).unwrap();
        let mut expect = vec!["settings.yaml"];
        expect.extend(says);
        refused(&["serve", "--config", path], &[], 2, &expect).await;
    }
    let missing = dir.path().join("missing.yaml");
    refused(
        &["serve", "--config", missing.to_str().unwrap()],
        &[],
        2,
        &["missing.yaml"],
    )
    .await;
}

#[tokio::test]
async fn an_unknown_variable_is_named_and_the_right_one_suggested() {
    for (variable, value, says) in [
        (
            "MCP_SERVER__HTTP__LISTN",
            "127.0.0.1:0",
            "did you mean `listen`",
        ),
        (
            "MCP_SERVER__HTPP__LISTEN",
            "127.0.0.1:0",
            "did you mean `http`",
        ),
        ("MCP_SERVER__HTTP", "x", "names a section"),
        (
            "MCP_SERVER__HTTP__LISTEN__PORT",
            "1",
            "inside a single value",
        ),
        (
            "MCP_SERVER__HTTP__LISTEN",
            "nowhere",
            "invalid socket address",
        ),
        ("MCP_SERVER__HTTP__CONNECTIONS_MAX", "many", "invalid"),
        (
            "MCP_SERVER__XYZ",
            "1",
            "there are: connectors, context_manager, contexts, http, lanes, log, memory, monitoring, safe_mode, slow_operations, stdio",
        ),
        ("MCP_SERVER__", "1", "there is no"),
    ] {
        refused(&["serve"], &[(variable, value)], 2, &[variable, says]).await;
    }
}

#[tokio::test]
async fn a_value_that_cannot_work_is_refused_by_name() {
    let loopback = ("MCP_SERVER__HTTP__LISTEN", "127.0.0.1:0");
    for (variable, value, says) in [
        (
            "MCP_SERVER__HTTP__BODY_BYTES_MAX",
            "0",
            "http.body_bytes_max",
        ),
        (
            "MCP_SERVER__HTTP__HEADER_TIMEOUT",
            "0s",
            "http.header_timeout",
        ),
        (
            "MCP_SERVER__STDIO__LINE_BYTES_MAX",
            "10",
            "stdio.line_bytes_max",
        ),
        (
            "MCP_SERVER__MEMORY__LIMITS__RESULTS_DEFAULT",
            "0",
            "memory.limits.results_default",
        ),
        ("MCP_SERVER__LOG__FILTER", "a=b=c", "log.filter"),
    ] {
        refused(&["serve"], &[loopback, (variable, value)], 2, &[says]).await;
    }
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let says = ["http.listen", "127.0.0.1", "danger_listen_without_auth"];
        refused(&["serve", "--listen", address], &[], 2, &says).await;
    }
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_written_is_said_to_be_so() {
    let dir = folder();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    // Not even root may write there.
    for path in [file.to_str().unwrap(), "/proc/mcp-server"] {
        for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["stdio"]] {
            let arguments = [command, &["--data-dir", path]].concat();
            refused(&arguments, &[], 1, &[path, "--data-dir"]).await;
        }
    }
    fs::write(dir.path().join("memory.db"), "garbage ".repeat(1_000)).unwrap();
    let arguments = ["stdio", "--data-dir", dir.path().to_str().unwrap()];
    refused(&arguments, &[], 1, &["memory.db", "backup"]).await;
}

/// The port that a server took, when three places name one.
async fn port_of(flag: Option<u16>, variable: Option<u16>, file: u16) -> u16 {
    let dir = folder();
    let yaml = dir.path().join("settings.yaml");
    fs::write(&yaml, format!("http:\n  listen: 127.0.0.1:{file}\n")).unwrap();
    let mut arguments = vec!["--config".to_owned(), yaml.to_str().unwrap().to_owned()];
    if let Some(port) = flag {
        arguments.extend(["--listen".to_owned(), format!("127.0.0.1:{port}")]);
    }
    let variable = variable.map(|port| format!("127.0.0.1:{port}"));
    let environment: Vec<_> = variable
        .iter()
        .map(|address| ("MCP_SERVER__HTTP__LISTEN", address.as_str()))
        .collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let server = Process::serve_with(dir.path(), &arguments, &environment).await;
    let port = server.address.port();
    server.kill().await;
    port
}

#[tokio::test]
async fn flags_win_over_variables_and_variables_over_the_file() {
    let mut free = Vec::new();
    for _ in 0..3 {
        free.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let ports: Vec<_> = free
        .iter()
        .map(|free| free.local_addr().unwrap().port())
        .collect();
    drop(free);
    let [flag, variable, file] = ports[..] else {
        panic!("three ports");
    };
    assert_eq!(port_of(None, None, file).await, file);
    assert_eq!(port_of(None, Some(variable), file).await, variable);
    assert_eq!(port_of(Some(flag), Some(variable), file).await, flag);
}

#[tokio::test]
async fn settings_take_effect() {
    let dir = folder();
    let yaml = dir.path().join("settings.yaml");
    fs::write(
        &yaml,
        "# a comment\nhttp:\n  listen: 127.0.0.1:0\n  allowed_hosts: [memory.example]\n\
         memory:\n  limits:\n    content_bytes_max: 10\n",
    )
    .unwrap();
    let arguments = ["--config", yaml.to_str().unwrap()];
    let environment = [
        ("MCP_SERVER__MEMORY__LIMITS__BATCH_LEN_MAX", "2"),
        ("MCP_SERVER__HTTP__ALLOWED_ORIGINS", "[https://app.example]"),
    ];
    let server = Process::serve_with(dir.path(), &arguments, &environment).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    let result = client
        .call("memory_add", json!({"content": "eleven byte"}))
        .await;
    assert_eq!(result["isError"], true, "{result}");
    client
        .ok("memory_add", json!({"content": "ten bytes!"}))
        .await;
    let operation = json!({"type": "get", "data": {"id": "a"}});
    let batch = json!({"operations": [operation, operation, operation]});
    let result = client.call("memory_batch", batch).await;
    assert_eq!(result["isError"], true, "{result}");

    let mut connection = Http::connect(server.address).await;
    connection
        .send(
            "GET /healthz HTTP/1.1\r\nHost: memory.example\r\nOrigin: https://app.example\r\n\r\n",
        )
        .await;
    assert_eq!(connection.response().await.status(), 200);
}

#[tokio::test]
async fn listening_for_everybody_takes_a_switch_and_a_warning() {
    let dir = folder();
    let switch = [("MCP_SERVER__HTTP__DANGER_LISTEN_WITHOUT_AUTH", "true")];
    let server = Process::serve_with(dir.path(), &["--listen", "0.0.0.0:0"], &switch).await;
    server.log.line("can read and change all memories").await;
    let mut connection = Http::connect(([127, 0, 0, 1], server.address.port()).into()).await;
    connection
        .send("GET /healthz HTTP/1.1\r\nHost: 0.0.0.0\r\n\r\n")
        .await;
    assert_eq!(connection.response().await.status(), 403);
}

#[tokio::test]
async fn an_empty_file_changes_nothing() {
    let dir = folder();
    let yaml = dir.path().join("settings.yaml");
    for text in ["", "\n", "# only a comment\n", "{}\n", "---\n"] {
        fs::write(&yaml, text).unwrap();
        let arguments = [
            "--config",
            yaml.to_str().unwrap(),
            "--listen",
            "127.0.0.1:0",
        ];
        let server = Process::serve_with(dir.path(), &arguments, &[]).await;
        server.kill().await;
    }
}

#[tokio::test]
async fn the_log_can_be_json() {
    let dir = folder();
    let environment = [("MCP_SERVER__LOG__FORMAT", "json")];
    let server = Process::serve_with(dir.path(), &["--listen", "127.0.0.1:0"], &environment).await;
    let line = server.log.line("ready: ").await;
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["level"], "INFO", "{line}");
}
