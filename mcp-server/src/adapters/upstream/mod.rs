//! What stands between the gateway and its upstreams: pooled HTTP connections that lead to checked
//! addresses only, a breaker and a budget of retries, lists and results that are kept.

mod agent;
mod cached;
mod dial;
mod events;
mod guarded;
mod resolver;
mod stack;

pub use cached::{CachedUpstream, UpstreamCaches};
pub use dial::HttpDial;
pub(super) use dial::place as host_and_port;
pub use guarded::GuardedUpstream;
pub use resolver::Guarded as GuardedResolver;
pub(super) use stack::system_trust;
pub use stack::{StackError, UpstreamStack};
