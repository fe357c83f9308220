#![doc = include_str!("../README.md")]

mod adaptive;
mod builder;
mod cache;
mod class;
mod classes;
mod clock;
mod compress;
mod config;
mod epoch;
mod error;
mod events;
mod failures;
mod fetch;
mod flight;
mod freshness;
#[cfg(feature = "history")]
pub mod history;
mod inner;
mod load;
mod loaded;
mod many;
mod observer;
mod operations;
mod outcome;
mod random;
#[cfg(feature = "redis")]
mod redis;
mod refresh;
pub mod remote;
mod stats;
mod store;
mod sweep;
mod sync;
mod table;
mod tag_stats;
mod tasks;
#[cfg(feature = "tower")]
pub mod tower;
mod warm;
mod weigh;
mod write;

pub use adaptive::AdaptiveConfig;
pub use builder::Builder;
pub use cache::{Cache, McpCache};
pub use class::{ClassConfig, SPAN_MAX};
pub use classes::Class;
pub use clock::ClockKind;
pub use compress::{Algorithm, CompressConfig, Packed, UnpackError};
pub use config::{CLASSES_MAX, Config};
pub use epoch::{Epochs, Tag, Ticket};
pub use error::{ConfigError, Error};
pub use events::{
    CacheEventBus, CacheEventSubscriber, CacheInvalidationEvent, Subscription, SubscriptionStats,
};
pub use fetch::Fetch;
pub use loaded::{Answer, Loaded, Source, StaleReason};
pub use observer::{Invalidated, LoadEnd, Observer, RemoteEvent};
pub use operations::{CacheTags, OperationTags, tag_operation};
#[cfg(feature = "redis")]
pub use redis::{RedisConfig, RedisEndpoint, RedisStore, RedisTls};
pub use remote::{Reach, Remote, RemoteConfig, RemoteError, RemoteKey, RemoteStats, RemoteValue};
pub use stats::{CacheStats, Evictions};
pub use store::{Bounds, FOREVER_MS, Hit, Inserted, Lookup, Origin, Put, Store, StoreStats, Swept};
pub use tag_stats::{OTHER_TAGS, TagStats};
pub use warm::{Warmed, hottest};
pub use weigh::Weigh;
pub use write::Write;
