#![doc = include_str!("../README.md")]

mod adaptive;
mod class;
mod compress;
mod epoch;
mod error;
mod events;
mod flight;
mod freshness;
mod operations;
mod random;
mod store;
mod sync;

pub use adaptive::AdaptiveConfig;
pub use class::{ClassConfig, SPAN_MAX};
pub use compress::{Algorithm, CompressConfig, Packed, UnpackError};
pub use epoch::{Epochs, Tag, Ticket};
pub use error::ConfigError;
pub use events::{
    CacheEventBus, CacheEventSubscriber, CacheInvalidationEvent, Subscription, SubscriptionStats,
};
pub use operations::{CacheTags, OperationTags, tag_operation};
pub use store::{Bounds, FOREVER_MS, Hit, Inserted, Lookup, Origin, Put, Store, StoreStats, Swept};
