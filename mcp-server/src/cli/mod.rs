//! The command line: what it accepts, and the one place that turns it into a running server.

mod args;
mod bench;
mod bench_args;
mod config;
mod memory;
mod memory_copy;
mod reload;
mod serve;
mod signals;
mod stdio;

use std::process::ExitCode;

pub use args::{
    Against, BenchArgs, Cli, Command, ConfigCommand, CopyArgs, ExportArgs, ImportArgs, InitArgs,
    MemoryCommand, ServeArgs, ShowArgs, StdioArgs,
};

pub use memory_copy::StoreAddress;

use crate::{
    app::BuildError,
    bench::error::BenchError,
    config::{Config, ConfigError, Origins, SetBy},
    telemetry::{Log, TelemetryError},
    transfer::TransferError,
    transport::stdio::StdioError,
};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log filter is wrong.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The parts could not be put together.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}. Another program may be using the port: choose \
         another one with --listen, or port 0 for any"
    )]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The stdio server ended badly.
    #[error(transparent)]
    Stdio(#[from] StdioError),
    /// A benchmark ended early.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// An import or export stopped.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// A file would be written over.
    #[error("`{path}` is there already: choose another name, or give --force to write over it")]
    Exists {
        /// The file, as given.
        path: String,
    },
    /// A file cannot be written.
    #[error("cannot write `{path}`: {source}")]
    Output {
        /// The file, as given.
        path: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Something else that the operating system refused.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the operating system says.
        source: std::io::Error,
    },
}

impl CliError {
    /// 2 for what the caller can mend on the command line or in the configuration, else 1.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Telemetry(_) | Self::Bench(BenchError::Settings(_)) => {
                ExitCode::from(2)
            }
            _ => ExitCode::FAILURE,
        }
    }
}

impl Cli {
    /// The configuration that file, environment and command line make together, checked.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says where and what.
    pub fn config(&self) -> Result<Config, ConfigError> {
        self.config_with_origins().map(|(config, _)| config)
    }

    /// The same, with what was set by which.
    fn config_with_origins(&self) -> Result<(Config, Origins), ConfigError> {
        if self.command.needs_no_config() {
            return Ok(Default::default());
        }
        let (mut config, mut origins) =
            crate::config::load(self.config.as_deref(), std::env::vars_os())?;
        let mut set = |field: &str, flag| origins.set(field.to_owned(), SetBy::CommandLine(flag));
        if let Some(filter) = &self.log {
            config.log.filter.clone_from(filter);
            set("log.filter", "--log");
        }
        if let Some(dir) = &self.data_dir {
            config.memory.data_dir = Some(dir.clone());
            set("memory.data_dir", "--data-dir");
        }
        if self.safe_mode {
            config.safe_mode = true;
            set("safe_mode", "--safe-mode");
        }
        if let Command::Serve(ServeArgs {
            listen: Some(listen),
        }) = &self.command
        {
            config.http.listen = *listen;
            set("http.listen", "--listen");
        }
        config.validate().map_err(|error| origins.located(error))?;
        Ok((config, origins))
    }

    /// Runs the command to its end, and says with what status the program ends. A server reloads
    /// `config`, and the filter of `log`, while it serves.
    ///
    /// # Errors
    ///
    /// [`CliError`], in words for the person at the terminal.
    pub async fn run(self, config: Config, log: Log) -> Result<ExitCode, CliError> {
        match self.command {
            Command::Config(ref command) => config::run(&self, command)?,
            Command::Serve(_) => serve::run(self, config, log).await?,
            Command::Stdio(ref args) => {
                let name = args.client.clone();
                stdio::run(self, config, log, name).await?;
            }
            Command::Bench(args) => {
                let given = bench::Given {
                    config: self.config,
                    safe_mode: config.safe_mode,
                };
                return bench::run(args, given).await;
            }
            Command::Memory(command) => return memory::run(&config, command).await,
        }
        Ok(ExitCode::SUCCESS)
    }
}
