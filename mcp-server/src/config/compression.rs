//! How bodies are packed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the bodies of answers are packed. Those of requests are unpacked whatever is set here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CompressionConfig {
    /// Whether answers are packed for clients that ask for it by `Accept-Encoding`. Default true.
    pub enabled: bool,
    /// Whether they are on a loopback address, too, where packing takes longer than sending.
    /// Default false.
    pub loopback: bool,
    /// The smallest answer that is packed, in bytes. Default 1,024. Lowering it takes processor
    /// time for few bytes.
    pub bytes_min: usize,
}

impl Default for CompressionConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            loopback: false,
            bytes_min: 1_024,
        }
    }
}
