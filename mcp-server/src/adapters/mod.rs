//! The workspace's libraries in the roles that [`ports`](crate::ports) names. Each adapter adds one
//! concern to a port and can be left out.

mod announcer;
mod cached;
mod guarded;

pub use announcer::Announcer;
pub use cached::{CacheConfig, CachedStats, CachedStore};
pub use guarded::{GuardConfig, GuardedStore};
