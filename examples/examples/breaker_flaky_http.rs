//! A breaker in front of an HTTP upstream that fails for a while.
//!
//! ```text
//! cargo run -p examples --example breaker_flaky_http
//! ```
//!
//! The upstream is a real server on loopback. It answers, then fails for 1.5
//! seconds and asks for a second of rest (Retry-After), then answers again. The
//! breaker opens after five failures, callers get the fallback at once and the
//! upstream is left alone; two good probes close it.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use bytes::Bytes;
use examples::check;
use http::{Request, Response, header::RETRY_AFTER};
use mcp_breaker::{Breaker, Config, OpenConfig, Verdict};
use std::{
    error::Error,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpListener, time::Instant};

const OUTAGE: Duration = Duration::from_millis(1500);
const CALLS: u32 = 400;
const PAUSE: Duration = Duration::from_millis(10);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let upstream = Arc::new(Upstream::default());
    let addr = serve(Arc::clone(&upstream)).await?;
    let breaker = Breaker::new(&Config {
        open: OpenConfig {
            delay: Duration::from_millis(200),
            ..OpenConfig::default()
        },
        ..Config::default()
    })?;
    let listener = tokio::spawn(print_changes(breaker.clone()));

    let mut fallbacks = 0;
    for _ in 0..CALLS {
        let answer = ask(&breaker, addr).await;
        fallbacks += u32::from(answer == "what we knew before");
        tokio::time::sleep(PAUSE).await;
    }

    let stats = breaker.stats();
    let reached = upstream.requests.load(Ordering::Relaxed);
    println!("{CALLS} calls: {reached} reached the upstream, {fallbacks} got the fallback");
    println!("{stats:?}");
    drop(breaker);
    listener.await?;
    check(stats.state == mcp_breaker::State::Closed, "it closed again")?;
    check(
        stats.opened >= 1 && stats.rejected > 50,
        "it refused during the outage",
    )?;
    check(
        u64::from(reached) + stats.rejected == u64::from(CALLS),
        "refused calls reach nobody",
    )
}

/// One guarded request; the fallback stands in for a cache.
async fn ask(breaker: &Breaker, addr: SocketAddr) -> String {
    let request = || async move {
        let request = Request::get("/")
            .header("host", "upstream")
            .body(Bytes::new().into());
        examples::send(addr, request.map_err(io::Error::other)?).await
    };
    match breaker.call_with(&by_status, request).await {
        Ok(response) if response.status().is_success() => {
            String::from_utf8_lossy(response.body()).into_owned()
        }
        Ok(_) | Err(_) => "what we knew before".to_owned(),
    }
}

/// What an answer says about the upstream.
fn by_status(result: &io::Result<Response<Bytes>>) -> Verdict {
    let Ok(response) = result else {
        return Verdict::FAILURE;
    };
    let verdict = match response.status().as_u16() {
        429 => Verdict::OVERLOAD,
        500.. => Verdict::FAILURE,
        400.. => Verdict::IGNORE,
        _ => Verdict::SUCCESS,
    };
    let seconds = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    seconds.map_or(verdict, |seconds| {
        verdict.with_retry_after(Duration::from_secs(seconds))
    })
}

async fn print_changes(breaker: Breaker) {
    let mut events = breaker.subscribe();
    drop(breaker);
    let start = Instant::now();
    while let Some(change) = events.next().await {
        let (from, to, after) = (change.from, change.to, start.elapsed());
        println!(
            "{after:>8.0?}  {from} -> {to} because of {:?}",
            change.cause
        );
    }
}

#[derive(Debug)]
struct Upstream {
    start: Instant,
    requests: AtomicU32,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            requests: AtomicU32::new(0),
        }
    }
}

async fn serve(upstream: Arc<Upstream>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let router = Router::new().route("/", get(answer)).with_state(upstream);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(addr)
}

async fn answer(State(upstream): State<Arc<Upstream>>) -> impl IntoResponse {
    upstream.requests.fetch_add(1, Ordering::Relaxed);
    let age = upstream.start.elapsed();
    let healthy = age < OUTAGE / 3 || age > OUTAGE / 3 + OUTAGE;
    if healthy {
        return "fresh from the upstream".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")]).into_response()
}
