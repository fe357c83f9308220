//! New settings for a server that runs: on a change of the file, and on SIGHUP.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::{Interval, MissedTickBehavior, interval};

use super::{Cli, CliError, signals::Hangups};
use crate::{
    app::App,
    config::{Config, Reload},
    telemetry::{self, Log},
};

/// How often the file is looked at. One look is one `stat`: a watch by the operating system would
/// cost a dependency, and miss files that are put in place by renaming or on a network.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Loads the settings again, as they were loaded at the start, and puts them in force.
pub(super) struct Reloader {
    cli: Arc<Cli>,
    running: Config,
    log: Log,
    hangups: Option<Hangups>,
    file: Option<File>,
}

impl Reloader {
    /// Listens from now on. `hangups`: whether SIGHUP asks for a reload, too.
    pub(super) fn new(cli: Cli, config: Config, log: Log, hangups: bool) -> Result<Self, CliError> {
        let hangups = hangups.then(Hangups::listen).transpose();
        let hangups = hangups.map_err(|source| CliError::Io {
            what: "cannot listen for SIGHUP",
            source,
        })?;
        Ok(Self {
            file: cli.config.clone().map(File::new),
            cli: Arc::new(cli),
            running: config,
            log,
            hangups,
        })
    }

    /// Reloads whenever there is a reason to, until it is dropped. Cancel safe but for a reload
    /// that is lost.
    pub(super) async fn run(mut self, app: &App) {
        loop {
            tokio::select! {
                () = Hangups::next(self.hangups.as_mut()) => self.reload(app, true).await,
                () = File::changed(self.file.as_mut()) => self.reload(app, false).await,
            }
        }
    }

    /// `asked`: whether somebody waits to hear what came of it.
    async fn reload(&mut self, app: &App, asked: bool) {
        let reload = match self.load().await {
            Ok(reload) => reload,
            Err(error) => {
                tracing::error!("the settings stay as they are: {error}");
                return;
            }
        };
        let Reload {
            config,
            changed,
            at_restart,
        } = reload;
        if !changed.is_empty() {
            app.reload(&config);
            if let Err(error) = self.log.reload(&config.log) {
                tracing::error!("the log filter stays as it is: {error}");
            }
            tracing::info!("new settings are in force: {}", changed.join(", "));
        } else if asked {
            tracing::info!("no setting has changed that can change while the server runs");
        }
        if !at_restart.is_empty() {
            tracing::warn!(
                "changed, but not in force before a restart: {}",
                at_restart.join(", ")
            );
        }
        self.running = config;
    }

    /// The same way as at the start: file, environment, command line, and all checks.
    async fn load(&self) -> Result<Reload, CliError> {
        let cli = self.cli.clone();
        let loaded = tokio::task::spawn_blocking(move || cli.config()).await;
        let wanted = loaded.map_err(|error| CliError::Io {
            what: "cannot load the settings",
            source: error.into(),
        })??;
        telemetry::check(&wanted.log)?;
        Ok(self.running.reload(&wanted)?)
    }
}

/// The configuration file, and what it looked like when it was last loaded.
struct File {
    path: PathBuf,
    looks: Interval,
    loaded: Option<Look>,
    last: Option<Look>,
}

/// What tells two versions of a file apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    modified: Option<SystemTime>,
    bytes: u64,
}

impl File {
    fn new(path: PathBuf) -> Self {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            path,
            looks,
            // It may have changed since it was read for the start: the first look finds out.
            loaded: None,
            last: None,
        }
    }

    /// Waits until the file has changed and looks the same twice, so that it is not read while it
    /// is being written; for good where there is no file. One that is gone has not changed. Cancel
    /// safe.
    async fn changed(this: Option<&mut Self>) {
        let Some(this) = this else {
            return std::future::pending().await;
        };
        loop {
            this.looks.tick().await;
            let Some(look) = look(&this.path).await else {
                continue;
            };
            let settled = this.last.replace(look) == Some(look);
            if settled && this.loaded != Some(look) {
                this.loaded = Some(look);
                return;
            }
        }
    }
}

async fn look(path: &Path) -> Option<Look> {
    let metadata = tokio::fs::metadata(path).await.ok()?;
    Some(Look {
        modified: metadata.modified().ok(),
        bytes: metadata.len(),
    })
}
