//! Ways to an upstream.

use async_trait::async_trait;
use rmcp::{
    RoleClient,
    model::ProtocolVersion,
    service::{ClientInitializeError, ClientLifecycleMode, ClientServiceExt, RunningService},
    transport::IntoTransport,
};

use super::{Listener, UpstreamError, failure};
use crate::monitoring::Parts;

/// A connection over which the protocol is spoken, after its first exchange.
pub type Connection = RunningService<RoleClient, Listener>;

/// Opens connections to one upstream.
#[async_trait]
pub trait Dial: Send + Sync {
    /// A connection of its own, ready for requests. Cancel safe: a dropped attempt leaves nothing
    /// behind.
    async fn dial(&self, listener: Listener) -> Result<Connection, UpstreamError>;

    /// Ends what connections leave behind, after they are closed.
    async fn close(&self);

    /// Adds how its connections do, which belong to the connector `name`.
    fn observe(&self, _name: &str, _parts: &mut Parts) {}
}

/// Begins with the newest revision, and falls back to sessions where that is not known. `open`
/// opens a transport; it is asked for another one where the server says that it knows only older
/// revisions.
///
/// # Errors
///
/// Why there is no connection.
pub async fn connect<T, E, A>(
    listener: &Listener,
    open: impl Fn() -> Result<T, UpstreamError>,
) -> Result<Connection, UpstreamError>
where
    T: IntoTransport<RoleClient, E, A>,
    E: std::error::Error + Send + Sync + 'static,
{
    let newest = ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        legacy_version: Some(ProtocolVersion::V_2025_11_25),
    };
    let connected = listener.clone().serve_with_lifecycle(open()?, newest);
    let error = match Box::pin(connected).await {
        Ok(connection) => return Ok(connection),
        Err(error) => error,
    };
    let ClientInitializeError::NoCompatibleProtocolVersion { .. } = error else {
        return Err(not_connected(&error));
    };
    let older = ClientLifecycleMode::Initialize;
    let connected = listener.clone().serve_with_lifecycle(open()?, older);
    Box::pin(connected)
        .await
        .map_err(|error| not_connected(&error))
}

/// Why there is no connection.
fn not_connected(error: &ClientInitializeError) -> UpstreamError {
    match error {
        ClientInitializeError::TransportError { error, .. } => failure::of(error.error.as_ref()),
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => not_connected(fallback),
        ClientInitializeError::ConnectionClosed(_) | ClientInitializeError::Cancelled => {
            UpstreamError::Unavailable {
                reason: "it closed the connection before it was ready".to_owned(),
                unsent: true,
            }
        }
        other => UpstreamError::Protocol {
            reason: failure::shortened(&other.to_string()),
        },
    }
}
