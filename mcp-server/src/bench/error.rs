//! Why a benchmark ended early.

use std::io;

/// Why a benchmark ended early. A server that is slow, or that refuses calls, is a result and no
/// error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The user asked for the end.
    #[error("stopped; nothing is left behind")]
    Stopped,
    /// The server that is measured did not start, or went away.
    #[error("the server that is measured {what}: {log}")]
    Server {
        /// What it did.
        what: &'static str,
        /// The last lines that it logged.
        log: String,
    },
    /// An answer that no server may give.
    #[error("a wrong answer to `{tool}`: {reason}")]
    Answer {
        /// The tool that was called.
        tool: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server refused what the benchmark cannot go on without.
    #[error("`{tool}` was refused: {code}")]
    Refused {
        /// The tool that was called.
        tool: String,
        /// The code of the error.
        code: String,
    },
    /// The settings make no sense together.
    #[error("{0}")]
    Settings(String),
    /// A report to compare with cannot be read.
    #[error("cannot compare with `{path}`: {reason}")]
    Baseline {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The operating system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the operating system says.
        source: io::Error,
    },
}

impl BenchError {
    /// For `map_err`.
    pub(super) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}
