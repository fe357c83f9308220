//! A flood in one lane: the rest goes on, and what is too much is refused at once.

use std::net::SocketAddr;

use mcp_server::{
    app::App,
    config::{Config, MemoryConfig},
};
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinSet};

use super::{call, post};
use crate::support::{
    WriteLock,
    http::{Http, Response},
    mcp::modern,
    process::{Process, folder},
    stdio::Pipe,
    within,
};

const FLOOD: usize = 200;
/// Of the 96 places 32 are reserved for others.
const PLACES: usize = 64;
const QUEUE: usize = 50;

fn add(id: u64) -> Value {
    let params = json!({"name": "memory_add", "arguments": {"content": "part of a flood"}});
    modern(id, "tools/call", &params)
}

/// Sends an add on a connection of its own, and passes its answer on.
async fn flood(address: SocketAddr, answers: mpsc::Sender<Response>) {
    let mut connection = Http::connect(address).await;
    let response = post(&mut connection, "/mcp", &add(1)).await;
    answers.send(response).await.unwrap();
}

fn assert_refused(error: &Value) {
    assert_eq!(error["code"], -32000, "{error}");
    assert_eq!(error["data"]["code"], "overloaded", "{error}");
    assert_eq!(error["data"]["retryable"], true, "{error}");
    let wait = error["data"]["retry_after_ms"].as_u64().unwrap();
    assert!((100..=5_000).contains(&wait), "{error}");
}

/// The writes of one lane stand before a lock: another lane's reads are answered one and all,
/// and so are those writes that had room, once the lock is gone.
#[tokio::test]
async fn a_flood_of_slow_calls_leaves_other_lanes_alone() {
    let dir = folder();
    let environment = [
        ("MCP_SERVER__LANES__OTHER__QUEUE_LEN_MAX", "50"),
        ("MCP_SERVER__LANES__QUEUE_TIMEOUT", "10m"),
        ("MCP_SERVER__MEMORY__SQLITE__BUSY_TIMEOUT", "10m"),
    ];
    let listen = ["--listen", "127.0.0.1:0"];
    let server = Process::serve_with(dir.path(), &listen, &environment).await;
    let lock = WriteLock::take(dir.path());
    let (sender, mut answers) = mpsc::channel(FLOOD);
    let mut tasks = JoinSet::new();
    for _ in 0..FLOOD {
        tasks.spawn(flood(server.address, sender.clone()));
    }
    for _ in 0..FLOOD - PLACES - QUEUE {
        let refused = within("a refusal", answers.recv()).await.unwrap();
        assert_eq!(refused.status(), 503, "{refused:?}");
        let retry_after = refused.head.header("retry-after").unwrap();
        assert!(
            (1..=5).contains(&retry_after.parse().unwrap()),
            "{refused:?}"
        );
        assert_eq!(refused.message()["id"], 1, "{refused:?}");
        assert_refused(&refused.message()["error"]);
    }
    let mut connection = Http::connect(server.address).await;
    for client in ["Cursor", "Visual Studio Code"] {
        for _ in 0..50 {
            let response = post(&mut connection, "/mcp", &call(client)).await;
            assert_eq!(response.status(), 200, "{response:?}");
        }
    }
    // What needs no place is answered in the full lane, too.
    let list = modern(1, "tools/list", &json!({}));
    assert_eq!(post(&mut connection, "/mcp", &list).await.status(), 200);
    let refused = post(&mut connection, "/mcp", &call("test")).await;
    assert_eq!(refused.status(), 503, "{refused:?}");
    assert!(answers.is_empty(), "a write passed the lock");
    drop(lock);
    for _ in 0..PLACES + QUEUE {
        let response = within("an answer", answers.recv()).await.unwrap();
        assert_eq!(response.status(), 200, "{response:?}");
        let result = &response.message()["result"];
        assert_eq!(result["isError"], false, "{response:?}");
    }
    tasks.join_all().await;
    assert_eq!(
        post(&mut connection, "/mcp", &call("test")).await.status(),
        200
    );
}

/// One client on a pipe: what has room waits its turn, the rest is refused.
#[tokio::test]
async fn over_stdio_too_many_calls_are_refused_at_once() {
    let dir = folder();
    let environment = [
        ("MCP_SERVER__LANES__OTHER__QUEUE_LEN_MAX", "5"),
        ("MCP_SERVER__LANES__IN_FLIGHT_MAX", "50"),
        ("MCP_SERVER__LANES__QUEUE_TIMEOUT", "10m"),
        ("MCP_SERVER__MEMORY__SQLITE__BUSY_TIMEOUT", "10m"),
    ];
    let mut pipe = Pipe::start(dir.path(), &environment);
    pipe.send(&call("test")).await;
    pipe.receive().await;
    let lock = WriteLock::take(dir.path());
    for id in 1..=30 {
        pipe.send(&add(id)).await;
    }
    // 18 places, 5 that wait, and 7 too many.
    for _ in 0..7 {
        let refused = pipe.receive().await;
        assert_refused(&refused["error"]);
    }
    drop(lock);
    for _ in 0..23 {
        let answer = pipe.receive().await;
        assert_eq!(answer["result"]["isError"], false, "{answer}");
    }
}

#[tokio::test]
async fn safe_mode_has_no_lanes() {
    let dir = folder();
    let config = |safe_mode| Config {
        memory: MemoryConfig {
            data_dir: Some(dir.path().to_owned()),
            ..MemoryConfig::default()
        },
        safe_mode,
        ..Config::default()
    };
    for safe_mode in [false, true] {
        let app = App::build(&config(safe_mode)).await.unwrap();
        assert_eq!(app.admission().is_none(), safe_mode);
        app.close().await;
    }
}
