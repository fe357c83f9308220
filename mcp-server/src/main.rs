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

fn run(cli: Cli) -> Result<(), CliError> {
    let config = cli.config()?;
    telemetry::init(&config.log)?;
    let runtime = tokio::runtime::Runtime::new().map_err(CliError::runtime)?;
    let result = runtime.block_on(cli.run(config));
    // A blocking read of a standard input that does not end must not hold up the exit.
    runtime.shutdown_background();
    result
}

#[expect(clippy::print_stderr, reason = "the one error a command ends with")]
fn report(error: &CliError) {
    eprintln!("error: {error}");
}
