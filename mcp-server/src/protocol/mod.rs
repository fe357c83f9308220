//! The Model Context Protocol: what the server says to a client, whatever carries it.

mod answer;
mod audience;
mod client_info;
mod envelope;
mod front;
mod handler;
mod listing;
mod relay;
mod strict;

pub use audience::Audience;
pub use client_info::client_name;
pub use envelope::called_tool;
pub use envelope::{
    Envelope, EnvelopeError, INVALID_REQUEST, Kind, PARSE_ERROR, REFUSED, error_response,
    overloaded_response,
};
pub use front::Front;
pub use handler::McpHandler;
pub use strict::{Strict, is_work};
