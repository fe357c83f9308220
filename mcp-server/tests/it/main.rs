//! The server from outside: its store through the port, its transports through real sockets and
//! pipes, its binary as a process that can be killed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bench;
mod cli;
mod contract;
mod crash;
mod drain;
mod guarded;
mod http;
mod index;
mod protocol;
mod settings;
mod stdio;
mod store;
mod support;
mod tidy;
mod transfer;
