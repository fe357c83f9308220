//! MCP over standard input and output: one message a line, nothing else on standard output.

mod calls;
mod lines;
mod output;
mod pending;
mod transport;

use rmcp::{
    ServerHandler, serve_server,
    service::{QuitReason, ServerInitializeError},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use self::transport::StdioTransport;
use crate::{config::StdioConfig, protocol::Front};

/// Why a stdio server ended badly. The end of its input is not among these: that is its regular
/// end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StdioError {
    /// The client did not get as far as a session.
    #[error("the client did not open a session: {0}")]
    Handshake(#[source] Box<ServerInitializeError>),
    /// The serving task died.
    #[error("the stdio server broke: {0}")]
    Task(#[source] tokio::task::JoinError),
}

/// Serves one client on `input` and `output` until the input ends or `shutdown`, then answers the
/// calls in flight within `config.drain_timeout`. `front`, if there is one, answers the requests
/// that it can decide in one pass; it must have been made for `handler`.
///
/// Lines that are no messages are answered with a JSON-RPC error and skipped.
///
/// # Errors
///
/// [`StdioError`], never for a client that just leaves.
pub async fn serve<H, R, W>(
    handler: H,
    front: Option<Front>,
    input: R,
    output: W,
    config: &StdioConfig,
    shutdown: CancellationToken,
) -> Result<(), StdioError>
where
    H: ServerHandler,
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let transport = StdioTransport::new(front, input, output, config, shutdown);
    let cut = transport.cut();
    let service = match serve_server(handler, transport).await {
        Ok(service) => service,
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(StdioError::Handshake(Box::new(error))),
    };
    let quit = tokio::select! {
        quit = service.waiting() => quit,
        // rmcp would go on waiting for the calls, by a clock of its own.
        () = cut.cancelled() => return Ok(()),
    };
    match quit {
        Ok(QuitReason::JoinError(error)) | Err(error) => Err(StdioError::Task(error)),
        Ok(_) => Ok(()),
    }
}
