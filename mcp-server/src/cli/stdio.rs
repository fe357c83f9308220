//! `mcp-server stdio`.

use rmcp::transport::io::stdio_pipes;

use super::{CliError, StdioArgs, signals};
use crate::{app::App, config::Config, transport::stdio};

pub(super) async fn run(config: &Config, args: &StdioArgs) -> Result<(), CliError> {
    let shutdown = signals::shutdown()?;
    let app = App::build(config)?;
    tracing::info!(
        client = args.client.as_deref(),
        "serving on standard input and output (data in {})",
        app.data_dir().display()
    );
    let (input, output) = stdio_pipes();
    let served = tokio::select! {
        served = stdio::serve(app.handler(), input, output, &config.stdio, shutdown) => served,
        // Nobody is there to answer.
        () = output_closed() => {
            tracing::info!("the client closed the output");
            Ok(())
        }
    };
    app.close().await;
    tracing::info!("stopped");
    Ok(served?)
}

/// Waits until the other end of standard output is closed; for good where that cannot be told
/// before something is written.
#[cfg(unix)]
#[expect(
    deprecated,
    reason = "its successor is unsafe and asks for what an owned descriptor gives"
)]
async fn output_closed() {
    use std::{
        io,
        os::fd::{AsFd, OwnedFd},
    };

    use tokio::io::{Interest, unix::AsyncFd};

    let watch = || -> io::Result<AsyncFd<OwnedFd>> {
        let output = io::stdout().as_fd().try_clone_to_owned()?;
        AsyncFd::with_interest(output, Interest::WRITABLE | Interest::ERROR)
    };
    // A file cannot be watched, nor closed by somebody else.
    if let Ok(output) = watch() {
        while let Ok(mut guard) = output.ready(Interest::WRITABLE | Interest::ERROR).await {
            if guard.ready().is_error() || guard.ready().is_write_closed() {
                return;
            }
            // There was room for more: nothing that matters here.
            guard.clear_ready();
        }
    }
    std::future::pending().await
}

#[cfg(not(unix))]
async fn output_closed() {
    std::future::pending().await
}
