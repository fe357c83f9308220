//! The server from outside: its store through the port, its transports through real sockets and
//! pipes, its binary as a process that can be killed.

mod contract;
mod crash;
mod store;
mod support;
