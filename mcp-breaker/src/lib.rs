#![doc = include_str!("../README.md")]

mod alarm;
mod backoff;
mod breaker;
mod call;
mod classify;
mod clock;
mod config;
mod core;
mod error;
mod event;
mod flow;
mod held;
mod limit;
mod machine;
mod observer;
mod pass;
mod permit;
mod policy;
mod random;
mod registry;
mod retry;
mod state;
mod stats;
mod striped;
mod sync;
mod throttle;
#[cfg(feature = "tower")]
pub mod tower;
mod trip;
mod window;

pub use breaker::Breaker;
pub use classify::{ByResult, Classify, Outcome, Verdict};
pub use clock::ClockKind;
pub use config::{
    Config, DELAY_MAX, HalfOpenConfig, OpenConfig, WINDOW_DURATION_MAX, WINDOW_SIZE_MAX,
    WindowConfig,
};
pub use error::{CallError, ConfigError, Rejected, ReopensAt};
pub use event::{Events, Transition};
pub use limit::{GradientConfig, LimitConfig};
pub use observer::Observer;
pub use permit::Permit;
pub use policy::{Policy, Settle};
pub use registry::{Registry, RegistryConfig, RegistryStats};
pub use retry::{RetryBudget, RetryConfig, RetryStats};
pub use state::State;
pub use stats::Stats;
pub use throttle::{Throttle, ThrottleConfig, ThrottlePermit, ThrottleStats};
pub use trip::{Cause, Tally};
