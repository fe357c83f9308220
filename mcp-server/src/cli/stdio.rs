//! `mcp-server stdio`.

use rmcp::transport::io::stdio_pipes;

use super::{Cli, CliError, reload::Reloader, signals};
use crate::{app::App, client, config::Config, telemetry::Log, transport::stdio};

/// `name`: what the client is called by whoever starts this.
pub(super) async fn run(
    cli: Cli,
    config: Config,
    log: Log,
    name: Option<String>,
) -> Result<(), CliError> {
    let shutdown = signals::shutdown()?;
    let app = App::build(&config).await?;
    let (stdio_config, warms) = (config.stdio.clone(), !config.safe_mode);
    // A terminal that hangs up means the end here: SIGHUP stays what it is.
    let reloader = Reloader::new(cli, config, log, false)?;
    tracing::info!(
        client = name.as_deref(),
        "serving on standard input and output (data in {})",
        app.data_dir().display()
    );
    let (input, output) = stdio_pipes();
    let beside = async {
        // Meanwhile the client opens its session.
        if warms {
            app.warm().await;
        }
        app.start().await;
        reloader.run(&app).await;
    };
    let handler = app.stdio_handler(name.as_deref().map(client::lane_of));
    let front = app.stdio_front(&handler);
    let served = tokio::select! {
        served = stdio::serve(handler, front, input, output, &stdio_config, shutdown) => served,
        () = beside => unreachable!("it runs until it is dropped"),
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
