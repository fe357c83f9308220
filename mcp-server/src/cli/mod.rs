//! The command line: what it accepts, and the one place that turns it into a running server.

mod args;
mod bench;
mod bench_args;
mod config;
mod connector_args;
mod connectors;
mod descriptors;
mod doctor;
mod memory;
mod memory_copy;
mod reload;
mod serve;
mod signals;
mod status;
mod stdio;
mod token;

use std::process::ExitCode;

use tokio::io::AsyncWriteExt;

pub use args::{
    Against, BenchArgs, Cli, Command, ConfigCommand, CopyArgs, DoctorArgs, ExportArgs, ImportArgs,
    InitArgs, MemoryCommand, ServeArgs, ShowArgs, StatusArgs, StdioArgs, TokenAddArgs,
    TokenCommand,
};
pub use connector_args::{AddArgs, ConnectorsCommand, ImportFileArgs, NameArgs};
pub use connectors::ConnectorsError;

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
    /// Clients must show tokens, and there are none.
    #[error(
        "http.listen is {address}, where clients must show a token, and there is none in `{path}`: \
         make one with `mcp-server token add`, or listen on 127.0.0.1 without http.require_token, or \
         set http.danger_listen_without_auth if a proxy in front keeps strangers out",
        path = path.display()
    )]
    NoTokens {
        /// The address to listen on.
        address: std::net::SocketAddr,
        /// The file of tokens.
        path: std::path::PathBuf,
    },
    /// There is no such token, or none could be made.
    #[error("{0}")]
    Token(String),
    /// A command on connectors.
    #[error(transparent)]
    Connectors(#[from] ConnectorsError),
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
    /// No server answers.
    #[error(
        "no server answers on {address}: {source}. Start one with `mcp-server serve`, or name another \
         address with --address"
    )]
    StatusUnreachable {
        /// Where it was looked for.
        address: std::net::SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The server that runs shows its status to whoever has a token.
    #[error(
        "the server on {address} wants a token with the scope read: put one that `mcp-server token \
         add` has made into the variable MCP_SERVER_TOKEN"
    )]
    StatusToken {
        /// Where it runs.
        address: std::net::SocketAddr,
    },
    /// What answers is no server of this kind.
    #[error(
        "what answers on {address} is no mcp-server of this version: it answered with {status}"
    )]
    StatusForeign {
        /// Where it runs.
        address: std::net::SocketAddr,
        /// The status of its answer.
        status: u16,
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
            Self::Config(_)
            | Self::Telemetry(_)
            | Self::NoTokens { .. }
            | Self::Bench(BenchError::Settings(_))
            | Self::Connectors(
                ConnectorsError::Unknown(_)
                | ConnectorsError::Exists(_)
                | ConnectorsError::Configured(_)
                | ConnectorsError::Settings(_)
                | ConnectorsError::NoMap
                | ConnectorsError::Import { .. },
            ) => ExitCode::from(2),
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
        self.read_config()
    }

    /// The same, whatever the command is.
    fn read_config(&self) -> Result<(Config, Origins), ConfigError> {
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
            Command::Serve(_) => Box::pin(serve::run(self, config, log)).await?,
            Command::Stdio(ref args) => {
                let name = args.client.clone();
                Box::pin(stdio::run(self, config, log, name)).await?;
            }
            Command::Status(args) => return status::run(&config, &args).await,
            Command::Doctor(ref args) => return doctor::run(&self, args).await,
            Command::Bench(args) => {
                let given = bench::Given {
                    config: self.config,
                    safe_mode: config.safe_mode,
                };
                return bench::run(args, given).await;
            }
            Command::Token(command) => token::run(&config, command).await?,
            Command::Connectors(command) => return connectors::run(&config, command).await,
            Command::Memory(command) => return memory::run(&config, command).await,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes to standard output.
async fn print(text: &str) -> Result<(), CliError> {
    let mut output = tokio::io::stdout();
    let written = async {
        output.write_all(text.as_bytes()).await?;
        output.flush().await
    };
    written
        .await
        .map_err(|source: std::io::Error| CliError::Io {
            what: "cannot write to standard output",
            source,
        })
}
