//! What an upstream offers.

use std::sync::Arc;

use rmcp::model::{CacheScope, Tool};
use tokio::time::{Duration, Instant};

/// What an upstream said that it offers, at one moment.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The name that the server gives itself.
    pub server: String,
    /// The revision of the protocol that is spoken.
    pub protocol: String,
    /// Its tools, in its order, each name once.
    pub tools: Vec<Arc<RemoteTool>>,
    /// How long it is fresh, as the upstream says; `None` if it does not.
    pub ttl: Option<Duration>,
    /// Whether it is the same for everybody.
    pub scope: CacheScope,
    /// When it was asked for.
    pub asked_at: Instant,
}

impl Manifest {
    /// Whether both say the same of the same tools.
    #[must_use]
    pub fn has_same_tools(&self, other: &Self) -> bool {
        let descriptions = self.tools.iter().map(|tool| &tool.description);
        descriptions.eq(other.tools.iter().map(|tool| &tool.description))
    }
}

/// A tool as its upstream describes it.
#[derive(Debug)]
pub struct RemoteTool {
    /// What the upstream says of it.
    pub description: Tool,
    /// Whether some of its arguments are repeated in headers, which the client must have heard of
    /// on the same connection.
    pub repeats_arguments: bool,
}

impl RemoteTool {
    /// The tool that `description` describes.
    #[must_use]
    pub fn new(description: Tool) -> Self {
        let repeats_arguments = serde_json::to_string(&description.input_schema)
            .is_ok_and(|schema| schema.contains("\"x-mcp-header\""));
        Self {
            description,
            repeats_arguments,
        }
    }

    /// Whether the upstream says that it only reads.
    #[must_use]
    pub fn reads_only(&self) -> bool {
        let hints = self.description.annotations.as_ref();
        hints.and_then(|hints| hints.read_only_hint) == Some(true)
    }

    /// Whether the upstream says that a second call changes nothing more than the first.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        let hints = self.description.annotations.as_ref();
        self.reads_only() || hints.and_then(|hints| hints.idempotent_hint) == Some(true)
    }
}

/// A manifest, and how good it is still.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The manifest.
    pub manifest: Arc<Manifest>,
    /// Until when it is fresh.
    pub fresh_until: Instant,
    /// Why no newer one could be had, if one should have been.
    pub stale: Option<String>,
}
