//! The parts: caches, pools, breakers, batches, lanes, sessions, connectors.

use std::fmt;

use super::families::{Families, Histogram, Labels};
use crate::monitoring::{BatchStatus, BreakerStatus, CacheStatus, LaneStatus, Parts, PoolStatus};
use crate::upstream::{Condition, SyncDurations};

/// A metric with one row for each of several things.
type Column<T> = (&'static str, &'static str, fn(&T) -> u64);

const CACHE_COUNTERS: [Column<CacheStatus>; 7] = [
    ("mcp_cache_hits", "Look-ups that a cache answered", |c| {
        c.hits
    }),
    (
        "mcp_cache_misses",
        "Look-ups that a cache could not answer",
        |c| c.misses,
    ),
    ("mcp_cache_bypassed", "Calls that went past a cache", |c| {
        c.bypassed
    }),
    (
        "mcp_cache_evictions",
        "Entries that made room for others",
        |c| c.evictions,
    ),
    ("mcp_cache_expired", "Entries whose time was over", |c| {
        c.expired
    }),
    (
        "mcp_cache_invalidations",
        "Times that something was invalidated",
        |c| c.invalidations,
    ),
    (
        "mcp_cache_errors",
        "Times that a cache failed and was gone past",
        |c| c.errors,
    ),
];
const CACHE_GAUGES: [Column<CacheStatus>; 2] = [
    ("mcp_cache_entries", "Entries in a cache", |c| c.entries),
    ("mcp_cache_bytes", "Bytes in a cache", |c| c.bytes),
];
const POOL_COUNTERS: [Column<PoolStatus>; 5] = [
    ("mcp_pool_checkouts", "Connections lent", |p| p.checkouts),
    ("mcp_pool_opened", "Connections made", |p| p.opened),
    (
        "mcp_pool_connect_failures",
        "Connections that could not be made",
        |p| p.connect_failures,
    ),
    (
        "mcp_pool_timeouts",
        "Callers that waited for a connection in vain",
        |p| p.timeouts,
    ),
    (
        "mcp_pool_overloaded",
        "Callers refused because too many waited",
        |p| p.overloaded,
    ),
];
const POOL_GAUGES: [Column<PoolStatus>; 4] = [
    (
        "mcp_pool_connections_max",
        "The most connections at a time",
        |p| p.connections_max,
    ),
    ("mcp_pool_in_use", "Connections that are lent", |p| p.in_use),
    ("mcp_pool_idle", "Connections that are idle", |p| p.idle),
    (
        "mcp_pool_waiting",
        "Callers that wait for a connection",
        |p| p.waiting,
    ),
];
const BREAKER_COUNTERS: [Column<BreakerStatus>; 3] = [
    (
        "mcp_breaker_failures",
        "Calls that failed behind a closed breaker",
        |b| b.failures,
    ),
    (
        "mcp_breaker_rejected",
        "Calls that a breaker refused",
        |b| b.rejected,
    ),
    ("mcp_breaker_opened", "Times that a breaker opened", |b| {
        b.opened
    }),
];
const BATCH_COUNTERS: [Column<BatchStatus>; 3] = [
    ("mcp_batch_batches", "Batches that have ended", |b| {
        b.batches
    }),
    ("mcp_batch_items", "Items in batches", |b| b.items),
    (
        "mcp_batch_overloaded",
        "Items refused because the queue was full",
        |b| b.overloaded,
    ),
];
const BATCH_GAUGES: [Column<BatchStatus>; 3] = [
    (
        "mcp_batch_queue_depth",
        "Items that wait for their batch",
        |b| b.queued,
    ),
    ("mcp_batch_running", "Batches that run", |b| b.running),
    ("mcp_batch_target", "The size that batches aim at", |b| {
        b.target_len
    }),
];
const LANE_COUNTERS: [Column<LaneStatus>; 4] = [
    ("mcp_lane_admitted", "Calls that were given a place", |l| {
        l.admitted
    }),
    (
        "mcp_lane_queued",
        "Calls that had to wait for a place",
        |l| l.queued,
    ),
    (
        "mcp_lane_shed",
        "Calls that were refused for want of a place",
        |l| l.shed,
    ),
    (
        "mcp_lane_abandoned",
        "Calls whose caller left before they had a place",
        |l| l.abandoned,
    ),
];
const LANE_GAUGES: [Column<LaneStatus>; 2] = [
    ("mcp_lane_in_flight", "Calls at work", |l| l.in_flight),
    ("mcp_lane_queue_depth", "Calls that wait for a place", |l| {
        l.waiting
    }),
];

