//! The servers that are compared.

use std::{net::Ipv4Addr, sync::Arc};

use axum::{Router, routing};
use bytes::Bytes;
use http::header;
use mcp_server::{
    call::Call,
    config::HttpConfig,
    protocol::{Envelope, Front, McpHandler, Strict},
    tools::{Registry, Tool},
    transport::http as mcp_http,
};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    Failure,
    tool::{BenchText, CALL, Plain},
};

/// What answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// axum with fixed bytes: what HTTP alone costs.
    Axum,
    /// The server's rooms with the front.
    Front,
    /// The same without it.
    NoFront,
    /// rmcp as its documentation shows it, at its fastest settings.
    Rmcp,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Axum, Self::Front, Self::NoFront, Self::Rmcp];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Axum => "axum",
            Self::Front => "front",
            Self::NoFront => "no-front",
            Self::Rmcp => "rmcp",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Axum => "axum, fixed bytes",
            Self::Front => "mcp-server",
            Self::NoFront => "mcp-server, front: false",
            Self::Rmcp => "rmcp",
        }
    }
}

/// Serves until it is killed; prints its address first.
#[tokio::main]
pub(crate) async fn serve(kind: Kind, bytes: usize) -> Result<(), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?);
    let text: Arc<str> = "x".repeat(bytes).into();
    let registry = Registry::new().with(BenchText(text.clone()));
    let handler = Strict::new(McpHandler::new(Arc::new(registry)));
    let front = Front::new(&handler);
    match kind {
        Kind::Axum => axum_serve(listener, fixed(&front).await?).await,
        Kind::Front => ours(listener, handler, Some(front)).await,
        Kind::NoFront => ours(listener, handler, None).await,
        Kind::Rmcp => rmcp_serve(listener, text).await,
    }
}

async fn ours(
    listener: TcpListener,
    handler: Strict<McpHandler>,
    front: Option<Front>,
) -> Result<(), Failure> {
    let options = mcp_http::Options {
        front,
        ..mcp_http::Options::default()
    };
    let config = HttpConfig {
        // All connections of a load are one client.
        sessions_per_client_max: 10_000,
        ..HttpConfig::default()
    };
    let never = CancellationToken::new();
    mcp_http::serve(listener, handler, options, config, never).await?;
    Ok(())
}

/// The very bytes that the server answers with.
async fn fixed(front: &Front) -> Result<Bytes, Failure> {
    let envelope = Envelope::parse(CALL.as_bytes())?;
    let headers = [
        (
            header::ACCEPT.as_str(),
            "application/json, text/event-stream",
        ),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", BenchText::NAME),
    ];
    let headers = headers.map(|(name, value)| Ok::<_, Failure>((name.parse()?, value.parse()?)));
    let headers = headers.into_iter().collect::<Result<_, _>>()?;
    let answer = front.answer(&headers, &envelope, Call::local()).await;
    Ok(answer.ok_or("the front takes this call")?.into())
}

async fn axum_serve(listener: TcpListener, fixed: Bytes) -> Result<(), Failure> {
    let answer = move |_request: Bytes| {
        let fixed = fixed.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], fixed) }
    };
    let router = Router::new().route("/mcp", routing::post(answer));
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, router).await?)
}

async fn rmcp_serve(listener: TcpListener, text: Arc<str>) -> Result<(), Failure> {
    let handler = Plain(text);
    let service = StreamableHttpService::new(
        move || Ok(handler.clone()),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default().with_json_response(true),
    );
    let router = Router::new().nest_service("/mcp", service);
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, router).await?)
}
