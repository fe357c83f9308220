//! What the parts say of themselves, in the form that the monitor has for each kind.

use super::{
    BatchedStore, CachedStore, GuardedStore, OptimisedManager, SharedStats, UpstreamCaches,
};
use crate::{
    memory::{postgres::PostgresStore, sqlite::SqliteStore},
    monitoring::{
        BatchStatus, BreakerStatus, CacheStatus, Dependency, DependencyKind, DependencyState,
        Parts, PoolStatus, TagStatus,
    },
    ports::Observed,
};

impl Observed for CachedStore {
    fn observe(&self, parts: &mut Parts) {
        let calls = self.stats();
        // A call may be several look-ups, and a look-up that found something too old no answer.
        let cache = CacheStatus::l1("memory", &self.cache_stats());
        let mut cache = cache.counted(calls.hits, calls.misses);
        cache.bypassed = calls.bypassed;
        parts.caches.push(cache);
        let shared = self.shared_stats();
        parts
            .caches
            .extend(shared.as_ref().map(SharedStats::status));
    }
}

impl SharedStats {
    /// The tier that is shared with other processes. What is in it is not known here.
    fn status(&self) -> CacheStatus {
        let misses = self.absent + self.refused;
        CacheStatus {
            errors: self.failed,
            bypassed: self.left_alone,
            ..CacheStatus::l2("memory").counted(self.hits, misses)
        }
    }
}

impl Observed for OptimisedManager {
    fn observe(&self, parts: &mut Parts) {
        let reads = self.stats();
        let cache = CacheStatus::l1("contexts", &self.cache_stats());
        parts.caches.push(cache.counted(reads.hits, reads.misses));
    }
}

impl Observed for UpstreamCaches {
    fn observe(&self, parts: &mut Parts) {
        let lists = CacheStatus::l1("connector_lists", &self.list_stats());
        let mut results = CacheStatus::l1("connector_results", &self.result_stats());
        let tags = self.result_tags().into_iter();
        results.tags = tags
            .map(|(tag, stats)| TagStatus {
                tag,
                inserts: stats.inserts,
                invalidations: stats.invalidations,
            })
            .collect();
        parts.caches.extend([lists, results]);
    }
}

impl Observed for GuardedStore {
    fn observe(&self, parts: &mut Parts) {
        let store = BreakerStatus::of("memory_store", &self.stats());
        let reads = self.read_stats();
        let reads = reads.map(|stats| BreakerStatus::of("memory_store_reads", &stats));
        parts.breakers.push(store);
        parts.breakers.extend(reads);
    }
}

impl Observed for BatchedStore {
    fn observe(&self, parts: &mut Parts) {
        let writes = BatchStatus::of("memory_writes", &self.stats());
        parts.batches.push(writes);
    }
}

impl Observed for SqliteStore {
    fn observe(&self, parts: &mut Parts) {
        let pools = self.reader_stats();
        let pools = pools
            .iter()
            .map(|(kind, stats)| PoolStatus::of(format!("sqlite_readers:{kind}"), stats));
        parts.pools.extend(pools);
    }
}

impl Observed for PostgresStore {
    fn observe(&self, parts: &mut Parts) {
        for (at, node) in self.nodes().iter().enumerate() {
            let name = match at {
                0 => "postgres".to_owned(),
                _ => format!("postgres:{at}"),
            };
            parts.pools.push(PoolStatus::of(name.clone(), &node.pool));
            let (state, detail) = match node.is_primary {
                Some(true) => (DependencyState::Up, "primary"),
                Some(false) => (DependencyState::Up, "replica"),
                None => (DependencyState::Down, "it does not answer"),
            };
            parts.dependencies.push(Dependency {
                name,
                kind: DependencyKind::Postgres,
                state,
                detail: detail.to_owned(),
            });
        }
    }
}
