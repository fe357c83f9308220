//! A server that offers one of everything: every kind of tool, prompt, resource
//! and notification that the protocol knows, under the names which the public
//! conformance suite looks for.
//!
//! ```text
//! cargo run --example everything -- --listen 127.0.0.1:8080
//! cargo run --example everything -- stdio
//! ```
//!
//! Each group of features is one file; [`handler`] only passes requests on.
#![expect(
    deprecated,
    reason = "older clients still use logging, roots and sampling, which the newest revision deprecates"
)]

mod assets;
mod completions;
mod handler;
mod inputs;
mod prompts;
mod request_state;
mod resources;
mod shared;
mod subscriptions;
mod tools;

use std::{error::Error, io, net::SocketAddr};

use clap::Parser;
use rmcp::{
    ServiceExt,
    transport::{
        StreamableHttpServerConfig, StreamableHttpService, stdio,
        streamable_http_server::session::local::LocalSessionManager,
    },
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::handler::Everything;

/// Serves one of every protocol feature, for tests of clients and gateways.
#[derive(Debug, Parser)]
struct Args {
    /// Address of the HTTP endpoint `/mcp`; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    #[command(subcommand)]
    transport: Option<Transport>,
}

#[derive(Clone, Copy, Debug, clap::Subcommand)]
enum Transport {
    /// Speak over standard input and output instead of HTTP.
    Stdio,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    // Standard output belongs to the stdio transport.
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_env_filter(
            EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| EnvFilter::new("warn,everything=info")),
        )
        .init();
    let shutdown = CancellationToken::new();
    tokio::spawn(cancel_on_signal(shutdown.clone()));
    serve(args, Everything::default(), shutdown).await
}

/// All of the transport wiring.
async fn serve(
    args: Args,
    handler: Everything,
    shutdown: CancellationToken,
) -> Result<(), Box<dyn Error>> {
    if let Some(Transport::Stdio) = args.transport {
        handler
            .serve_with_ct(stdio(), shutdown)
            .await?
            .waiting()
            .await?;
        return Ok(());
    }
    let listener = TcpListener::bind(args.listen).await?;
    tracing::info!("serving http://{}/mcp", listener.local_addr()?);
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        // Two small writes per answer would otherwise wait for a delayed ACK.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY refused");
        }
    });
    let service = StreamableHttpService::new(
        move || Ok(handler.clone()),
        LocalSessionManager::default().into(),
        StreamableHttpServerConfig::default().with_cancellation_token(shutdown.child_token()),
    );
    axum::serve(listener, axum::Router::new().route_service("/mcp", service))
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await?;
    Ok(())
}

async fn cancel_on_signal(shutdown: CancellationToken) {
    match tokio::signal::ctrl_c().await {
        Ok(()) => shutdown.cancel(),
        Err(error) => tracing::warn!(%error, "interrupts are not handled"),
    }
}
