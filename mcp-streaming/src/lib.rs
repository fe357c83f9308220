#![doc = include_str!("../README.md")]

mod after;
mod audit;
mod budget;
mod config;
mod core;
mod error;
mod event;
mod hub;
mod id;
mod keeper;
mod lease;
mod line;
mod meter;
mod observer;
mod permit;
mod pressure;
mod purse;
mod resume;
mod ring;
mod rx;
mod session;
#[cfg(feature = "sse")]
pub mod sse;
mod stats;
pub mod store;
mod stream;
mod sync;
mod tx;
mod wheel;
mod work;

pub use audit::{Audit, Leak, LeakReport};
pub use budget::Budget;
pub use config::{
    BUDGET_BYTES_MAX, BudgetConfig, EVENT_OVERHEAD_BYTES, SlowConsumer, StreamConfig, TIME_MAX,
};
pub use error::{ConfigError, EndReason, Interrupted, ResourceExhausted, Scope, SendError};
pub use event::Event;
pub use id::{EventId, ParseEventIdError};
pub use observer::Observer;
pub use permit::Permit;
pub use resume::{ResumeError, Resumed};
pub use rx::Rx;
pub use session::{
    MemoryUsage, OpenError, OpenStreamError, ParseSessionIdError, SessionConfig, SessionId,
    Sessions, SessionsStats, StreamingSession,
};
pub use stats::{Stats, StreamStats};
pub use tx::Tx;
pub use work::{PoolConfig, PoolError, PoolStats, ResourcePool, WorkPermit};
