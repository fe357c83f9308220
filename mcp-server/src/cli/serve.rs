//! `mcp-server serve`.

use std::{net::SocketAddr, time::Duration};

use tokio::net::TcpListener;

use super::{Cli, CliError, descriptors, reload::Reloader, signals};
use crate::{
    app::{self, App},
    auth::Tokens,
    config::Config,
    telemetry::Log,
    transport::http::{self, Drained},
};

/// The longest that the first calls are prepared for.
const WARM_UP_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) async fn run(cli: Cli, config: Config, log: Log) -> Result<(), CliError> {
    check_tokens(&config).await?;
    descriptors::raise_limit();
    // A taken port is found before the store is touched.
    let address = config.http.listen;
    let failed = |source| CliError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let shutdown = signals::shutdown()?;
    let app = App::build(&config).await?;
    let warms = !config.safe_mode;
    let asks_for_tokens = config.http.asks_for_tokens();
    let reloader = Reloader::new(cli, config, log, true)?;
    if !address.ip().is_loopback() && !asks_for_tokens {
        tracing::warn!(%address, "everybody who reaches this address can read and change all memories");
    }
    if !asks_for_tokens && !app.tokens().is_empty() {
        tracing::info!("who shows no token works as the tenant `local`; see http.require_token");
    }
    let served = http::serve(
        listener,
        app.handler(),
        app.http_options(),
        app.http_settings(),
        shutdown,
    );
    let beside = async {
        app.start().await;
        if warms {
            // The server has no token for itself.
            warm(&app, (!asks_for_tokens).then_some(address)).await;
        }
        tracing::info!(
            "ready: http://{address}/mcp (data in {})",
            app.data_dir().display()
        );
        tokio::join!(reloader.run(&app), app.tokens().follow());
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

/// Where clients must show tokens, there must be one.
async fn check_tokens(config: &Config) -> Result<(), CliError> {
    if !config.http.asks_for_tokens() {
        return Ok(());
    }
    let dir = app::data_dir(config)?;
    let opened = tokio::task::spawn_blocking(move || Tokens::open(&dir)).await;
    let tokens = opened.map_err(|error| CliError::Io {
        what: "cannot read the tokens",
        source: error.into(),
    })??;
    match tokens.is_empty() {
        true => Err(CliError::NoTokens {
            address: config.http.listen,
            path: tokens.path().to_owned(),
        }),
        false => Ok(()),
    }
}

/// Makes the first call as fast as the others, if that does not take long. `address`: where the
/// server may be asked, too.
async fn warm(app: &App, address: Option<SocketAddr>) {
    let warm = async {
        app.warm().await;
        match address {
            Some(address) => http::warm(address).await,
            None => Ok(()),
        }
    };
    match tokio::time::timeout(WARM_UP_TIMEOUT, warm).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the warm-up request failed"),
        Err(_) => tracing::debug!("the warm-up was cut short"),
    }
}
