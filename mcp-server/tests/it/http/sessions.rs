//! Sessions: their number, their end, and what is left of them afterwards.

use std::time::Duration;

use mcp_server::config::HttpConfig;
use serde_json::json;
use tokio::{task::JoinSet, time::Instant};

use super::assert_alive;
use crate::support::{
    http::{Http, Response},
    mcp::{
        ACCEPT, JSON, LEGACY, initialize, legacy_headers, open_session, request, try_open_session,
    },
    server::Server,
    until,
};

async fn list_tools(connection: &mut Http, session: &str) -> Response {
    let body = request(1, "tools/list", &json!({})).to_string();
    let headers = legacy_headers(session);
    connection.request("POST", "/mcp", &headers, body).await;
    connection.response().await
}

async fn end(connection: &mut Http, session: &str) -> Response {
    let headers = legacy_headers(session);
    connection.request("DELETE", "/mcp", &headers, "").await;
    connection.response().await
}

#[tokio::test]
async fn a_session_too_many_is_refused_until_one_ends() {
    let config = HttpConfig {
        sessions_max: 2,
        ..HttpConfig::default()
    };
    let server = Server::memory(config).await;
    let mut connection = Http::connect(server.address).await;
    let first = open_session(&mut connection).await;
    let second = open_session(&mut connection).await;
    assert_ne!(first, second);
    let refused = try_open_session(&mut connection).await;
    assert_eq!(refused.status(), 503, "{refused:?}");
    assert!(refused.head.header("retry-after").is_some(), "{refused:?}");
    assert_eq!(refused.code(), Some(-32000), "{refused:?}");
    assert_eq!(refused.message()["id"], 0, "{refused:?}");
    // Those that are open go on, and so do clients without sessions.
    assert_eq!(list_tools(&mut connection, &second).await.status(), 200);
    assert_alive(server.address).await;

    let ended = end(&mut connection, &first).await;
    assert_eq!(
        (ended.status(), ended.body.as_str()),
        (204, ""),
        "{ended:?}"
    );
    assert_eq!(list_tools(&mut connection, &first).await.status(), 404);
    assert_eq!(end(&mut connection, &first).await.status(), 404);
    open_session(&mut connection).await;
    assert_eq!(try_open_session(&mut connection).await.status(), 503);
}

#[tokio::test]
async fn the_cap_holds_for_simultaneous_sessions() {
    let config = HttpConfig {
        sessions_max: 5,
        ..HttpConfig::default()
    };
    let server = Server::memory(config).await;
    let mut opens = JoinSet::new();
    for _ in 0..20 {
        opens.spawn(async move {
            let mut connection = Http::connect(server.address).await;
            try_open_session(&mut connection).await.status()
        });
    }
    // Those that were only begun make room for each other.
    let statuses = opens.join_all().await;
    assert!(
        statuses.iter().all(|status| [200, 503].contains(status)),
        "{statuses:?}"
    );
    assert_eq!(server.app().clients().stats().len(), 5);
    let mut connection = Http::connect(server.address).await;
    for _ in 0..5 {
        open_session(&mut connection).await;
    }
    assert_eq!(server.app().clients().stats().len(), 5);
    assert_eq!(try_open_session(&mut connection).await.status(), 503);
}

#[tokio::test]
async fn one_client_has_its_share_of_the_sessions() {
    let config = HttpConfig {
        sessions_per_client_max: 3,
        ..HttpConfig::default()
    };
    let server = Server::memory(config).await;
    let mut connection = Http::connect(server.address).await;
    for _ in 0..3 {
        open_session(&mut connection).await;
    }
    let refused = try_open_session(&mut connection).await;
    assert_eq!((refused.status(), refused.code()), (503, Some(-32000)));
    assert_alive(server.address).await;
}

#[tokio::test]
async fn what_a_client_says_of_itself_is_bounded() {
    let server = Server::memory(HttpConfig::default()).await;
    let mut connection = Http::connect(server.address).await;
    let mut message = initialize(LEGACY);
    message["params"]["clientInfo"]["title"] = json!("x".repeat(20_000));
    let body = message.to_string();
    connection
        .request("POST", "/mcp", &[JSON, ACCEPT], body)
        .await;
    let refused = connection.response().await;
    assert_eq!((refused.status(), refused.code()), (400, Some(-32602)));
    assert_eq!(server.app().clients().stats(), []);
}

#[tokio::test]
async fn a_session_that_nobody_uses_vanishes() {
    let config = HttpConfig {
        sessions_max: 1,
        session_idle_timeout: Duration::from_millis(200),
        ..HttpConfig::default()
    };
    let server = Server::memory(config).await;
    let mut connection = Http::connect(server.address).await;
    let session = open_session(&mut connection).await;
    // Its place is free again, which is how its end is seen from outside.
    until("a free place", async || {
        (try_open_session(&mut connection).await.status() == 200).then_some(())
    })
    .await;
    assert_eq!(list_tools(&mut connection, &session).await.status(), 404);
}

#[tokio::test]
async fn a_session_needs_its_id() {
    let server = Server::memory(HttpConfig::default()).await;
    let mut connection = Http::connect(server.address).await;
    let session = open_session(&mut connection).await;
    assert!(session.len() >= 32, "guessable: {session}");
    assert!(
        session.bytes().all(|byte| byte.is_ascii_graphic()),
        "{session}"
    );
    let body = request(1, "tools/list", &json!({})).to_string();
    connection
        .request("POST", "/mcp", &[JSON, ACCEPT], &body)
        .await;
    assert_eq!(connection.response().await.status(), 400);
    let unknown = "0".repeat(session.len());
    assert_eq!(list_tools(&mut connection, &unknown).await.status(), 404);
    assert_eq!(list_tools(&mut connection, &session).await.status(), 200);
}

/// An answer in two writes takes 40 ms where the kernel waits for an acknowledgement between them.
#[tokio::test]
async fn answers_do_not_wait_for_acknowledgements() {
    let server = Server::memory(HttpConfig::default()).await;
    let mut connection = Http::connect(server.address).await;
    let session = open_session(&mut connection).await;
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let started = Instant::now();
        assert_eq!(list_tools(&mut connection, &session).await.status(), 200);
        best = best.min(started.elapsed());
    }
    assert!(
        best < Duration::from_millis(30),
        "the best of 20 took {best:?}"
    );
}
