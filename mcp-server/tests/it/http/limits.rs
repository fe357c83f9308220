//! Deadlines and caps.

use std::time::Duration;

use mcp_server::config::HttpConfig;

use super::{assert_alive, assert_answers};
use crate::support::{http::Http, server::Server};

const SHORT: Duration = Duration::from_millis(200);
const HEAD: &str = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";

#[tokio::test]
async fn who_sends_no_head_is_dropped() {
    let config = HttpConfig {
        header_timeout: SHORT,
        ..HttpConfig::default()
    };
    let server = Server::memory(config).await;
    let mut silent = Http::connect(server.address).await;
    let mut half = Http::connect(server.address).await;
    half.send(HEAD).await;
    let mut line = Http::connect(server.address).await;
    line.send("POST /mc").await;
    let mut idle = Http::connect(server.address).await;
    assert_answers(&mut idle).await;
    let mut second = Http::connect(server.address).await;
    assert_answers(&mut second).await;
    second.send(HEAD).await;
    for connection in [&mut silent, &mut half, &mut line, &mut idle, &mut second] {
        let last = connection.closed().await;
        assert!(
            last.is_empty() || last.starts_with("HTTP/1.1 408"),
            "{last}"
        );
    }
    assert_alive(server.address).await;
}

#[tokio::test]
async fn a_head_that_trickles_is_dropped() {
    let config = HttpConfig {
        header_timeout: SHORT,
        ..HttpConfig::default()
    };
    let server = Server::memory(config).await;
    let mut connection = Http::connect(server.address).await;
    let trickle = async {
        // A byte every now and then must not keep the deadline from coming.
        while connection.try_send("X").await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    crate::support::within("the drop", trickle).await;
    assert_alive(server.address).await;
}

#[tokio::test]
async fn who_sends_half_a_body_is_answered_and_dropped() {
    let config = HttpConfig {
        body_timeout: SHORT,
        ..HttpConfig::default()
    };
    let server = Server::memory(config).await;
    for rest in [
        "Content-Length: 100\r\n\r\n",
        "Content-Length: 100\r\n\r\n{\"jsonrpc\"",
        "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"jso\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"j",
    ] {
        let mut connection = Http::connect(server.address).await;
        connection.send(format!("{HEAD}{rest}")).await;
        let response = connection.response().await;
        assert_eq!(response.status(), 408, "{rest}: {response:?}");
        assert_eq!(response.head.header("connection"), Some("close"), "{rest}");
        connection.closed().await;
    }
    assert_alive(server.address).await;
}

#[tokio::test]
async fn a_connection_too_many_waits_for_a_place() {
    let config = HttpConfig {
        connections_max: 2.try_into().unwrap(),
        ..HttpConfig::default()
    };
    let server = Server::memory(config).await;
    let mut first = Http::connect(server.address).await;
    assert_answers(&mut first).await;
    let mut second = Http::connect(server.address).await;
    assert_answers(&mut second).await;
    let mut third = Http::connect(server.address).await;
    let mut waits = Box::pin(assert_answers(&mut third));
    let too_early = tokio::time::timeout(SHORT, &mut waits).await;
    assert!(too_early.is_err(), "three connections were served");
    drop(first);
    waits.await;
    assert_answers(&mut second).await;
}

#[tokio::test]
async fn many_silent_connections_harm_nobody() {
    let server = Server::memory(HttpConfig::default()).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(Http::connect(server.address).await);
    }
    assert_alive(server.address).await;
    drop(silent);
    assert_alive(server.address).await;
}
