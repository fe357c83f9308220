//! Who may ask, and how often: on every path but those that only say that the server lives.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, extract::Request, middleware::Next, response::Response};
use http::{Extensions, HeaderValue, StatusCode, header};
use tokio::time::Instant;

use super::{
    auth::Auth,
    body,
    connections::Peer,
    dashboard::is_asset,
    ending::Ending,
    rate::{Key, Rates},
    stats::{Counters, Event},
};
use crate::{auth::Caller, config::HttpConfig, live::Live, protocol::rate_limited_response};

/// Who watches over the server has no token; what is said there is nobody's data.
const OPEN_PATHS: [&str; 2] = ["/healthz", "/readyz"];
/// Where clients look for an authorization server (RFC 9728 §3). There is none, which is no secret.
const WELL_KNOWN: &str = "/.well-known/";

/// Who may ask, and how often.
#[derive(Debug)]
pub(super) struct Access {
    auth: Option<Arc<Auth>>,
    rates: Rates,
    config: Live<HttpConfig>,
    counters: Counters,
}

impl Access {
    pub(super) fn new(
        auth: Option<Arc<Auth>>,
        config: Live<HttpConfig>,
        counters: Counters,
    ) -> Self {
        Self {
            auth,
            rates: Rates::default(),
            config,
            counters,
        }
    }

    /// As whom a request is counted that was let in.
    pub(super) fn key(found: &Extensions) -> Key {
        let peer = found.get().map(|Peer(address)| *address);
        Key::of(found.get(), peer)
    }

    /// Counts one request more.
    ///
    /// # Errors
    ///
    /// The time to wait, when there were too many.
    pub(super) fn take(&self, key: Key) -> Result<(), Duration> {
        let limit = &self.config.load().rate_limit;
        self.rates.take(key, Instant::now(), limit)
    }

    /// Puts the caller into the request's head.
    ///
    /// # Errors
    ///
    /// The refusal of a request that may not be made, or not now.
    pub(super) fn admit<B>(
        &self,
        request: &mut Request<B>,
    ) -> Result<Option<Caller>, Box<Response>> {
        let caller = match &self.auth {
            Some(auth) => auth.admit(request),
            None => Ok(None),
        };
        let caller = caller.map_err(|refused| {
            self.counters.count(Event::Unauthorized);
            tracing::debug!(?refused, path = request.uri().path(), "refused a request");
            Box::new(refused.response())
        })?;
        match self.take(Self::key(request.extensions())) {
            Ok(()) => Ok(caller),
            Err(wait) => {
                self.counters.count(Event::RateLimited);
                Err(Box::new(too_often(wait)))
            }
        }
    }

    /// Puts the caller into the request's head, or refuses the request.
    pub(super) async fn check(&self, mut request: Request, next: Next) -> Response {
        let path = request.uri().path();
        if OPEN_PATHS.contains(&path) || path.starts_with(WELL_KNOWN) || is_asset(path) {
            return next.run(request).await;
        }
        match self.admit(&mut request) {
            Ok(None) => next.run(request).await,
            Ok(Some(caller)) => until_revoked(next.run(request).await, &caller),
            Err(refusal) => *refusal,
        }
    }
}

fn too_often(wait: Duration) -> Response {
    let refusal = rate_limited_response(wait);
    let mut response = body::json(StatusCode::TOO_MANY_REQUESTS, refusal);
    // Whole seconds, at least one: the exact time is in the error.
    let seconds = wait.as_secs_f64().ceil().max(1.0);
    let seconds = HeaderValue::from_str(&seconds.to_string()).expect("a number is visible text");
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response
}

/// Ends what is sent for as long as somebody listens when the caller's token is revoked. Answers
/// are sent to their end.
pub(super) fn until_revoked(response: Response, caller: &Caller) -> Response {
    let is_stream = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    match caller.revoked() {
        Some(revoked) if is_stream => {
            let revoked = revoked.clone().cancelled_owned();
            response.map(|body| Body::new(Ending::new(body, revoked)))
        }
        _ => response,
    }
}
