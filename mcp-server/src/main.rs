//! The `mcp-server` binary: arguments, configuration, telemetry, run, exit code.

use std::process::ExitCode;

use clap::Parser;
use mcp_server::{
    cli::{Cli, CliError},
    telemetry,
};

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            error.exit_code()
        }
    }
}

#[tokio::main]
async fn run(cli: Cli) -> Result<(), CliError> {
    let config = cli.config()?;
    telemetry::init(&config.log)?;
    cli.run(config).await
}

#[expect(clippy::print_stderr, reason = "the one error a command ends with")]
fn report(error: &CliError) {
    eprintln!("error: {error}");
}
