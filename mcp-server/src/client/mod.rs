//! Who calls: which lane a client belongs to, and which clients are connected.

mod names;
mod registry;

pub use names::lane_of;
pub use registry::{Client, ClientStats, Clients, Transport};
