//! `mcp-server serve`.

use std::{net::SocketAddr, time::Duration};

use tokio::net::TcpListener;

use super::{Cli, CliError, reload::Reloader, signals};
use crate::{
    app::App,
    config::Config,
    telemetry::Log,
    transport::http::{self, Drained},
};

/// The longest that the first calls are prepared for.
const WARM_UP_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) async fn run(cli: Cli, config: Config, log: Log) -> Result<(), CliError> {
    // Listening comes first: a taken port is found before the store is touched.
    let address = config.http.listen;
    let failed = |source| CliError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let shutdown = signals::shutdown()?;
    let app = App::build(&config).await?;
    let warms = !config.safe_mode;
    let reloader = Reloader::new(cli, config, log, true)?;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "everybody who reaches this address can read and change all memories");
    }
    let served = http::serve(
        listener,
        app.handler(),
        app.http_options(),
        app.http_settings(),
        shutdown,
    );
    let beside = async {
        if warms {
            warm(&app, address).await;
        }
        tracing::info!(
            "ready: http://{address}/mcp (data in {})",
            app.data_dir().display()
        );
        reloader.run(&app).await;
    };
    let served = tokio::select! {
        served = served => served,
        () = beside => unreachable!("it runs until it is dropped"),
    };
    let drained = served.map_err(|source| CliError::Io {
        what: "cannot serve",
        source,
    })?;
    app.close().await;
    match drained {
        Drained::Whole => tracing::info!("stopped"),
        Drained::Cut => tracing::warn!("stopped; calls that took too long were cut off"),
    }
    Ok(())
}

/// Makes the first call as fast as the others, if that does not take long.
async fn warm(app: &App, address: SocketAddr) {
    let warm = async {
        app.warm().await;
        http::warm(address).await
    };
    match tokio::time::timeout(WARM_UP_TIMEOUT, warm).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the warm-up request failed"),
        Err(_) => tracing::debug!("the warm-up was cut short"),
    }
}
