//! Runnable embeddings; each one is a file or folder in `examples/`. Here is
//! what they share: a client of MCP over a pipe and over HTTP, and the word with
//! which an example fails.

pub mod http;
pub mod pipe;

pub use self::http::send;

use std::error::Error;

/// Prints whether something holds. An example that does not show what it says
/// must fail, so that CI sees it.
///
/// # Errors
/// It does not hold.
#[expect(clippy::print_stdout, reason = "an example reports on stdout")]
pub fn check(holds: bool, what: &str) -> Result<(), Box<dyn Error>> {
    println!("{}: {what}", if holds { "yes" } else { "NO" });
    if holds { Ok(()) } else { Err(what.into()) }
}

/// An error with its causes, in one line.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
