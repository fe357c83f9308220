//! The gateway: other MCP servers behind this one.
//!
//! A connector is a configured upstream. [`Gateway`] keeps one worker for each, which asks it for
//! its tools and puts them into the one tool registry; a call goes through what decorates the
//! connector (results that are kept, a breaker, a budget of retries) to its [`Session`], which holds
//! the one connection. Whatever an upstream does, it does to its own connector only: it has its own
//! connection, its own bound of calls at work, its own pauses.

mod address;
mod changes;
mod config;
mod dial;
mod durations;
mod error;
mod failure;
mod gateway;
mod import;
mod link;
mod listener;
mod manifest;
mod name;
mod naming;
mod process;
mod random;
mod schedule;
mod secret;
mod server;
mod service_map;
mod session;
mod shared;
mod status;
mod store;
mod tool;
mod worker;

pub use address::is_public;
pub use changes::{Changes, Wanted};
pub use config::{ConnectorsConfig, RefreshConfig, ResultsConfig, RetryConfig, registry_path};
pub use dial::{Connection, Dial, connect};
pub use durations::{SyncDurations, SyncSnapshot};
pub use error::UpstreamError;
pub use failure::HttpFailure;
pub use gateway::{Gateway, MapReadiness, Stack};
pub use import::{ImportError, Imported, import};
pub use listener::Listener;
pub use manifest::{Listed, Manifest, RemoteTool};
pub use name::{BadName, ConnectorName};
pub use process::ProcessDial;
pub use schedule::{Attempts, Until, is_in_share, jittered};
pub use secret::{MissingVariable, Secret, Template};
pub use server::{ResultScope, ServerConfig, ToolPolicy, Way};
pub use service_map::{
    FileMap, MapError, MapSource, MapStatus, ServiceMapConfig, Services, SignatureKind, Signed,
    read_map,
};
pub use session::{Bounds, Session};
pub use status::{Condition, Status};
pub use store::{Record, Records, Report, Store, StoreError};
