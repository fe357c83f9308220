//! The `mcp-server` binary: arguments, configuration, telemetry, run, exit code.

use std::process::ExitCode;

use clap::Parser;
use mcp_server::{
    cli::{Cli, CliError},
    telemetry,
};
use mimalloc::MiMalloc;
use tokio::runtime::Runtime;

/// A call makes many small allocations on several threads. `mcp-server bench` answered a tenth more
/// requests with this allocator preloaded than with glibc's, in about as much memory.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            error.exit_code()
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, CliError> {
    let config = cli.config()?;
    let log = telemetry::init(&config.log)?;
    let runtime = Runtime::new().map_err(|source| CliError::Io {
        what: "cannot start",
        source,
    })?;
    let result = runtime.block_on(cli.run(config, log));
    // Where standard input is no pipe, a thread reads it that nothing can wake: the end of the
    // command must not wait for that.
    runtime.shutdown_background();
    result
}

#[expect(clippy::print_stderr, reason = "the one error a command ends with")]
fn report(error: &CliError) {
    eprintln!("error: {error}");
}
