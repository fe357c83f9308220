//! Every interleaving of the races that matter, under loom:
//!
//! ```text
//! RUSTFLAGS="--cfg mcp_loom" CARGO_TARGET_DIR=target/loom cargo test -p mcp-cache --release --lib loom_models
//! ```
//!
//! The wrong variants of the protocol are models too, which have to fail.

use super::*;
use crate::sync::{AtomicU64, Ordering};
use loom::{model::Builder, thread};
use std::num::NonZeroU64;

type Cache = Store<String, u64>;

const KEY: &str = "k";
const TAG: Tag = Tag(1);
const OTHER: Tag = Tag(2);

fn cache() -> Arc<Cache> {
    let bounds = Bounds {
        shards: Some(1),
        ..Bounds::default()
    };
    Arc::new(Store::new(&bounds, Arc::new(Epochs::new(4))))
}

fn insert(cache: &Cache, key: &str, value: u64, ticket: Ticket) {
    let put = Put {
        ticket,
        origin: Origin::Load,
        tags: &[TAG],
        fresh_for_ms: FOREVER_MS,
        stale_for_ms: 0,
        heap_bytes: 0,
        keep_invalidated: false,
    };
    let _ = cache.insert(key.to_owned(), value, &put, 0);
}

fn read(cache: &Cache) -> Option<u64> {
    cache.get(KEY, 0).fresh()
}

fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// A load of the old value meets a change of the source and its invalidation:
/// after the invalidation returned nobody reads the old value.
fn load_against(invalidate: fn(&Cache), ticket_first: bool) {
    explore(move || {
        let (cache, source) = (cache(), Arc::new(AtomicU64::new(1)));
        let (other, read_from) = (Arc::clone(&cache), Arc::clone(&source));
        let loader = thread::spawn(move || {
            let early = other.ticket();
            let value = read_from.load(Ordering::Acquire);
            let ticket = if ticket_first { early } else { other.ticket() };
            insert(&other, KEY, value, ticket);
        });
        source.store(2, Ordering::Release);
        invalidate(&cache);
        assert_ne!(read(&cache), Some(1), "a stale read");
        loader.join().expect("no panic");
        assert_ne!(read(&cache), Some(1), "a stale read");
    });
}

/// A reader finds an entry live, and remembers it, while it is invalidated.
fn read_against(invalidate: fn(&Cache)) {
    explore(move || {
        let cache = cache();
        insert(&cache, KEY, 1, cache.ticket());
        // So that the next read has to look.
        cache.invalidate_tags(&[OTHER]);
        let other = Arc::clone(&cache);
        let reader = thread::spawn(move || read(&other));
        invalidate(&cache);
        assert_eq!(read(&cache), None, "a stale read");
        reader.join().expect("no panic");
        assert_eq!(read(&cache), None, "a stale read");
    });
}

fn by_tag(cache: &Cache) {
    cache.invalidate_tags(&[TAG]);
}

fn by_key(cache: &Cache) {
    cache.invalidate_key(KEY);
}

fn by_pattern(cache: &Cache) {
    cache.invalidate_pattern("k*");
}

/// What a cache without stamps does.
fn by_plain_removal(cache: &Cache) {
    let mut shard = cache.lock(cache.hash(KEY));
    if let Some(at) = shard.find(cache.hash(KEY).print(), KEY) {
        shard.invalidate(at);
    }
}

/// The epoch rises before the stamp, and not again after it.
fn by_one_rise(cache: &Cache) {
    cache.ledger.epochs.invalidate_with_one_rise(TAG);
}

#[test]
fn a_load_in_flight_never_outlives_its_tag() {
    load_against(by_tag, true);
}

#[test]
fn a_load_in_flight_never_outlives_its_key() {
    load_against(by_key, true);
}

#[test]
fn a_load_in_flight_never_outlives_a_pattern() {
    load_against(by_pattern, true);
}

#[test]
fn a_load_in_flight_never_outlives_clearing() {
    load_against(Cache::clear, true);
}

#[test]
#[should_panic(expected = "a stale read")]
fn a_ticket_taken_after_the_load_is_wrong() {
    load_against(by_tag, false);
}

#[test]
#[should_panic(expected = "a stale read")]
fn plain_removal_is_wrong() {
    load_against(by_plain_removal, true);
}

#[test]
fn a_reader_never_remembers_too_much_of_a_tag() {
    read_against(by_tag);
}

/// Seen to fail: with the pattern's epoch taken before the lock of the list.
#[test]
fn a_reader_never_remembers_too_much_of_a_pattern() {
    read_against(by_pattern);
}

#[test]
fn a_reader_never_remembers_too_much_of_clearing() {
    read_against(Cache::clear);
}

#[test]
#[should_panic(expected = "a stale read")]
fn the_shortcut_with_one_rise_is_wrong() {
    read_against(by_one_rise);
}

/// A later invalidation of another tag finishes first: the reader may remember its
/// epoch, and the earlier stamp still has to be seen.
///
/// Seen to fail: with `checked` in place of `born` in `Ledger::is_live`.
#[test]
fn two_invalidations_overtake_each_other() {
    explore(|| {
        let cache = cache();
        insert(&cache, KEY, 1, cache.ticket());
        let other = Arc::clone(&cache);
        let invalidator = thread::spawn(move || other.invalidate_tags(&[TAG]));
        cache.invalidate_tags(&[OTHER]);
        read(&cache);
        invalidator.join().expect("no panic");
        assert_eq!(read(&cache), None, "a stale read");
    });
}

/// Two inserts meet at the bound, and a reader of the one that may leave.
///
/// Seen to fail: with `Latch::lock` not waiting.
#[test]
fn an_eviction_meets_an_insert() {
    explore(|| {
        let bounds = Bounds {
            entries_max: NonZeroU64::new(1),
            shards: Some(1),
            ..Bounds::default()
        };
        let cache: Arc<Cache> = Arc::new(Store::new(&bounds, Arc::new(Epochs::new(4))));
        let other = Arc::clone(&cache);
        let thread = thread::spawn(move || insert(&other, "other", 2, other.ticket()));
        insert(&cache, KEY, 1, cache.ticket());
        assert!(matches!(read(&cache), None | Some(1)));
        thread.join().expect("no panic");
        let stats = cache.stats();
        assert_eq!((stats.entries, stats.inserts, stats.evicted), (1, 2, 1));
    });
}
