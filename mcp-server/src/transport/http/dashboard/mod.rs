//! The page that shows how the server does, and what it asks for.
//!
//! | path | |
//! |---|---|
//! | `/dashboard`, `/dashboard/…` | the page's own files; they hold nobody's data and need no token |
//! | `/api/events` | the status, once a second |
//! | `/api/history` | what was counted in the last hour or day, slot by slot |
//! | `/api/access` | who asks, and what it may do |
//! | `/api/benchmark` | the latest benchmark |
//! | `POST /api/cache/clear` | an action: takes a token with the scope `admin`, also where none is asked for |

mod actions;
mod assets;
mod events;

use std::{num::NonZeroUsize, sync::Arc};

use axum::{Router, extract::Request, response::Response, routing};
use http::{Extensions, HeaderValue, StatusCode, header};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

pub(super) use self::assets::is_asset;
use self::events::{Events, Source};
use super::{auth::Auth, body};
use crate::{
    auth::Caller,
    bench::inside::{Inside, InsideReport},
    monitoring::{Monitor, SlotStatus, Span},
    ports::CacheControl,
    tools::CacheClear,
};

/// What the page shows beside the status.
#[derive(Clone)]
pub struct Dashboard {
    /// Where the latest benchmark is.
    inside: Inside,
    /// What clears caches.
    clearing: Arc<CacheClear>,
}

impl Dashboard {
    /// Shows what `inside` has measured last, and clears `caches`.
    #[must_use]
    pub fn new(inside: Inside, caches: Vec<Arc<dyn CacheControl>>) -> Self {
        Self {
            inside,
            clearing: Arc::new(CacheClear::new(caches)),
        }
    }
}

impl std::fmt::Debug for Dashboard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dashboard").finish_non_exhaustive()
    }
}

/// The page's parts as the server has them.
pub(super) struct Shown {
    pub(super) dashboard: Dashboard,
    pub(super) monitor: Monitor,
    pub(super) auth: Option<Arc<Auth>>,
    pub(super) viewers_max: NonZeroUsize,
    /// Ends the streams.
    pub(super) end: CancellationToken,
}

/// Who asks, as the page is told.
#[derive(Serialize)]
struct Access {
    tenant: String,
    scope: &'static str,
    /// Whether a token was shown.
    token: bool,
    /// Whether one must be shown.
    token_required: bool,
    /// Whether there are any.
    tokens: bool,
}

#[derive(Serialize)]
struct History {
    slots: Vec<SlotStatus>,
}

#[derive(Serialize)]
struct Latest {
    latest: Option<Arc<InsideReport>>,
}

pub(super) fn routes(shown: Shown) -> Router {
    let Shown {
        dashboard,
        monitor,
        auth,
        viewers_max,
        end,
    } = shown;
    let watched = monitor.clone();
    let source: Source = Arc::new(move || watched.status());
    let events = Arc::new(Events::new(source, viewers_max.get(), end));
    let inside = dashboard.inside;
    let clearing = dashboard.clearing;
    assets::routes()
        .route(
            "/api/events",
            routing::get(move |request: Request| async move { events.open(&request) }),
        )
        .route(
            "/api/history",
            routing::get(move |request: Request| async move {
                let span = match request.uri().query() {
                    Some("window=hour") => Span::Hour,
                    Some("window=day") => Span::Day,
                    _ => return body::plain(StatusCode::BAD_REQUEST, "window=hour or window=day"),
                };
                let slots = monitor.history(span);
                json(&History { slots })
            }),
        )
        .route(
            "/api/access",
            routing::get(move |request: Request| async move {
                json(&access(request.extensions(), auth.as_deref()))
            }),
        )
        .route(
            "/api/benchmark",
            routing::get(move || async move {
                json(&Latest {
                    latest: inside.latest(),
                })
            }),
        )
        .route(
            "/api/cache/clear",
            routing::post(move |request: Request| actions::clear(clearing.clone(), request)),
        )
}

/// In whose name the request is made; without a token, that of the machine's own user.
fn caller(found: &Extensions) -> Caller {
    found.get().cloned().unwrap_or_else(Caller::local)
}

fn access(found: &Extensions, auth: Option<&Auth>) -> Access {
    let caller = caller(found);
    Access {
        tenant: caller.owner.as_str().to_owned(),
        scope: caller.scope.name(),
        token: caller.token().is_some(),
        token_required: auth.is_some_and(|auth| auth.required),
        tokens: auth.is_some_and(|auth| !auth.tokens.is_empty()),
    }
}

/// An answer that no cache keeps.
fn json(value: &impl Serialize) -> Response {
    let mut response = match serde_json::to_vec(value) {
        Ok(text) => body::json(StatusCode::OK, text),
        Err(error) => {
            tracing::error!(%error, "an answer of the dashboard is not JSON");
            body::plain(StatusCode::INTERNAL_SERVER_ERROR, "the answer is not JSON")
        }
    };
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}
