//! `mcp-server stdio`.

use rmcp::transport::io::stdio_pipes;

use super::{CliError, StdioArgs, signals};
use crate::{app::App, config::Config, transport::stdio};

pub(super) async fn run(config: &Config, args: &StdioArgs) -> Result<(), CliError> {
    let shutdown = signals::shutdown()?;
    let app = App::build(config)?;
    tracing::info!(
        client = args.client.as_deref(),
        "serving on standard input and output (data in {})",
        app.data_dir().display()
    );
    let (input, output) = stdio_pipes();
    let served = stdio::serve(app.handler(), input, output, &config.stdio, shutdown).await;
    app.close().await;
    tracing::info!("stopped");
    Ok(served?)
}
