//! The program's own form: JSON lines. The first says what the file is, each further one is a
//! memory, whole, and the last one counts them, so that a file that was cut off is known for one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::memory::Memory;

/// What the first line says.
const FORMAT: &str = "mcp-server-memories";
/// The version that is written and the newest that is read.
const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header {
    format: String,
    version: u32,
    exported_at: Timestamp,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Footer {
    /// How many memories came before it.
    pub(super) memories: u64,
}

impl Header {
    pub(super) fn now() -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            exported_at: Timestamp::now(),
        }
    }

    /// The header that `line` is, if it is one.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let header: Self = serde_json::from_slice(line).ok()?;
        (header.format == FORMAT).then_some(header)
    }

    /// Why the file cannot be read by this program, if so.
    pub(super) fn refusal(&self) -> Option<String> {
        (self.version > VERSION).then(|| {
            let version = self.version;
            format!("it has version {version}, and this program reads up to {VERSION}: update it")
        })
    }
}

/// A line after the first.
#[derive(Debug)]
pub(super) enum Line {
    Memory(Box<Memory>),
    Footer(Footer),
}

pub(super) fn parse(line: &[u8]) -> Result<Line, serde_json::Error> {
    match serde_json::from_slice::<Memory>(line) {
        Ok(memory) => Ok(Line::Memory(Box::new(memory))),
        Err(error) => match serde_json::from_slice(line) {
            Ok(footer) => Ok(Line::Footer(footer)),
            Err(_) => Err(error),
        },
    }
}
