//! A service map at an address.

use std::{num::NonZero, sync::Arc};

use async_trait::async_trait;
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use mcp_pool::agent::{AgentConfig, Body};

use super::{
    resolver::Guarded,
    sender::{Sender, Trust},
};
use crate::upstream::{MapError, MapSource, ServiceMapConfig, Signed, UpstreamError};

/// The header that may hold the signature.
const SIGNATURE: &str = "x-signature";
const SIGNATURE_BYTES_MAX: usize = 4_096;

/// Reads a map over HTTP, from public addresses only unless its settings say otherwise.
#[derive(Debug)]
pub(super) struct HttpMap {
    sender: Sender,
    url: String,
    bytes_max: usize,
}

impl HttpMap {
    /// The map at `url`, with `excepted` as the host and port that may be at any address.
    pub(super) fn new(
        url: String,
        excepted: Option<(String, u16)>,
        config: &ServiceMapConfig,
        trust: Trust,
    ) -> Result<Self, UpstreamError> {
        let settings = |reason: String| UpstreamError::Settings { reason };
        let pool = mcp_pool::Config {
            max_connections: 2,
            max_connecting: 1,
            connect_timeout: config.timeout,
            acquire_timeout: config.timeout,
            ..mcp_pool::Config::default()
        };
        let agent = AgentConfig {
            pool,
            connect_once: true,
            resolver: Some(Arc::new(Guarded::new(excepted))),
            max_upstreams: const { NonZero::new(4).expect("not zero") },
            ..AgentConfig::default()
        };
        Ok(Self {
            sender: Sender::new(agent, trust).map_err(|error| settings(error.to_string()))?,
            url,
            bytes_max: config.bytes_max.get(),
        })
    }

    async fn get(&self, url: &str, bytes_max: usize) -> Result<(HeaderMap, String), MapError> {
        let none = HeaderMap::new();
        let sent = self
            .sender
            .send(Method::GET, url, none.clone(), &none, bytes::Bytes::new());
        let response = sent.await.map_err(|error| unreadable(&error.to_string()))?;
        if response.status() != StatusCode::OK {
            return Err(unreadable(&format!("HTTP {}", response.status())));
        }
        let headers = response.headers().clone();
        Ok((headers, text(response.into_body(), bytes_max).await?))
    }
}

#[async_trait]
impl MapSource for HttpMap {
    async fn read(&self) -> Result<Signed, MapError> {
        let (headers, document) = self.get(&self.url, self.bytes_max).await?;
        let beside = headers.get(SIGNATURE).and_then(|value| value.to_str().ok());
        let signature = match beside {
            Some(signature) => signature.to_owned(),
            None => {
                let url = beside_of(&self.url).ok_or_else(|| unreadable("it has no address"))?;
                self.get(&url, SIGNATURE_BYTES_MAX).await?.1
            }
        };
        Ok(Signed {
            document,
            signature,
        })
    }
}

async fn text(body: Body, bytes_max: usize) -> Result<String, MapError> {
    let bytes = match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(MapError::TooLarge { bytes_max });
        }
        Err(error) => return Err(unreadable(&format!("it broke off: {error}"))),
    };
    String::from_utf8(bytes.into()).map_err(|_| unreadable("it is no text"))
}

/// The address of the signature: the same with `.sig` behind its path.
fn beside_of(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let query = uri.query().map(|query| format!("?{query}"));
    let (scheme, authority, path) = (uri.scheme()?, uri.authority()?, uri.path());
    Some(format!(
        "{scheme}://{authority}{path}.sig{}",
        query.unwrap_or_default()
    ))
}

fn unreadable(reason: &str) -> MapError {
    MapError::Unreadable {
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::beside_of;

    #[test]
    fn the_signature_is_beside_the_map() {
        let beside = |url| beside_of(url).unwrap();
        assert_eq!(beside("https://h/map.json"), "https://h/map.json.sig");
        assert_eq!(beside("https://h:8/m?a=b"), "https://h:8/m.sig?a=b");
    }
}
