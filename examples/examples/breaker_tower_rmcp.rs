//! A breaker as a tower layer in front of an rmcp server.
//!
//! ```text
//! cargo run -p examples --example breaker_tower_rmcp
//! ```
//!
//! The server speaks MCP over streamable HTTP on loopback. Its one tool asks a
//! backend that hangs for a while: each call then takes the whole timeout. The
//! layer outside of the timeout opens after five of them, and callers are told
//! to come back later within a millisecond instead.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use axum::{Router, error_handling::HandleError, response::IntoResponse};
use examples::{check, http::tool_call};
use http::{Response, StatusCode, header::RETRY_AFTER};
use mcp_breaker::{Breaker, CallError, Config, OpenConfig, Verdict, tower::GuardLayer};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ServerCapabilities,
        ServerConfig,
    },
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use serde_json::json;
use std::{
    error::Error,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpListener, time::Instant};
use tower::{BoxError, ServiceBuilder, timeout::TimeoutLayer};

const TIMEOUT: Duration = Duration::from_millis(100);
const OPEN: Duration = Duration::from_millis(300);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hangs = Arc::new(AtomicBool::new(false));
    let breaker = Breaker::new(&Config {
        open: OpenConfig {
            delay: OPEN,
            jitter: 0.0,
            ..OpenConfig::default()
        },
        ..Config::default()
    })?;
    let addr = serve(Recall(Arc::clone(&hangs)), breaker.clone()).await?;

    let (healthy, body, _) = call(addr).await?;
    println!("{healthy} {body}");
    check(
        healthy == StatusCode::OK && body.contains("remembered"),
        "the tool answers through the layer",
    )?;

    hangs.store(true, Ordering::Relaxed);
    for _ in 0..5 {
        let (status, _, took) = call(addr).await?;
        println!("{status} after {took:.1?}: the backend hangs");
    }
    let (status, body, took) = call(addr).await?;
    println!("{status} after {took:.1?}: {body}");
    check(
        status == StatusCode::SERVICE_UNAVAILABLE && took < TIMEOUT / 2,
        "the open breaker answers at once",
    )?;

    hangs.store(false, Ordering::Relaxed);
    breaker.ready().await;
    for _ in 0..2 {
        let (status, _, took) = call(addr).await?;
        println!("{status} after {took:.1?}: a probe");
    }
    println!("{:?}", breaker.stats());
    check(
        breaker.state() == mcp_breaker::State::Closed,
        "two good probes closed it",
    )
}

/// Breaker outside, timeout inside: a call that takes too long is an error that
/// the breaker sees, and not a future that is dropped.
async fn serve(handler: Recall, breaker: Breaker) -> io::Result<SocketAddr> {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true);
    let sessions = Arc::new(LocalSessionManager::default());
    let mcp = StreamableHttpService::new(move || Ok(handler.clone()), sessions, config);
    let guarded = ServiceBuilder::new()
        .layer(GuardLayer::new(breaker).classify(by_status))
        .layer(TimeoutLayer::new(TIMEOUT))
        .service(mcp);
    let router = Router::new().route_service("/mcp", HandleError::new(guarded, explain));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(addr)
}

fn by_status<B>(result: &Result<Response<B>, BoxError>) -> Verdict {
    match result.as_ref().map(|response| response.status().as_u16()) {
        Ok(429) => Verdict::OVERLOAD,
        Ok(500..) | Err(_) => Verdict::FAILURE,
        Ok(400..) => Verdict::IGNORE,
        Ok(_) => Verdict::SUCCESS,
    }
}

/// What a caller is told when there is no answer from the server.
async fn explain(error: CallError<BoxError>) -> impl IntoResponse {
    match error {
        CallError::Rejected(rejected) => {
            let wait = rejected.retry_after().unwrap_or_default().as_secs().max(1);
            let head = (
                StatusCode::SERVICE_UNAVAILABLE,
                [(RETRY_AFTER, wait.to_string())],
            );
            (head.0, head.1, rejected.to_string()).into_response()
        }
        other => (StatusCode::GATEWAY_TIMEOUT, other.to_string()).into_response(),
    }
}

/// One tool, whose backend can hang.
#[derive(Debug, Clone)]
struct Recall(Arc<AtomicBool>);

impl ServerHandler for Recall {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(
        &self,
        _: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if self.0.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        Ok(CallToolResult::success(vec![ContentBlock::text("remembered")]).into())
    }
}

/// Calls the tool as a client without a session does.
async fn call(addr: SocketAddr) -> Result<(StatusCode, String, Duration), Box<dyn Error>> {
    let request = tool_call(addr, "recall", &json!({}))?;
    let start = Instant::now();
    let response = examples::send(addr, request).await?;
    let body = String::from_utf8_lossy(response.body()).into_owned();
    Ok((response.status(), body, start.elapsed()))
}
