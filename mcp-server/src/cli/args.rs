//! What the command line accepts.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

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
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve MCP over HTTP at /mcp, with /healthz and /readyz beside it.
    Serve(ServeArgs),
    /// Serve MCP over standard input and output, for one client that starts this program itself.
    Stdio(StdioArgs),
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
    /// The name of the client that starts this, for the log: cursor, vscode, claude, …
    #[arg(long, value_name = "NAME")]
    pub client: Option<String>,
}
