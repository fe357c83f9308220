//! The Model Context Protocol: what the server says to a client, whatever carries it.

mod answer;
mod client_info;
mod envelope;
mod front;
mod handler;
mod strict;

pub use client_info::client_name;
pub use envelope::{
    Envelope, EnvelopeError, INVALID_PARAMS, INVALID_REQUEST, Kind, PARSE_ERROR, REFUSED,
    error_response, overloaded_response,
};
pub use front::Front;
pub(crate) use front::{Caller, LineFront, OwnedCall, Taken};
pub use handler::McpHandler;
pub use strict::{Strict, is_work};
