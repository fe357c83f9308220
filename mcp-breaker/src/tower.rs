//! Guarding a [`tower` service](tower_service::Service) by a policy.

mod future;
mod layer;
mod service;

pub use future::GuardFuture;
pub use layer::GuardLayer;
pub use service::{Guard, Readiness};
