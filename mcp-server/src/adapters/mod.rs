//! The workspace's libraries in the roles that [`ports`](crate::ports) names. Each adapter adds one
//! concern to a port and can be left out.

mod guarded;
mod optimised;

pub use guarded::{GuardConfig, GuardedStore};
pub use optimised::{OptimisedManager, OptimisedStats};
