//! What the parts of the server say of themselves, each in the same form whatever it is made of.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::{call::Lane, upstream};

use super::{Dependency, latency::share, millis};

/// What the parts say of themselves at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Parts {
    /// What is kept so as not to be asked for again.
    pub caches: Vec<CacheStatus>,
    /// Connections that are lent.
    pub pools: Vec<PoolStatus>,
    /// What leaves a part alone that fails.
    pub breakers: Vec<BreakerStatus>,
    /// Other servers behind this one.
    pub connectors: Vec<upstream::Status>,
    /// Work that is put together.
    pub batches: Vec<BatchStatus>,
    /// Sessions of clients before revision 2026-07-28.
    pub sessions: SessionsStatus,
    /// What is held for clients to read.
    pub streams: StreamsStatus,
    /// Calls at work and waiting, by kind of client.
    pub lanes: Vec<LaneStatus>,
    /// What the server depends on, as far as the parts know without asking: told with those that are
    /// asked.
    #[serde(skip)]
    pub dependencies: Vec<Dependency>,
    /// How long it took to ask connectors for their tools.
    #[serde(skip)]
    pub connector_syncs: Option<upstream::SyncSnapshot>,
}

/// Where a cache keeps what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CacheTier {
    /// In this process.
    L1,
    /// In a service that several processes share.
    L2,
}

impl CacheTier {
    /// The name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::L1 => "l1",
            Self::L2 => "l2",
        }
    }
}

/// How one cache does.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CacheStatus {
    /// What it keeps: `memory`, `contexts`, `connector_results`.
    pub name: &'static str,
    /// Where.
    pub tier: CacheTier,
    /// Look-ups that it answered.
    pub hits: u64,
    /// Look-ups that it could not answer.
    pub misses: u64,
    /// The share of look-ups that it answered, 0 to 1.
    pub hit_share: f64,
    /// Calls that went past it.
    pub bypassed: u64,
    /// What is in it.
    pub entries: u64,
    /// The bytes of that.
    pub bytes: u64,
    /// Entries that made room for others.
    pub evictions: u64,
    /// Entries whose time was over.
    pub expired: u64,
    /// Times that something was invalidated.
    pub invalidations: u64,
    /// Times that it failed; what was asked went on without it.
    pub errors: u64,
    /// The tags that were stored most often, if that is counted.
    pub tags: Vec<TagStatus>,
}

/// How often one tag was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TagStatus {
    /// The tag.
    pub tag: String,
    /// Values stored with it.
    pub inserts: u64,
    /// Times that it was invalidated.
    pub invalidations: u64,
}

impl CacheStatus {
    /// A cache in this process by its counters.
    #[must_use]
    pub fn l1(name: &'static str, stats: &mcp_cache::CacheStats) -> Self {
        Self {
            name,
            tier: CacheTier::L1,
            hits: stats.hits,
            misses: stats.misses,
            hit_share: stats.hit_ratio(),
            bypassed: stats.bypassed,
            entries: stats.entries,
            bytes: stats.memory_usage,
            evictions: stats.evictions.capacity,
            expired: stats.evictions.expired,
            invalidations: stats.invalidations,
            errors: stats.load_errors + stats.load_timeouts,
            tags: Vec::new(),
        }
    }

    /// With the hits and misses that its users count, where one call is several look-ups.
    #[must_use]
    pub fn counted(mut self, hits: u64, misses: u64) -> Self {
        (self.hits, self.misses) = (hits, misses);
        self.hit_share = share(hits, hits + misses);
        self
    }
}

/// How one pool of connections does.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PoolStatus {
    /// What its connections lead to.
    pub name: String,
    /// The most connections at a time.
    pub connections_max: u64,
    /// Lent now.
    pub in_use: u64,
    /// Idle now.
    pub idle: u64,
    /// Callers that wait now.
    pub waiting: u64,
    /// The share of the pool that is lent now; 1 is all of it.
    pub use_share: f64,
    /// Connections lent, since the start.
    pub checkouts: u64,
    /// The share of those that had been lent before, 0 to 1.
    pub reuse_share: f64,
    /// Connections made.
    pub opened: u64,
    /// Connections that could not be made.
    pub connect_failures: u64,
    /// Callers whose time was up.
    pub timeouts: u64,
    /// Callers refused because too many waited.
    pub overloaded: u64,
    /// What 95 of 100 callers who had to wait did not wait longer than.
    pub wait_p95_ms: f64,
}

impl PoolStatus {
    /// A pool by its counters.
    #[must_use]
    pub fn of(name: impl Into<String>, stats: &mcp_pool::Stats) -> Self {
        Self {
            name: name.into(),
            connections_max: stats.max_connections as u64,
            in_use: stats.in_use as u64,
            idle: stats.idle as u64,
            waiting: stats.waiting as u64,
            use_share: stats.utilization(),
            checkouts: stats.checkouts,
            reuse_share: stats.reuse_ratio(),
            opened: stats.opened,
            connect_failures: stats.connect_failures,
            timeouts: stats.timeouts,
            overloaded: stats.overloaded,
            wait_p95_ms: millis(stats.waits.percentile(95)),
        }
    }
}

