//! `/healthz`: the process lives. `/readyz`: it can do its work, part by part.

use std::{sync::Arc, time::Duration};

use axum::{Router, response::Response, routing};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::body;
use crate::ports::Readiness;

/// A part that has not said that it is fit by then is not.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn routes(parts: Vec<Arc<dyn Readiness>>) -> Router {
    Router::new()
        .route(
            "/healthz",
            routing::get(|| async { body::json(StatusCode::OK, r#"{"status":"ok"}"#) }),
        )
        .route("/readyz", routing::get(move || ready(parts.clone())))
}

/// What the parts come to together, the worse the more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Fit,
    Degraded,
    Failed,
}

async fn ready(parts: Vec<Arc<dyn Readiness>>) -> Response {
    let mut report = Map::new();
    let mut worst = Verdict::Fit;
    for part in parts {
        let verdict = tokio::time::timeout(CHECK_TIMEOUT, part.check())
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {CHECK_TIMEOUT:?}")));
        let entry = match verdict {
            Ok(()) => json!({"status": "ok"}),
            Err(reason) if part.is_essential() => {
                worst = Verdict::Failed;
                json!({"status": "failed", "reason": reason})
            }
            Err(reason) => {
                worst = worst.max(Verdict::Degraded);
                json!({"status": "degraded", "reason": reason})
            }
        };
        report.insert(part.name().to_owned(), entry);
    }
    let (status, word) = match worst {
        Verdict::Fit => (StatusCode::OK, "ok"),
        // It does its work, only less well.
        Verdict::Degraded => (StatusCode::OK, "degraded"),
        Verdict::Failed => (StatusCode::SERVICE_UNAVAILABLE, "failed"),
    };
    let answer = json!({"status": word, "parts": Value::Object(report)});
    body::json(status, answer.to_string())
}
