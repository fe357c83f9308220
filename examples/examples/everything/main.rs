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

use std::{error::Error, net::SocketAddr};

use clap::Parser;
use mcp_server::{
    config::{HttpConfig, LogConfig, StdioConfig},
    protocol::Strict,
    telemetry,
    transport::{http, stdio},
};
use rmcp::transport::io::stdio_pipes;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

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
    telemetry::init(&LogConfig {
        filter: "warn,everything=info".to_owned(),
        ..LogConfig::default()
    })?;
    let shutdown = CancellationToken::new();
    tokio::spawn(cancel_on_signal(shutdown.clone()));
    serve(args, Everything::default(), shutdown).await
}

/// The same rooms that carry the memory server carry this one.
async fn serve(
    args: Args,
    handler: Everything,
    shutdown: CancellationToken,
) -> Result<(), Box<dyn Error>> {
    let handler = Strict::new(handler);
    if let Some(Transport::Stdio) = args.transport {
        let (input, output) = stdio_pipes();
        let config = StdioConfig::default();
        stdio::serve(handler, None, input, output, &config, shutdown).await?;
        return Ok(());
    }
    let listener = TcpListener::bind(args.listen).await?;
    tracing::info!("ready: http://{}/mcp", listener.local_addr()?);
    http::serve(
        listener,
        handler,
        http::Options::default(),
        HttpConfig::default(),
        shutdown,
    )
    .await?;
    Ok(())
}

async fn cancel_on_signal(shutdown: CancellationToken) {
    match tokio::signal::ctrl_c().await {
        Ok(()) => shutdown.cancel(),
        Err(error) => tracing::warn!(%error, "interrupts are not handled"),
    }
}
