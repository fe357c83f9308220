//! Which lane a request is in: that of its path, or of the name that its client gives itself.

use crate::{call::Lane, client, protocol::client_name};

/// A path that is none of the endpoint.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is nothing here: the endpoint is /mcp, or /mcp/cursor, /mcp/vscode and /mcp/other for one \
     kind of client"
)]
pub(super) struct NoSuchLane;

/// The lane that the path of the endpoint names, if it names one.
pub(super) fn of_path(path: &str) -> Result<Option<Lane>, NoSuchLane> {
    match path.strip_prefix("/mcp/") {
        None => Ok(None),
        Some(name) => Lane::named(name).map(Some).ok_or(NoSuchLane),
    }
}

/// The lane of the name that the client gives itself.
pub(super) fn of_body(body: &[u8]) -> Lane {
    client_name(body).map_or(Lane::Other, |name| client::lane_of(&name))
}
