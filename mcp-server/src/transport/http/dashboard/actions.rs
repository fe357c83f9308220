//! What the page can change: with a token of its own, whatever else the server asks for.

use std::{sync::Arc, time::Duration};

use axum::{extract::Request, response::Response};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::{caller, json};
use crate::{
    auth::Scope,
    transport::http::{auth, body},
};

/// More than any wish takes.
const BODY_BYTES_MAX: usize = 16 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What is to be cleared.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Clear {
    /// Everything; the value is not looked at.
    All(bool),
    /// What has this tag.
    Tag(String),
    /// What has this key.
    Key(String),
    /// What has a key that matches this pattern, with `*` and `?`.
    Pattern(String),
    /// What is in this namespace.
    Namespace(String),
}

/// Clears caches. What was cleared is read anew; nothing is lost.
pub trait ClearCaches: Send + Sync {
    /// Clears as asked, and says in one sentence what that came to.
    ///
    /// # Errors
    ///
    /// What is wrong with the wish.
    fn clear(&self, wish: &Clear) -> Result<String, String>;
}

#[derive(Serialize)]
struct Cleared {
    message: String,
}

/// `POST /api/cache/clear`.
pub(super) async fn clear(caches: Arc<dyn ClearCaches>, request: Request) -> Response {
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
        return body::plain(StatusCode::BAD_REQUEST, "the body is too large, or did not come");
    };
    let wish = match serde_json::from_slice(&bytes) {
        Ok(wish) => wish,
        Err(error) => return body::plain(StatusCode::BAD_REQUEST, error.to_string()),
    };
    match caches.clear(&wish) {
        Ok(message) => {
            let tenant = caller.owner.as_str();
            tracing::info!(tenant, ?wish, "cleared caches by the dashboard: {message}");
            json(&Cleared { message })
        }
        Err(reason) => body::plain(StatusCode::BAD_REQUEST, reason),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}
