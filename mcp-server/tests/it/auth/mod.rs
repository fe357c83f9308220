//! Tokens: who may call, what for, and on whose data.

mod command;
mod forms;
mod tenants;

use serde_json::Value;

use crate::support::{
    http::{Http, Response},
    mcp::{legacy_headers, modern_headers},
};

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// Posts a modern message with a token.
async fn post_as(connection: &mut Http, token: &str, message: &Value) -> Response {
    let (bearer, mut headers) = (bearer(token), modern_headers(message));
    headers.push(("Authorization", &bearer));
    let body = message.to_string();
    connection.request("POST", "/mcp", &headers, body).await;
    connection.response().await
}

/// Sends a request of a session with a token.
async fn send_in_session(
    connection: &mut Http,
    token: &str,
    method: &str,
    session: &str,
    body: &str,
) -> Response {
    let (bearer, mut headers) = (bearer(token), legacy_headers(session));
    headers.push(("Authorization", &bearer));
    connection.request(method, "/mcp", &headers, body).await;
    connection.response().await
}
