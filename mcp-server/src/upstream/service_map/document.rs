//! What a service map says, and whether that is believed.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use serde::Deserialize;

use super::{
    super::{ConnectorName, Secret, ServerConfig, Template, Way},
    signature::Key,
};

/// The only form that is known.
const VERSION: u32 = 1;

/// A text, and what somebody says is its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The text as it was read.
    pub document: String,
    /// In base64.
    pub signature: String,
}

/// Reads a service map from where it is.
#[async_trait]
pub trait MapSource: Send + Sync {
    /// The map and its signature, neither of which was looked at. Cancel safe.
    async fn read(&self) -> Result<Signed, MapError>;
}

/// Why a service map is not used.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// It cannot be read.
    #[error("it cannot be read: {reason}")]
    Unreadable {
        /// Why.
        reason: String,
    },
    /// It could not be read in time.
    #[error("it could not be read within {limit:?} (connectors.service_map.timeout)")]
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// It is too long.
    #[error("it is longer than {bytes_max} bytes (connectors.service_map.bytes_max)")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// There is no usable key.
    #[error("the setting `connectors.service_map.key` does not work: {reason}")]
    Key {
        /// Why; nothing of the key.
        reason: String,
    },
    /// The signature is not one of this text by that key.
    #[error("its signature is not right: it was changed, or signed with another key")]
    Signature,
    /// A newer one was seen before.
    #[error("it has the serial number {serial}, and one with {known} was in force already")]
    Older {
        /// Its number.
        serial: u64,
        /// That of the map in force.
        known: u64,
    },
    /// It is signed, but makes no sense.
    #[error("it makes no sense: {reason}")]
    Document {
        /// What is wrong, and where.
        reason: String,
    },
}

/// What a map says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ServiceMap {
    pub(super) serial: u64,
    pub(super) services: BTreeMap<ConnectorName, ServerConfig>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    /// A higher one for each change.
    serial: u64,
    services: BTreeMap<ConnectorName, ServerConfig>,
}

impl ServiceMap {
    /// What `signed` says, if `key` has signed it and it is none from before `known`, the map in
    /// force. The signature is checked before anything of the text is read.
    pub(super) fn accept(
        signed: &Signed,
        key: &Key,
        known: Option<&(Signed, Self)>,
        allow_local: bool,
    ) -> Result<Self, MapError> {
        if !key.signed(signed.document.as_bytes(), &signed.signature) {
            return Err(MapError::Signature);
        }
        let map = Self::parse(&signed.document, allow_local)?;
        if let Some((before, known)) = known
            && (map.serial < known.serial
                || (map.serial == known.serial && signed.document != before.document))
        {
            return Err(MapError::Older {
                serial: map.serial,
                known: known.serial,
            });
        }
        Ok(map)
    }

    fn parse(text: &str, allow_local: bool) -> Result<Self, MapError> {
        let wrong = |reason: String| MapError::Document { reason };
        let document: Document =
            serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        if document.version != VERSION {
            return Err(wrong(format!(
                "its version {} is not known",
                document.version
            )));
        }
        for (name, server) in &document.services {
            server
                .validate()
                .map_err(|reason| wrong(format!("`{name}` {reason}")))?;
            let is_local = matches!(server.way(), Some(Way::Command(_)));
            if names_a_variable(server) && !allow_local {
                return Err(wrong(format!(
                    "`{name}` names a variable of this machine's environment, which \
                     connectors.service_map.allow_local would allow"
                )));
            }
            if (is_local || server.allow_private_address) && !allow_local {
                return Err(wrong(format!(
                    "`{name}` is a program or at an address that is not public, which \
                     connectors.service_map.allow_local would allow"
                )));
            }
        }
        Ok(Self {
            serial: document.serial,
            services: document.services,
        })
    }
}

/// Whether its address or a header would carry something of the environment outside.
fn names_a_variable(server: &ServerConfig) -> bool {
    let url = server.url.as_ref();
    let mut headers = server.headers.values();
    url.is_some_and(Template::names_a_variable) || headers.any(Secret::names_a_variable)
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use ring::hmac;

    use super::{super::SignatureKind, *};

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn signed(document: &str) -> Signed {
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        Signed {
            document: document.to_owned(),
            signature: STANDARD.encode(hmac::sign(&key, document.as_bytes())),
        }
    }

    fn accept(document: &str, allow_local: bool) -> Result<ServiceMap, MapError> {
        let key = Key::new(SignatureKind::HmacSha256, SECRET).unwrap();
        ServiceMap::accept(&signed(document), &key, None, allow_local)
    }

    #[test]
    fn only_what_makes_sense_as_a_whole_is_taken() {
        let good = r#"{"version": 1, "serial": 7, "services": {"docs": {"url": "https://h/mcp"}}}"#;
        let map = accept(good, false).unwrap();
        assert_eq!((map.serial, map.services.len()), (7, 1));
        for (document, says) in [
            ("", "EOF"),
            (
                r#"{"version": 2, "serial": 7, "services": {}}"#,
                "version 2",
            ),
            (r#"{"version": 1, "services": {}}"#, "serial"),
            (
                r#"{"version": 1, "serial": 7, "services": {}, "x": 1}"#,
                "unknown field",
            ),
            (
                r#"{"version": 1, "serial": 7, "services": {"a b": {"url": "https://h"}}}"#,
                "",
            ),
            (
                r#"{"version": 1, "serial": 7, "services": {"a": {}}}"#,
                "either",
            ),
        ] {
            let error = accept(document, true).unwrap_err();
            assert!(
                matches!(error, MapError::Document { .. }),
                "{document}: {error}"
            );
            assert!(error.to_string().contains(says), "{document}: {error}");
        }
        for local in [
            r#"{"command": ["sh"]}"#,
            r#"{"url": "http://h/mcp", "allow_private_address": true}"#,
            r#"{"url": "https://h/${HOME}"}"#,
            r#"{"url": "https://h", "headers": {"x-key": "Bearer ${KEY:-none}"}}"#,
        ] {
            let document = format!(r#"{{"version":1,"serial":7,"services":{{"a":{local}}}}}"#);
            let refused = accept(&document, false).unwrap_err().to_string();
            assert!(refused.contains("allow_local"), "{refused}");
            assert!(accept(&document, true).is_ok());
        }
    }

    #[test]
    fn an_older_map_is_no_way_back() {
        let key = Key::new(SignatureKind::HmacSha256, SECRET).unwrap();
        let with = |serial: u64, name: &str| {
            signed(&format!(
                r#"{{"version":1,"serial":{serial},"services":{{"{name}":{{"url":"https://h"}}}}}}"#
            ))
        };
        let first = with(7, "a");
        let map = ServiceMap::accept(&first, &key, None, false).unwrap();
        let known = (first.clone(), map);
        let check = |signed: &Signed| ServiceMap::accept(signed, &key, Some(&known), false);
        assert!(check(&first).is_ok() && check(&with(8, "b")).is_ok());
        // The same number for something else is no newer one, either.
        for older in [with(6, "a"), with(7, "b")] {
            assert!(matches!(
                check(&older),
                Err(MapError::Older { known: 7, .. })
            ));
        }
        // What is not signed is not even read.
        let mut unsigned = with(9, "c");
        unsigned.document.push(' ');
        assert!(matches!(check(&unsigned), Err(MapError::Signature)));
    }
}
