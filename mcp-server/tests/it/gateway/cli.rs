//! `mcp-server connectors`, as a person uses it.

use serde_json::json;

use crate::support::{
    mcp::{Client, Era},
    process::{Process, UNHURRIED, folder, refused, run, stderr, stdout},
    until,
    upstream::{Fake, remote_tools},
};

#[tokio::test]
async fn connectors_are_added_listed_tried_and_removed() {
    let fake = Fake::new();
    let (upstream, _) = fake.serve().await;
    let folder = folder();
    let dir = folder.path().to_str().unwrap();
    let url = format!("http://{}/mcp", upstream.address);
    let none = run(&["connectors", "list", "--data-dir", dir], &[]).await;
    assert!(stdout(&none).contains("no connectors"));

    let process = Process::serve(folder.path()).await;
    let add = [
        "connectors",
        "add",
        "fake",
        "--url",
        &url,
        "--data-dir",
        dir,
    ];
    let header = [
        "--header",
        "Authorization: Bearer hush",
        "--allow-private-address",
    ];
    let added = run(&[&add[..], &header[..]].concat(), &[]).await;
    assert!(added.status.success(), "{}", stderr(&added));
    refused(&add, &[], 2, &["`fake` already", "--force"]).await;

    // The server that runs takes it over by itself.
    let mut client = Client::http(Era::Modern, process.address).await;
    until("the tools", async || {
        (remote_tools(&mut client).await.len() == 6).then_some(())
    })
    .await;
    client.ok("echo", json!({})).await;

    let tried = run(&["connectors", "test", "fake", "--data-dir", dir], &[]).await;
    assert!(
        stdout(&tried).contains("speaks 2026-07-28; 6 tools"),
        "{}",
        stdout(&tried)
    );
    assert!(stdout(&tried).contains("echo: does echo"));
    until("the report", async || {
        let listed = stdout(&run(&["connectors", "list", "--data-dir", dir], &[]).await);
        assert!(
            listed.contains(&url) && !listed.contains("hush"),
            "{listed}"
        );
        listed.contains("6 tools").then_some(())
    })
    .await;

    let removed = run(&["connectors", "remove", "fake", "--data-dir", dir], &[]).await;
    assert!(removed.status.success());
    until("the end", async || {
        remote_tools(&mut client).await.is_empty().then_some(())
    })
    .await;
    refused(
        &["connectors", "remove", "fake", "--data-dir", dir],
        &[],
        2,
        &["no connector `fake`"],
    )
    .await;
    refused(
        &["connectors", "test", "fake", "--data-dir", dir],
        &[],
        2,
        &["no connector `fake`"],
    )
    .await;
    process.kill().await;
    upstream.stop().await;
}

#[tokio::test]
async fn what_cannot_work_is_refused() {
    let folder = folder();
    let dir = folder.path().to_str().unwrap();
    let add = |more: &[&str]| {
        let mut arguments = vec!["connectors", "add", "a", "--data-dir", dir];
        arguments.extend(more);
        arguments
            .iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>()
    };
    for (more, says) in [
        (&["--url", "ftp://x"][..], "must be an address"),
        (
            &["--url", "http://x", "--header", "Host: y"],
            "set by the protocol",
        ),
        (&["--url", "http://x", "--", "run"], "cannot be used with"),
        (&[], "required"),
    ] {
        let arguments = add(more);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        refused(&arguments, &[], 2, &[says]).await;
    }
    let arguments = add(&["--", "/no/such/program"]);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    run(&arguments, &[]).await;
    refused(
        &["connectors", "test", "a", "--data-dir", dir],
        &[],
        1,
        &["`a` does not work", "/no/such/program"],
    )
    .await;
}

#[tokio::test]
async fn files_of_editors_are_imported() {
    let folder = folder();
    let dir = folder.path().to_str().unwrap();
    let file = folder.path().join("mcp.json");
    let text = json!({"mcpServers": {
        "own": {"command": env!("CARGO_BIN_EXE_mcp-server"),
                "args": ["stdio", "--data-dir", "${OTHER_DIR}"]},
        "old": {"type": "sse", "url": "https://x/sse"},
    }});
    std::fs::write(&file, text.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let import = ["connectors", "import", file, "--data-dir", dir];
    let dry = run(&[&import[..], &["--dry-run"]].concat(), &[]).await;
    assert!(stdout(&dry).contains("own: ") && stdout(&dry).contains("left out: old"));
    let none = run(&["connectors", "list", "--data-dir", dir], &[]).await;
    assert!(stdout(&none).contains("no connectors"));
    // Something was left out.
    assert_eq!(run(&import, &[]).await.status.code(), Some(1));

    let other = crate::support::process::folder();
    let other = ("OTHER_DIR", other.path().to_str().unwrap());
    let tried = run(
        &["connectors", "test", "own", "--data-dir", dir],
        &[other, UNHURRIED],
    )
    .await;
    assert!(stdout(&tried).contains("memory_add"), "{}", stderr(&tried));
    let missing = ["connectors", "test", "own", "--data-dir", dir];
    refused(&missing, &[], 1, &["no variable `OTHER_DIR`"]).await;
}
