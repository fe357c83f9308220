//! The context domain: what an agent works with and may look up by name: rules, the state of a
//! session, results. A context is put and read as a whole; a list packs to a budget of tokens.

mod config;
mod error;
mod limits;
mod model;
mod operation;
mod pack;
mod relevance;
mod service;
mod standard;
mod tokens;

pub use config::{ContextCacheConfig, ContextTtls, ContextsConfig, ManagerKind, WarmingConfig};
pub use error::ContextError;
pub use limits::ContextLimits;
pub use model::{Content, Context, ContextClass, ContextId, ContextKey};
pub use operation::{
    ContextChanges, ContextReceipt, Get, Kept, LeftOut, LeftOutContext, List, Listed, Put,
};
pub(crate) use pack::{Candidate, pack};
pub(crate) use relevance::Relevance;
pub use service::ContextService;
pub use standard::StandardManager;
pub use tokens::estimate;
