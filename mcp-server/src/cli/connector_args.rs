//! Arguments of `connectors`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::upstream::ConnectorName;

/// What to do with the connectors.
#[derive(Debug, Subcommand)]
pub enum ConnectorsCommand {
    /// Show all connectors, and how they did when a server asked them last.
    List,
    /// Add a connector. A server that runs takes it over by itself.
    #[command(after_help = "\
Examples:
  mcp-server connectors add everything -- npx -y @modelcontextprotocol/server-everything
  mcp-server connectors add docs --url https://docs.example.com/mcp \\
      --header 'Authorization: Bearer ${DOCS_TOKEN}'

${NAME} stands for a variable of the environment, and is replaced when the connector connects: so \
no secret need be written down. The program is started as it is given, by no shell.")]
    Add(Box<AddArgs>),
    /// Connect, and show what the other server offers.
    Test(NameArgs),
    /// Read the service map of the settings, check its signature, and show what it lists.
    Map,
    /// Remove a connector.
    Remove(NameArgs),
    /// Add the servers of a file of Cursor, VS Code or Claude.
    #[command(after_help = "\
Examples:
  mcp-server connectors import ~/.cursor/mcp.json
  mcp-server connectors import .vscode/mcp.json --dry-run
  mcp-server connectors import ~/.claude.json")]
    Import(ImportFileArgs),
}

/// Arguments of `connectors add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// What to call it: letters, digits, `-`, `_` and `.`.
    pub name: ConnectorName,
    /// The address of its endpoint.
    #[arg(long, value_name = "URL", required_unless_present = "command")]
    pub url: Option<String>,
    /// A header of each request. May be given more than once.
    #[arg(long, value_name = "NAME: VALUE", requires = "url", value_parser = header)]
    pub header: Vec<(String, String)>,
    /// The host of the address may be on this machine or a local network.
    #[arg(long, requires = "url")]
    pub allow_private_address: bool,
    /// Tools that say that they only read may be called with tokens of the scope `read`.
    #[arg(long)]
    pub trust_read_only_hint: bool,
    /// A variable of the program's environment. May be given more than once.
    #[arg(long, value_name = "NAME=VALUE", requires = "command", value_parser = variable)]
    pub env: Vec<(String, String)>,
    /// The folder that the program works in.
    #[arg(long, value_name = "DIR", requires = "command")]
    pub cwd: Option<PathBuf>,
    /// Exchange the settings of a connector that is there.
    #[arg(long)]
    pub force: bool,
    /// The program to start, and its arguments, after --.
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "url")]
    pub command: Vec<String>,
}

/// Which connector.
#[derive(Debug, Args)]
pub struct NameArgs {
    /// Its name.
    pub name: ConnectorName,
}

/// Arguments of `connectors import`.
#[derive(Debug, Args)]
pub struct ImportFileArgs {
    /// The file to read.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Say what would be added, and add nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Exchange the settings of connectors that are there.
    #[arg(long)]
    pub force: bool,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected NAME: VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
