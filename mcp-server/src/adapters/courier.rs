//! Posts what is to be told to an address that was checked.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use mcp_pool::agent::{Agent, AgentConfig};

use super::upstream::{GuardedResolver, host_and_port, system_trust};
use crate::{monitoring::WebhookConfig, ports::Courier, upstream::UpstreamError};

/// The most of an answer that is read, so that the connection can be used again.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Posts JSON to one address, over connections that lead to public addresses only unless the
/// settings say otherwise. Redirects are not followed.
#[derive(Debug)]
pub struct HttpCourier {
    agent: Agent,
    uri: Uri,
}

impl HttpCourier {
    /// For the address of `config`; `None` where it has none.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::Settings`], when the address is none.
    pub fn new(config: &WebhookConfig) -> Result<Option<Self>, UpstreamError> {
        let Some(url) = &config.url else {
            return Ok(None);
        };
        let settings = |reason: String| UpstreamError::Settings { reason };
        let uri: Uri = url
            .parse()
            .map_err(|_| settings(format!("`{url}` is no address")))?;
        let place = host_and_port(url)?;
        let pool = mcp_pool::Config {
            max_connections: 1,
            max_connecting: 1,
            connect_timeout: config.timeout,
            acquire_timeout: config.timeout,
            ..mcp_pool::Config::default()
        };
        let agent = Agent::new(AgentConfig {
            pool,
            tls: url.starts_with("https://").then(system_trust),
            connect_once: true,
            resolver: Some(Arc::new(GuardedResolver::new(
                config.allow_private_address.then_some(place),
            ))),
            ..AgentConfig::default()
        });
        let agent = agent.map_err(|error| settings(error.to_string()))?;
        Ok(Some(Self { agent, uri }))
    }
}

#[async_trait]
impl Courier for HttpCourier {
    async fn post(&self, body: Vec<u8>) -> Result<(), String> {
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let json = header::HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        let sent = self.agent.send(request).await;
        let response = sent.map_err(|error| causes(&error))?;
        let status = response.status();
        // Read to its end, as far as that is near.
        let _ = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await;
        match status.is_success() {
            true => Ok(()),
            false => Err(format!("it answered with HTTP {status}")),
        }
    }
}

/// An error with what caused it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> WebhookConfig {
        WebhookConfig {
            url: Some(url.to_owned()),
            ..WebhookConfig::default()
        }
    }

    #[tokio::test]
    async fn nothing_is_sent_to_this_machine_unless_that_is_meant() {
        for url in [
            "http://127.0.0.1:9/",
            "http://localhost:9/x",
            "http://[::1]:9/",
        ] {
            let courier = HttpCourier::new(&config(url)).unwrap().unwrap();
            let refused = courier.post(b"{}".to_vec()).await.unwrap_err();
            assert!(refused.contains("public address"), "{url}: {refused}");
        }
        assert!(
            HttpCourier::new(&WebhookConfig::default())
                .unwrap()
                .is_none()
        );
        assert!(HttpCourier::new(&config("http://")).is_err());
    }
}
