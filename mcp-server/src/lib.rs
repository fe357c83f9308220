#![doc = include_str!("../README.md")]
//!
//! ## Rooms
//!
//! | room | what lives there |
//! |---|---|
//! | [`app`] | the composition root: a [`config::Config`] in, running parts out |
//! | [`call`] | what is known of a call beside what it asks for |
//! | [`ports`] | the roles that parts play for each other |
//! | [`admission`] | how many calls are at work at once, kind of client by kind of client |
//! | [`auth`] | who calls: tokens, what they allow, whose data they open |
//! | [`client`] | which kind of client calls, and which clients are connected |
//! | [`trace`] | where a call belongs in a trace that somebody else began |
//! | [`live`] | settings that a reload exchanges |
//! | [`adapters`] | the workspace's libraries in those roles, each of which can be left out |
//! | [`memory`] | the memory domain, its service and its stores |
//! | [`context`] | the context domain, its service and its standard manager |
//! | [`tools`] | one tool a file, one registry |
//! | [`protocol`] | MCP itself, whatever carries it |
//! | [`transport`] | HTTP and stdio |
//! | [`upstream`] | the gateway: connectors to other MCP servers |
//! | [`mod@written`] | answers as they are written to clients |
//! | [`transfer`] | memories in and out of files |
//! | [`mod@bench`] | the server measured from outside, and judged by what it answers |
//! | [`doctor`] | what a server needs, looked at, and how to mend it |
//! | [`monitoring`] | what the server knows of itself: windows, alerts, grades |
//! | [`config`], [`cli`], [`telemetry`] | settings, commands, logs |

pub mod adapters;
pub mod admission;
pub mod app;
mod attempt;
pub mod auth;
pub mod bench;
pub mod call;
pub mod cli;
pub mod client;
pub mod config;
pub mod context;
pub mod doctor;
pub mod live;
pub mod memory;
pub mod monitoring;
pub mod ports;
pub mod protocol;
pub mod telemetry;
pub mod tools;
pub mod trace;
pub mod transfer;
pub mod transport;
pub mod upstream;
mod warmup;
pub mod written;