pub(super) fn encode(parts: &Parts, families: &mut Families<'_, '_>) -> fmt::Result {
    let of_cache = |c: &CacheStatus| vec![("cache", c.name), ("tier", c.tier.name())];
    counters(families, &CACHE_COUNTERS, &parts.caches, of_cache)?;
    gauges(families, &CACHE_GAUGES, &parts.caches, of_cache)?;
    counters(families, &POOL_COUNTERS, &parts.pools, of_pool)?;
    gauges(families, &POOL_GAUGES, &parts.pools, of_pool)?;
    counters(families, &BREAKER_COUNTERS, &parts.breakers, of_breaker)?;
    families.gauge(
        "mcp_breaker_open",
        "Whether a breaker refuses calls: 1, or 0.5 while it tries again",
        parts.breakers.iter().map(|breaker| {
            let open = match breaker.state {
                "open" | "forced_open" => 1.0,
                "half_open" => 0.5,
                _ => 0.0,
            };
            (of_breaker(breaker), open)
        }),
    )?;
    let of_batch = |b: &BatchStatus| vec![("batch", b.name)];
    counters(families, &BATCH_COUNTERS, &parts.batches, of_batch)?;
    gauges(families, &BATCH_GAUGES, &parts.batches, of_batch)?;
    let of_lane = |l: &LaneStatus| vec![("client_type", l.lane.name())];
    counters(families, &LANE_COUNTERS, &parts.lanes, of_lane)?;
    gauges(families, &LANE_GAUGES, &parts.lanes, of_lane)?;
    sessions(parts, families)?;
    connectors(parts, families)
}

fn of_pool(pool: &PoolStatus) -> Labels<'_> {
    vec![("pool", pool.name.as_str())]
}

fn of_breaker(breaker: &BreakerStatus) -> Labels<'_> {
    vec![("breaker", breaker.name.as_str())]
}

fn sessions(parts: &Parts, families: &mut Families<'_, '_>) -> fmt::Result {
    let (sessions, streams) = (&parts.sessions, &parts.streams);
    let one = |value: u64| [(Labels::new(), value)];
    let now = |value: u64| [(Labels::new(), value as f64)];
    families.gauge(
        "mcp_sessions_open",
        "Sessions that are open",
        now(sessions.open),
    )?;
    families.counter(
        "mcp_sessions_opened",
        "Sessions opened",
        one(sessions.opened),
    )?;
    families.counter(
        "mcp_sessions_refused",
        "Sessions not opened",
        one(sessions.refused),
    )?;
    families.counter(
        "mcp_sessions_expired",
        "Sessions nobody used",
        one(sessions.expired),
    )?;
    families.counter(
        "mcp_sessions_evicted",
        "Sessions ended for others",
        one(sessions.evicted),
    )?;
    families.gauge(
        "mcp_streams_open",
        "Streams that exist",
        now(streams.streams),
    )?;
    families.gauge(
        "mcp_streams_held_bytes",
        "Bytes that are held for clients to read",
        now(streams.held_bytes),
    )?;
    families.gauge(
        "mcp_streams_held_bytes_max",
        "The most bytes that may be held",
        now(streams.held_bytes_max),
    )?;
    families.counter(
        "mcp_streams_ended_slow",
        "Streams that were ended because nobody read them",
        one(streams.ended_slow),
    )
}

fn connectors(parts: &Parts, families: &mut Families<'_, '_>) -> fmt::Result {
    families.gauge(
        "mcp_connector_up",
        "Whether a connector answers: 1, or 0.5 where its tools are known from earlier",
        parts.connectors.iter().map(|connector| {
            let up = match connector.condition {
                Condition::Ready => 1.0,
                Condition::Stale => 0.5,
                Condition::Starting | Condition::Failed => 0.0,
            };
            (vec![("connector", connector.name.as_str())], up)
        }),
    )?;
    let syncs = parts.connector_syncs.iter().map(|syncs| Histogram {
        within: syncs.buckets.clone(),
        sum: syncs.sum_seconds,
        count: syncs.count,
    });
    families.histogram(
        SyncDurations::NAME,
        "How long it took to ask a connector for its tools",
        syncs.map(|histogram| (Labels::new(), histogram)),
    )
}

fn counters<'l, T>(
    families: &mut Families<'_, '_>,
    columns: &[Column<T>],
    rows: &'l [T],
    labels: impl Fn(&'l T) -> Labels<'l>,
) -> fmt::Result {
    for (name, help, value) in columns {
        families.counter(name, help, rows.iter().map(|row| (labels(row), value(row))))?;
    }
    Ok(())
}

fn gauges<'l, T>(
    families: &mut Families<'_, '_>,
    columns: &[Column<T>],
    rows: &'l [T],
    labels: impl Fn(&'l T) -> Labels<'l>,
) -> fmt::Result {
    for (name, help, value) in columns {
        let rows = rows.iter().map(|row| (labels(row), value(row) as f64));
        families.gauge(name, help, rows)?;
    }
    Ok(())
}
