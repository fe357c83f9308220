//! Which lane a request is in: that of its path, or of the name that its client gives itself; and the
//! place that it has there.

use std::sync::Arc;

use http::request::Parts;

use crate::{admission::Admitted, call::Lane, client, protocol::client_name};

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

/// Puts into a call's head in which lane it is and the place that it has, which is free again when
/// all are done with the head.
pub(super) fn seat(head: &mut Parts, lane: Lane, place: Option<Admitted>) {
    if let Some(place) = place {
        head.extensions.insert(Arc::new(place));
    }
    head.extensions.insert(lane);
}
