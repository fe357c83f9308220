//! Several processes on one folder, and one process after the other.

use serde_json::json;

use crate::support::{
    database,
    mcp::{Client, Era},
    process::{Process, folder},
    until,
};

/// A server over HTTP and one over stdio have copies of their own, and see each other's puts.
#[tokio::test]
async fn what_one_process_puts_another_one_reads() {
    let dir = folder();
    let server = Process::serve(dir.path()).await;
    let mut clients = [
        Client::http(Era::Modern, server.address).await,
        Client::stdio(Era::Modern, dir.path()).await,
    ];
    for n in 0..50 {
        let content = json!({"id": "shared", "content": n.to_string(), "version": n});
        clients[n % 2].ok("context_put", content).await;
        for client in &mut clients {
            let context = client.ok("context_get", json!({"id": "shared"})).await;
            assert_eq!(context["content"], n.to_string(), "{}", client.name());
        }
    }
}

/// What was read often is known to the next life, which begins with it.
#[tokio::test]
async fn a_start_reads_ahead_what_was_popular() {
    let dir = folder();
    let listen = ["--listen", "127.0.0.1:0"];
    let mut server = Process::serve(dir.path()).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    for id in ["hot", "cold"] {
        client
            .ok("context_put", json!({"id": id, "content": "x"}))
            .await;
    }
    for _ in 0..400 {
        client.ok("context_get", json!({"id": "hot"})).await;
    }
    drop(client);
    server.signal("TERM");
    assert!(server.exit().await.success());
    let reads = |id: &str| -> u64 {
        let sql = "SELECT reads FROM context WHERE id = ?1";
        database(dir.path())
            .query_row(sql, [id], |row| row.get(0))
            .unwrap()
    };
    assert!((100..1_600).contains(&reads("hot")), "{}", reads("hot"));
    assert_eq!(reads("cold"), 0);

    let only_popular = [
        ("MCP_SERVER__CONTEXTS__WARMING__RECENT", "0"),
        ("MCP_SERVER__CONTEXTS__WARMING__POPULAR", "1"),
        ("MCP_SERVER__LOG__FILTER", "info,mcp_server=debug"),
    ];
    let server = Process::serve_with(dir.path(), &listen, &only_popular).await;
    let line = server.log.line("warmed contexts").await;
    assert!(line.contains("loaded: 1"), "{line}");
}

/// `--safe-mode` and `contexts.manager: standard` keep no copies, and warm nothing.
#[tokio::test]
async fn the_standard_manager_is_chosen_by_configuration() {
    let listen = ["--listen", "127.0.0.1:0"];
    let safe = [&listen[..], &["--safe-mode"]].concat();
    let debug = ("MCP_SERVER__LOG__FILTER", "info,mcp_server=debug");
    let standard = [debug, ("MCP_SERVER__CONTEXTS__MANAGER", "standard")];
    for (arguments, environment, warms) in [
        (&listen[..], &[debug][..], true),
        (&safe, &[debug], false),
        (&listen, &standard, false),
    ] {
        let dir = folder();
        let server = Process::serve_with(dir.path(), arguments, environment).await;
        let mut client = Client::http(Era::Modern, server.address).await;
        client
            .ok("context_put", json!({"id": "a", "content": "x"}))
            .await;
        let context = client.ok("context_get", json!({"id": "a"})).await;
        assert_eq!(context["content"], "x");
        if warms {
            server.log.line("warmed contexts").await;
            continue;
        }
        // The warming of a manager that has one is the first thing it does.
        let mut server = server;
        drop(client);
        server.signal("TERM");
        assert!(server.exit().await.success());
        let stopped = until("the end of the log", async || server.log.find("stopped")).await;
        assert!(stopped.contains("stopped"));
        assert_eq!(server.log.find("warmed contexts"), None, "{arguments:?}");
    }
}
