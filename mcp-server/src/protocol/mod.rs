//! The Model Context Protocol: what the server says to a client, whatever carries it.

mod answer;
mod audience;
mod client_info;
mod depth;
mod envelope;
mod front;
mod handler;
mod listing;
mod relay;
mod resources;
mod scopes;
mod strict;
pub mod transcode;

pub use audience::Audience;
pub use client_info::client_name;
pub use depth::is_deeper_than;
pub use envelope::called_tool;
pub use envelope::{
    Envelope, EnvelopeError, INVALID_PARAMS, INVALID_REQUEST, Kind, PARSE_ERROR, REFUSED,
    error_response, overloaded_response, rate_limited_response,
};
pub use front::Front;
pub(crate) use front::{Caller, LineFront, OwnedCall, Taken};
pub use handler::McpHandler;
pub use scopes::{Scopes, insufficient_scope_message};
pub use strict::{Strict, is_work};
