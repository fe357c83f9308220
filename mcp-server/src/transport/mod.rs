//! What carries the protocol: HTTP and stdio, with their limits, guards and a graceful end.

pub mod http;
pub mod stdio;
