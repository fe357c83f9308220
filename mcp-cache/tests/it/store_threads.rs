//! Counters and bounds when threads meet.

use mcp_cache::{Bounds, Epochs, FOREVER_MS, Lookup, Origin, Put, Store};
use std::{
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

const THREADS: u64 = 8;
const ROUNDS: u64 = 40_000;

/// A small generator, so that each thread walks its own way.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn counters_are_exact_under_eight_threads() {
    let bounds = Bounds {
        bytes_max: NonZeroU64::new(200_000),
        entries_max: NonZeroU64::new(500),
        shards: Some(4),
    };
    let store: Store<u64, u64> = Store::new(&bounds, Arc::new(Epochs::new(10)));
    let (gets, found, stored) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let work = |thread: u64| {
        let mut state = thread + 1;
        for round in 0..ROUNDS {
            let key = next(&mut state) % 1_000;
            let tags = [store.epochs().tag(["a", "b", "c"][(key % 3) as usize])];
            match next(&mut state) % 16 {
                0 if round % 64 == 0 => store.invalidate_tags(&tags),
                1 => {
                    store.invalidate_key(&key);
                }
                2 => {
                    store.sweep_step(64, round);
                }
                3..8 => {
                    let put = Put {
                        ticket: store.ticket(),
                        origin: Origin::Load,
                        tags: &tags,
                        fresh_for_ms: if key.is_multiple_of(7) { 5 } else { FOREVER_MS },
                        stale_for_ms: 0,
                        heap_bytes: key % 300,
                        keep_invalidated: false,
                    };
                    let inserted = store.insert(key, key, &put, round);
                    let one = u64::from(inserted == mcp_cache::Inserted::Stored);
                    stored.fetch_add(one, Ordering::Relaxed);
                }
                _ => {
                    gets.fetch_add(1, Ordering::Relaxed);
                    if let Lookup::Fresh(hit) = store.get(&key, round) {
                        assert_eq!(hit.value, key);
                        found.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            if round % 512 == 0 {
                let stats = store.stats();
                assert!(stats.bytes <= 200_000 && stats.entries <= 500, "{stats:?}");
            }
        }
    };
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || work(thread));
        }
    });
    let stats = store.stats();
    assert_eq!(stats.hits, found.into_inner());
    assert_eq!(stats.hits + stats.misses, gets.into_inner());
    assert_eq!(stats.inserts, stored.into_inner());
    let gone = stats.replaced + stats.evicted + stats.expired + stats.invalidated;
    assert_eq!(stats.inserts - gone, stats.entries);
    assert!(
        stats.evicted > 0 && stats.expired > 0 && stats.invalidated > 0,
        "{stats:?}"
    );
}
