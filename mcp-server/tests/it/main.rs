//! The server from outside: its store through the port, its transports through real sockets and
//! pipes, its binary as a process that can be killed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod alias;
mod auth;
mod batched;
mod bench;
mod cached;
mod cli;
mod contexts;
mod contract;
mod crash;
mod dashboard;
mod docs;
mod doctor;
mod drain;
mod faults;
mod front;
mod gateway;
mod guarded;
mod http;
mod index;
mod lanes;
mod monitoring;
mod postgres;
mod prompt;
mod protocol;
mod redis;
mod reload;
mod settings;
mod stdio;
mod stdio_front;
mod store;
mod support;
mod tidy;
mod transfer;
mod websocket;
