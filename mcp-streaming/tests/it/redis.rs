//! The store in Redis, against a server of its own.
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

use crate::store::{STREAM_BYTES_MAX, check_contract, check_hand_over};
use mcp_streaming::store::{EventStore, RedisStore, RedisStoreConfig, StreamKey};
use std::{net::TcpListener, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// Stops with the test.
struct Server {
    process: Child,
    _folder: TempDir,
    url: String,
}

impl Server {
    /// A server on a free port; `None`, said aloud, where there is none to start.
    fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = port.local_addr().expect("bound").port();
        Self::start_at(port)
    }

    fn start_at(port: u16) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let spawned = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--port", &port.to_string(), "--dir"])
            .arg(folder.path())
            .stdout(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let process = match spawned {
            Ok(process) => process,
            Err(error) => {
                let required = std::env::var("MCP_TEST_REQUIRE_SERVICES").is_ok_and(|v| v == "1");
                assert!(!required, "redis-server cannot be started: {error}");
                eprintln!("skipped: redis-server cannot be started: {error}");
                return None;
            }
        };
        Some(Self {
            process,
            _folder: folder,
            url: format!("redis://127.0.0.1:{port}"),
        })
    }

    fn port(&self) -> u16 {
        let (_, port) = self.url.rsplit_once(':').expect("an address");
        port.parse().expect("a number")
    }

    fn config(&self) -> RedisStoreConfig {
        RedisStoreConfig {
            url: self.url.clone(),
            stream_bytes_max: STREAM_BYTES_MAX,
            ..RedisStoreConfig::default()
        }
    }

    async fn store(&self) -> RedisStore {
        for _ in 0..100 {
            if let Ok(store) = RedisStore::connect(&self.config()).await {
                return store;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the server does not answer")
    }
}

#[tokio::test]
async fn redis_keeps_the_contract() {
    let Some(server) = Server::start() else {
        return;
    };
    check_contract(&server.store().await).await;
}

#[tokio::test]
async fn a_stream_moves_to_another_instance() {
    let Some(server) = Server::start() else {
        return;
    };
    check_hand_over(Arc::new(server.store().await)).await;
}

/// A server that is away is an error in time, one that may pass; when it is
/// back, so is the store.
#[tokio::test]
async fn a_server_that_is_away_is_an_error() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let store = server.store().await;
    let session = "000102030405060708090a0b0c0d0e0f".parse().expect("an id");
    let event = "a-b-1-1".parse().expect("an id");
    let key = StreamKey::of_event("ann: {with} any \u{1F600} text", session, &event);
    store.append(&key, 1, "one".into()).await.expect("it works");
    assert!(
        store
            .read_after(&key, 0, 100)
            .await
            .expect("it works")
            .is_some()
    );
    server.process.kill().await.expect("it ran");
    let started = tokio::time::Instant::now();
    let error = store.append(&key, 2, "two".into()).await.expect_err("away");
    assert!(error.is_retryable, "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(20));
    // It comes back empty, and the stream is a new one.
    let _again = Server::start_at(server.port()).expect("it was started before");
    let mut kept = store.append(&key, 2, "two".into()).await;
    for _ in 0..100 {
        if kept.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        kept = store.append(&key, 2, "two".into()).await;
    }
    kept.expect("it is back");
    let page = store.read_after(&key, 0, 100).await.expect("it works");
    let page = page.expect("stored");
    assert_eq!((page.missed, page.events), (1, vec![(2, "two".into())]));
    let shown = format!("{store:?}");
    assert!(
        !shown.contains("127.0.0.1"),
        "addresses may hold passwords: {shown}"
    );
}

#[test]
fn nonsense_is_named() {
    let check = |change: fn(&mut RedisStoreConfig), field| {
        let mut config = RedisStoreConfig::default();
        change(&mut config);
        assert_eq!(config.validate().err().map(|error| error.field), field);
    };
    check(|_| {}, None);
    check(|c| c.url = "http://nowhere".into(), Some("url"));
    check(|c| c.prefix = "a{b}".into(), Some("prefix"));
    check(|c| c.stream_bytes_max = 0, Some("stream_bytes_max"));
    check(|c| c.keep = Duration::ZERO, Some("keep"));
    check(|c| c.timeout = Duration::ZERO, Some("timeout"));
}
