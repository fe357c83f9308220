//! Answering the requests of a [`tower` service](tower_service::Service) from a
//! cache.

mod future;
mod layer;
mod service;

pub use future::CacheFuture;
pub use layer::{CacheLayer, Keep, Key};
pub use service::CacheService;
