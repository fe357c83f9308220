//! Tokens on the command line, and in a server that runs.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use mcp_server::auth::Scope;
use serde_json::json;

use super::{bearer, forms::open_session_as, post_as};
use crate::support::{
    http::Http,
    mcp::{legacy_headers, modern, modern_headers},
    process::{Process, folder, refused, run, stderr, stdout},
    server::token,
    until,
};

const REQUIRED: (&str, &str) = ("MCP_SERVER__HTTP__REQUIRE_TOKEN", "true");

async fn token_command(dir: &Path, arguments: &[&str]) -> (String, String) {
    let dir = dir.to_str().unwrap();
    let arguments = [&["token"], arguments, &["--data-dir", dir]].concat();
    let output = run(&arguments, &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    (stdout(&output), stderr(&output))
}

#[tokio::test]
async fn tokens_are_made_listed_and_revoked() {
    let dir = folder();
    let data = dir.path().join("data");
    let (secret, said) = token_command(&data, &["add", "laptop", "--tenant", "ann"]).await;
    let secret = secret.trim();
    assert!(secret.starts_with("mcp_") && secret.len() == 68, "{secret}");
    assert!(said.contains("`ann`") && !said.contains(secret), "{said}");
    token_command(&data, &["add", "ci", "--scope", "admin"]).await;

    let file = data.join("tokens.json");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let kept = fs::read_to_string(&file).unwrap();
    assert!(!kept.contains(&secret[4..]), "the secret was kept");

    let (list, _) = token_command(&data, &["list"]).await;
    let lines: Vec<Vec<_>> = list
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines.len(), 2, "{list}");
    assert_eq!(
        (lines[0][1], lines[0][3], lines[0][4]),
        ("write", "ann", "laptop")
    );
    assert_eq!(
        (lines[1][1], lines[1][3], lines[1][4]),
        ("admin", "local", "ci")
    );
    token_command(&data, &["revoke", lines[0][0]]).await;
    let (list, _) = token_command(&data, &["list"]).await;
    assert!(list.lines().count() == 1 && list.contains("ci"), "{list}");

    let data = data.to_str().unwrap();
    for (arguments, code, says) in [
        (&["revoke", lines[0][0]][..], 1, "there is no token"),
        (&["add", "a b"], 1, "`a b` is no name"),
        (&["add", "x", "--tenant", ""], 1, "`` is no tenant"),
        (
            &["add", "x", "--scope", "all"],
            2,
            "choose read, write or admin",
        ),
        (&["add"], 2, "NAME"),
    ] {
        let arguments = [&["token"], arguments, &["--data-dir", data]].concat();
        refused(&arguments, &[], code, &[says]).await;
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let arguments = ["token", "list", "--data-dir", data];
    refused(&arguments, &[], 1, &["chmod 600"]).await;
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir", data];
    refused(&arguments, &[], 1, &["chmod 600"]).await;
}

/// Many processes at once: each of their changes is there in the end.
#[tokio::test]
async fn changes_of_many_are_all_kept() {
    let dir = folder();
    let adds = (0..8).map(|n| {
        let path = dir.path().to_owned();
        tokio::spawn(async move { token_command(&path, &["add", &format!("t{n}")]).await })
    });
    for add in adds.collect::<Vec<_>>() {
        add.await.unwrap();
    }
    let (list, _) = token_command(dir.path(), &["list"]).await;
    assert_eq!(list.lines().count(), 8, "{list}");
}

#[tokio::test]
async fn beyond_loopback_there_must_be_a_token_and_it_must_be_shown() {
    let dir = folder();
    let data = dir.path().to_str().unwrap();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let arguments = ["serve", "--listen", address, "--data-dir", data];
        refused(&arguments, &[], 2, &["mcp-server token add", "tokens.json"]).await;
    }
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir", data];
    refused(&arguments, &[REQUIRED], 2, &["mcp-server token add"]).await;

    let (secret, _) = token(dir.path(), "ann", Scope::Read);
    let server = Process::serve_with(dir.path(), &["--listen", "0.0.0.0:0"], &[]).await;
    let address = ([127, 0, 0, 1], server.address.port()).into();
    let mut connection = Http::connect(address).await;
    let message = modern(1, "tools/list", &json!({}));
    let headers = modern_headers(&message);
    connection
        .request("POST", "/mcp", &headers, message.to_string())
        .await;
    assert_eq!(connection.response().await.status(), 401);
    let answer = post_as(&mut connection, &secret, &message).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
}

#[tokio::test]
async fn tokens_come_and_go_while_the_server_runs() {
    let dir = folder();
    let (first, id) = token(dir.path(), "ann", Scope::Write);
    let arguments = ["--listen", "127.0.0.1:0", "--log", "trace"];
    let server = Process::serve_with(dir.path(), &arguments, &[REQUIRED]).await;
    let mut connection = Http::connect(server.address).await;
    let message = modern(1, "tools/list", &json!({}));
    let status = async |connection: &mut Http, token: &str| {
        post_as(connection, token, &message).await.status()
    };
    assert_eq!(status(&mut connection, &first).await, 200);

    let (second, _) = token(dir.path(), "ann", Scope::Write);
    until("the new token is good", async || {
        let mut connection = Http::connect(server.address).await;
        (status(&mut connection, &second).await == 200).then_some(())
    })
    .await;
    // A stream of each.
    let mut streams = Vec::new();
    for secret in [&first, &second] {
        let session = open_session_as(&mut connection, secret).await;
        let (value, mut headers) = (bearer(secret), legacy_headers(&session));
        headers.retain(|(name, _)| *name != "Accept");
        headers.extend([("Accept", "text/event-stream"), ("Authorization", &value)]);
        let mut stream = Http::connect(server.address).await;
        stream.request("GET", "/mcp", &headers, "").await;
        let head = stream.head().await;
        assert_eq!(head.status, 200, "{head:?}");
        streams.push((stream, head));
    }
    token_command(dir.path(), &["revoke", &id]).await;
    // Its end is what is waited for here.
    let (mut stream, head) = streams.remove(0);
    stream.rest_of(head).await;
    assert_eq!(status(&mut connection, &first).await, 401);
    assert_eq!(status(&mut connection, &second).await, 200);
    let (mut stream, _) = streams.remove(0);
    stream.send("").await;
    server.log.line("the tokens were read again").await;

    // A file that is not to be trusted changes nothing.
    let file = dir.path().join("tokens.json");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&file, "{}").unwrap();
    server.log.line("the tokens stay as they are").await;
    assert_eq!(status(&mut connection, &second).await, 200);
    // One that is gone leaves nobody in.
    fs::remove_file(&file).unwrap();
    until("nobody is let in", async || {
        (status(&mut connection, &second).await == 401).then_some(())
    })
    .await;
    for secret in [&first, &second] {
        assert_eq!(server.log.count(secret), 0, "a secret was logged");
    }
}
