//! HTTP: what is refused, how, and when; and that the server lives on.

mod attacks;
mod bodies;
mod coding;
mod conversation;
mod guard;
mod limits;
mod msgpack;
mod sessions;
mod talk;

use std::net::SocketAddr;

use serde_json::json;

use crate::support::{
    http::{Http, Response},
    mcp::{modern, post_modern},
};

/// Sends bytes on a connection of their own and reads one response.
async fn raw(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Response {
    let mut connection = Http::connect(address).await;
    connection.send(bytes).await;
    connection.response().await
}

/// A request that any server answers that is still alive.
async fn assert_alive(address: SocketAddr) {
    assert_answers(&mut Http::connect(address).await).await;
}

async fn assert_answers(connection: &mut Http) {
    let response = post_modern(connection, &modern(1, "tools/list", &json!({}))).await;
    assert_eq!(response.status(), 200, "{response:?}");
}
