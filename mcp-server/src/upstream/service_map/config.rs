//! Settings of the service map.

use std::{num::NonZeroUsize, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{Secret, Template};

/// A list of connectors that somebody else keeps and signs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceMapConfig {
    /// Where it is: a file, or an address of `https://`. Its signature, as one line of base64, is
    /// beside it, under the same name with `.sig` behind it, or in the header `X-Signature` of the
    /// answer. Absent by default: there is none.
    pub source: Option<Template>,
    /// How it is signed. Default `ed25519`.
    pub signature: SignatureKind,
    /// What signatures are checked with; `${NAME}` is replaced from the environment. For `ed25519`
    /// the public key in base64 or PEM, for `hmac-sha256` a secret of at least 32 bytes.
    pub key: Option<Secret>,
    /// How long it may take to read it. Default 5 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// How often it is read again; each time is up to a fifth shorter or longer at random. `0s`:
    /// never once it was read. Default 5 min.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub interval: Duration,
    /// The longest map that is read, in bytes. Default 1 MiB.
    pub bytes_max: NonZeroUsize,
    /// Whether the host of `source` may be at an address that is not public. Default false.
    pub allow_private_address: bool,
    /// Whether the map may name programs to be started, upstreams at addresses that are not public,
    /// and variables of the environment in addresses and headers. Default false: whoever signs it
    /// then decides what runs on this machine, and what of its secrets is sent where.
    pub allow_local: bool,
}

/// How a map is signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureKind {
    /// By the holder of a private key, and checked with the public one.
    #[default]
    Ed25519,
    /// With a secret that both sides know.
    HmacSha256,
}

impl Default for ServiceMapConfig {
    fn default() -> Self {
        Self {
            source: None,
            signature: SignatureKind::default(),
            key: None,
            timeout: Duration::from_secs(5),
            interval: Duration::from_secs(300),
            bytes_max: NonZeroUsize::new(1 << 20).expect("not zero"),
            allow_private_address: false,
            allow_local: false,
        }
    }
}

impl ServiceMapConfig {
    /// Checks what the types do not. Returns the field, and what is wrong with it.
    pub(in crate::upstream) fn validate(&self) -> Result<(), (&'static str, &'static str)> {
        if self.source.is_some() && self.key.is_none() {
            return Err((
                "connectors.service_map.key",
                "is needed to check the signature of the map",
            ));
        }
        if self.timeout.is_zero() {
            return Err(("connectors.service_map.timeout", "must not be 0"));
        }
        Ok(())
    }
}
