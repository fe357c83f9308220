//! The workspace's libraries in the roles that [`ports`](crate::ports) names. Each adapter adds one
//! concern to a port and can be left out.

mod announcer;
mod batched;
mod cached;
mod controlled;
mod courier;
mod guarded;
mod observed;
mod optimised;
pub mod postgres;
mod prompt;
mod repeatable;
mod upstream;

pub use announcer::Announcer;
pub use batched::{BatchConfig, BatchedStore};
pub use cached::{CacheConfig, CachedStats, CachedStore};
pub use courier::HttpCourier;
pub use guarded::{GuardConfig, GuardedStore};
pub use optimised::{OptimisedManager, OptimisedStats};
pub use prompt::PromptStore;
pub use repeatable::RepeatableStore;
pub use upstream::{
    CachedUpstream, GuardedResolver, GuardedUpstream, HttpDial, StackError, UpstreamCaches,
    UpstreamStack,
};
