//! What the server knows of itself: `/api/status`, and `/metrics` for Prometheus.

use axum::{Router, extract::Request, response::Response, routing};
use http::{HeaderValue, StatusCode, header};

use super::body;
use crate::{
    auth::Caller,
    monitoring::{Format, Monitor},
};

pub(super) fn routes(monitor: &Monitor) -> Router {
    let (monitor, scraped) = (monitor.clone(), monitor.clone());
    Router::new()
        .route(
            "/api/status",
            routing::get(move |request: Request| async move { status(&monitor, &request) }),
        )
        .route(
            "/metrics",
            routing::get(move |request: Request| async move { metrics(&scraped, &request) }),
        )
}

/// Whoever got here may look; who does not look after the server does not see other tenants.
fn status(monitor: &Monitor, request: &Request) -> Response {
    let local = Caller::local();
    let caller: &Caller = request.extensions().get().unwrap_or(&local);
    let status = monitor.status_for(&caller.owner, caller.scope);
    match serde_json::to_vec(&status) {
        Ok(json) => not_kept(body::json(StatusCode::OK, json)),
        Err(error) => {
            let message = format!("the status cannot be written: {error}");
            body::plain(StatusCode::INTERNAL_SERVER_ERROR, message)
        }
    }
}

fn metrics(monitor: &Monitor, request: &Request) -> Response {
    let accept = request.headers().get(header::ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    let format = Format::wanted(accept.unwrap_or_default());
    match monitor.metrics(format) {
        Ok(text) => {
            let mut response = not_kept(body::plain(StatusCode::OK, text));
            let kind = HeaderValue::from_static(format.content_type());
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
        Err(error) => {
            let message = format!("the metrics cannot be written: {error}");
            body::plain(StatusCode::INTERNAL_SERVER_ERROR, message)
        }
    }
}

fn not_kept(mut response: Response) -> Response {
    let never = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, never);
    response
}
