//! What the command line accepts.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::auth::Scope;

pub use super::bench_args::{Against, BenchArgs};
use super::{connector_args::ConnectorsCommand, memory_copy::StoreAddress};

/// A fast MCP memory server.
///
/// Needs no configuration: `mcp-server serve` answers on http://127.0.0.1:7420/mcp and keeps its
/// data in the platform's folder for application data.
#[derive(Debug, Parser)]
#[command(
    name = "mcp-server",
    version,
    after_help = "\
Examples:
  mcp-server serve
  mcp-server serve --listen 127.0.0.1:0 --data-dir ./data
  mcp-server stdio --client cursor
  mcp-server memory import memories_export.zip
  mcp-server token add laptop --tenant ann --scope read
  mcp-server memory export -o memories.jsonl
  mcp-server connectors import ~/.cursor/mcp.json
  mcp-server status
  mcp-server doctor
  mcp-server bench --profile agent-loop --compare safe-mode
  mcp-server config init && mcp-server serve --config mcp-server.yaml

Every setting of the file can be given as an environment variable, too:
  MCP_SERVER__HTTP__LISTEN=127.0.0.1:8000 mcp-server serve"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Read settings from this YAML file.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keep all data in this folder.
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// What to log to standard error: error, warn, info, debug, trace, or directives such as
    /// info,mcp_server=debug.
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
    /// Leave out whatever makes the server faster or guards it from its own dependencies, to find
    /// out whether one of those parts is at fault.
    #[arg(long, global = true)]
    pub safe_mode: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve MCP over HTTP at /mcp, with /healthz and /readyz beside it.
    Serve(ServeArgs),
    /// Serve MCP over standard input and output, for one client that starts this program itself.
    Stdio(StdioArgs),
    /// Bring memories in from a file, or write them out.
    #[command(subcommand)]
    Memory(MemoryCommand),
    /// Make, list and revoke the tokens that clients show over HTTP.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Say which other MCP servers are reached through this one.
    #[command(subcommand)]
    Connectors(ConnectorsCommand),
    /// Say how the server that runs does.
    Status(StatusArgs),
    /// Look at everything that a server needs, and say how to mend what is wrong.
    Doctor(DoctorArgs),
    /// Measure the server on this machine, and judge what it answers.
    Bench(BenchArgs),
    /// Check, show or begin a file of settings.
    #[command(subcommand)]
    Config(ConfigCommand),
}

impl Command {
    /// Whether it works whatever the settings are.
    pub(super) fn needs_no_config(&self) -> bool {
        matches!(
            self,
            Self::Config(ConfigCommand::Init(_) | ConfigCommand::Schema) | Self::Doctor(_)
        )
    }
}

/// Arguments of `status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Where the server asks for tokens, one with the scope read is taken from the variable \
MCP_SERVER_TOKEN. The exit status is 0 when the server is ready, else 1.")]
pub struct StatusArgs {
    /// Ask the server on this address [default: the one of the settings].
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<SocketAddr>,
    /// Print everything that it says, as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Looks at the configuration, the data folder, the store, the address, the tokens, PostgreSQL and \
Redis where they are configured, the connectors, the clock and the limits of this machine, and at \
the server that runs already, if there is one. Nothing is changed, but connectors are started and \
asked for their tools. The exit status is 1 when something does not work; warnings leave it at 0.")]
pub struct DoctorArgs {
    /// Print the findings as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What to do with the tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it: this is the only time that it is shown.
    #[command(after_help = "\
A client sends it as `Authorization: Bearer TOKEN`. Only its hash is kept, in `tokens.json` in the \
data directory. A server that runs takes it from the next second on.")]
    Add(TokenAddArgs),
    /// List the tokens: id, scope, tenant, time and name.
    List,
    /// Revoke a token; a server that runs refuses it from the next second on.
    Revoke {
        /// The token's id, as listed.
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// Arguments of `token add`.
#[derive(Debug, Args)]
pub struct TokenAddArgs {
    /// What it is for: the name of a person, a machine, a program.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Whose data it opens. Tenants see nothing of each other; `local` is the one that clients
    /// work as who need no token.
    #[arg(long, value_name = "TENANT", default_value = "local")]
    pub tenant: String,
    /// What it allows: read, write (and read), admin (and both).
    #[arg(long, value_name = "SCOPE", default_value = "write")]
    pub scope: Scope,
}

/// What to do with the settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check the settings that --config, the environment and the command line make together.
    Check,
    /// Show those settings, as a file that would make the same.
    Show(ShowArgs),
    /// Write a file with all settings at their defaults, to be edited.
    Init(InitArgs),
    /// Print the JSON Schema of the file, for editors.
    Schema,
}

/// Arguments of `config show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Say at each setting what set it: a file, a variable, an option, or nothing.
    #[arg(long)]
    pub origin: bool,
}

/// Arguments of `config init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The file to write, or - for standard output.
    #[arg(value_name = "FILE", default_value = "mcp-server.yaml")]
    pub file: PathBuf,
    /// Write over a file that is there.
    #[arg(long)]
    pub force: bool,
}

/// What to do with the memories.
#[derive(Debug, Subcommand)]
pub enum MemoryCommand {
    /// Store the memories of a file; doing it again changes nothing.
    #[command(after_help = "\
Reads this program's own export, an OpenMemory export (.zip), a list of memories from mem0 (JSON), \
and the file of the reference memory server (JSON lines), plain or gzipped. Memories that cannot \
be stored are named and left out, and the exit status is then 1.

A server may run on the same data meanwhile.")]
    Import(ImportArgs),
    /// Write all memories as JSON lines, with ids, times and versions.
    Export(ExportArgs),
    /// Copy all memories and contexts from a store into another one; doing it again changes nothing.
    #[command(after_help = "\
A copy that was cut off goes on where it was when the same command is given again. Servers may run on \
both stores meanwhile; what is changed behind the copy's back is copied by the next one. Nothing is \
deleted. Examples:
  mcp-server memory copy --from sqlite:./data --to postgres://mcp:secret@db.example.com/mcp
  mcp-server memory copy --from postgres://mcp:secret@db.example.com/mcp --to sqlite:./backup")]
    Copy(CopyArgs),
    /// Look at the settings of the PostgreSQL server, and say what would be better.
    Doctor,
}

/// Arguments of `memory import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file to read, or - for standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Put all memories into this namespace, instead of where the file says.
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Read and check everything, and store nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `memory copy`.
#[derive(Debug, Args)]
pub struct CopyArgs {
    /// The store to read: sqlite:FOLDER, or postgres://user:password@host:5432/database.
    #[arg(long, value_name = "STORE")]
    pub from: StoreAddress,
    /// The store to write, named in the same way.
    #[arg(long, value_name = "STORE")]
    pub to: StoreAddress,
}

/// Arguments of `memory export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Write to this file, which appears when it is whole [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write only the memories of this namespace.
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Listen on this address [default: 127.0.0.1:7420]; port 0 takes any free port.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
}

/// Arguments of `stdio`.
#[derive(Debug, Args)]
pub struct StdioArgs {
    /// The name of the client that starts this: cursor, vscode, claude, … It decides on the lane,
    /// whatever the client calls itself.
    #[arg(long, value_name = "NAME")]
    pub client: Option<String>,
}