/// How one circuit breaker does.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BreakerStatus {
    /// What it leaves alone when that fails.
    pub name: String,
    /// `closed`, `open`, `half_open`, `forced_open` or `disabled`.
    pub state: &'static str,
    /// Calls that did well while it was closed.
    pub successes: u64,
    /// Calls that failed while it was closed.
    pub failures: u64,
    /// Calls refused because of its state.
    pub rejected: u64,
    /// Times it opened.
    pub opened: u64,
    /// How long until it tries again; absent unless it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reopens_in_ms: Option<u64>,
}

impl BreakerStatus {
    /// A breaker by its counters.
    #[must_use]
    pub fn of(name: impl Into<String>, stats: &mcp_breaker::Stats) -> Self {
        Self {
            name: name.into(),
            state: stats.state.as_str(),
            successes: stats.successes,
            failures: stats.failures,
            rejected: stats.rejected,
            opened: stats.opened,
            reopens_in_ms: stats.reopens_in.map(whole_millis),
        }
    }
}

/// How one collector of work does.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BatchStatus {
    /// What it puts together.
    pub name: &'static str,
    /// Items that wait now.
    pub queued: u64,
    /// Batches that run now.
    pub running: u64,
    /// Batches that have ended.
    pub batches: u64,
    /// Items in them.
    pub items: u64,
    /// Items of a batch, on average.
    pub mean_len: f64,
    /// Items that it aims at.
    pub target_len: u64,
    /// Items refused because the queue was full.
    pub overloaded: u64,
    /// What 95 of 100 items did not wait longer than before their batch ran.
    pub wait_p95_ms: f64,
    /// What 95 of 100 batches did not run longer than.
    pub run_p95_ms: f64,
}

impl BatchStatus {
    /// A collector by its counters.
    #[must_use]
    pub fn of(name: &'static str, stats: &mcp_batch::Stats) -> Self {
        let p95_ms = |histogram: &mcp_batch::Histogram| {
            Duration::from_micros(histogram.quantile(0.95)).as_secs_f64() * 1e3
        };
        Self {
            name,
            queued: stats.queued as u64,
            running: stats.running as u64,
            batches: stats.batches,
            items: stats.items,
            mean_len: share(stats.items, stats.batches),
            target_len: stats.target as u64,
            overloaded: stats.overloaded,
            wait_p95_ms: p95_ms(&stats.waits),
            run_p95_ms: p95_ms(&stats.runs),
        }
    }
}

/// How sessions do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SessionsStatus {
    /// Open now.
    pub open: u64,
    /// Opened since the start.
    pub opened: u64,
    /// Not opened, because all places were in use.
    pub refused: u64,
    /// Closed by their clients.
    pub closed: u64,
    /// Ended because nobody used them.
    pub expired: u64,
    /// Ended to make room for newer ones.
    pub evicted: u64,
}

impl From<mcp_streaming::SessionsStats> for SessionsStatus {
    fn from(stats: mcp_streaming::SessionsStats) -> Self {
        Self {
            open: stats.open as u64,
            opened: stats.opened,
            refused: stats.refused,
            closed: stats.closed,
            expired: stats.expired,
            evicted: stats.evicted,
        }
    }
}

/// What is held for clients to read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StreamsStatus {
    /// Streams that exist now.
    pub streams: u64,
    /// Bytes that they hold now.
    pub held_bytes: u64,
    /// The most bytes that they may hold; 0 where there are none.
    pub held_bytes_max: u64,
    /// The most bytes that they have held.
    pub held_bytes_peak: u64,
    /// Times that the use has passed the high mark.
    pub warnings: u64,
    /// Bytes of histories that were given up for others.
    pub shed_bytes: u64,
    /// Streams that were ended because their readers stood still or fell behind.
    pub ended_slow: u64,
    /// Streams that were ended because nobody used them.
    pub ended_idle: u64,
}

impl From<mcp_streaming::Stats> for StreamsStatus {
    fn from(stats: mcp_streaming::Stats) -> Self {
        Self {
            streams: stats.streams,
            held_bytes: stats.bytes_leased,
            held_bytes_max: stats.bytes_max,
            held_bytes_peak: stats.bytes_leased_peak,
            warnings: stats.warnings,
            shed_bytes: stats.shed_bytes,
            ended_slow: stats.ended_slow + stats.ended_stalled,
            ended_idle: stats.ended_idle,
        }
    }
}

/// How the calls of one kind of client do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LaneStatus {
    /// The kind of client.
    pub lane: Lane,
    /// Calls at work now.
    pub in_flight: u64,
    /// Calls that wait for a place now.
    pub waiting: u64,
    /// Calls that have had a place.
    pub admitted: u64,
    /// Calls that had to wait for one.
    pub queued: u64,
    /// Calls that were refused.
    pub shed: u64,
    /// Calls whose caller left before they had a place.
    pub abandoned: u64,
}

fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
