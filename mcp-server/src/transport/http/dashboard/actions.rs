//! What the page can change: with a token of its own, whatever else the server asks for.

use std::{sync::Arc, time::Duration};

use axum::{extract::Request, response::Response};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;

use super::{caller, json};
use crate::{
    auth::Scope,
    call::Call,
    tools::{CacheClear, Tool},
    transport::http::{auth, body},
};

/// More than any wish takes.
const BODY_BYTES_MAX: usize = 16 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Serialize)]
struct Cleared {
    message: String,
}

/// `POST /api/cache/clear`.
pub(super) async fn clear(tool: Arc<CacheClear>, request: Request) -> Response {
    let (head, mut body) = request.into_parts();
    let caller = caller(&head.extensions);
    if caller.token().is_none() {
        return auth::Refused::Missing.response();
    }
    if caller.scope < Scope::Admin {
        return auth::insufficient_scope(Scope::Admin, None);
    }
    if !is_json(&head.headers) {
        let says = "send it as application/json";
        return body::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, says);
    }
    let read = body::read(&head.headers, &mut body, BODY_BYTES_MAX, BODY_TIMEOUT).await;
    let Ok(bytes) = read else {
        return body::plain(
            StatusCode::BAD_REQUEST,
            "the body is too large, or did not come",
        );
    };
    let wish = match serde_json::from_slice(&bytes) {
        Ok(wish) => wish,
        Err(error) => return body::plain(StatusCode::BAD_REQUEST, error.to_string()),
    };
    let cleared = match tool.call(&Call::by(&caller), wish).await {
        Ok(cleared) => cleared.caches,
        Err(error) => return body::plain(StatusCode::BAD_REQUEST, error.to_string()),
    };
    let message = match cleared.is_empty() {
        true => "no cache has anything of that kind".to_owned(),
        false => format!(
            "cleared: {}; what is asked for next is read anew",
            cleared.join(", ")
        ),
    };
    json(&Cleared { message })
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}
