//! Single rules of the store, one test each.

use mcp_cache::{Bounds, Epochs, FOREVER_MS, Inserted, Lookup, Origin, Put, Store, Tag, Ticket};
use std::{num::NonZeroU64, sync::Arc};

fn store() -> Store<String, u64> {
    Store::new(&Bounds::default(), Arc::new(Epochs::new(12)))
}

fn put(ticket: Ticket, tags: &[Tag]) -> Put<'_> {
    Put {
        ticket,
        origin: Origin::Load,
        tags,
        fresh_for_ms: FOREVER_MS,
        stale_for_ms: 0,
        heap_bytes: 0,
        keep_invalidated: false,
    }
}

fn keep(store: &Store<String, u64>, key: &str, value: u64, tags: &[Tag]) {
    let put = put(store.ticket(), tags);
    assert_eq!(store.insert(key.into(), value, &put, 0), Inserted::Stored);
}

#[test]
fn a_load_in_flight_is_doomed_by_every_form() {
    type Invalidate = fn(&Store<String, u64>);
    let forms: [(&str, Invalidate); 5] = [
        ("key", |store| {
            store.invalidate_key("user:1");
        }),
        ("tag", |store| {
            store.invalidate_tags(&[store.epochs().tag("users")])
        }),
        ("namespace", |store| {
            store.invalidate_tags(&[store.epochs().namespace("tenant")])
        }),
        ("pattern", |store| store.invalidate_pattern("user:*")),
        ("clear", |store| store.clear()),
    ];
    for (form, invalidate) in forms {
        let store = store();
        let tags = [
            store.epochs().tag("users"),
            store.epochs().namespace("tenant"),
        ];
        let key = "user:1".to_owned();
        let before = store.ticket();
        assert!(store.is_live(before, &key, &tags), "{form}");
        invalidate(&store);
        assert!(!store.is_live(before, &key, &tags), "{form}");
        let late = store.insert(key.clone(), 1, &put(before, &tags), 0);
        assert_eq!(late, Inserted::BornDead, "{form}");
        assert_eq!(store.get("user:1", 0), Lookup::Miss, "{form}");
        let after = store.ticket();
        assert!(store.is_live(after, &key, &tags), "{form}");
        let fresh = store.insert(key, 2, &put(after, &tags), 0);
        assert_eq!(fresh, Inserted::Stored, "{form}");
        assert_eq!(store.get("user:1", 0).fresh(), Some(2), "{form}");
        invalidate(&store);
        assert_eq!(store.get("user:1", 0), Lookup::Miss, "{form}");
    }
}

#[test]
fn a_tag_and_a_namespace_of_one_name_are_strangers() {
    let store = store();
    keep(&store, "a", 1, &[store.epochs().tag("x")]);
    store.invalidate_tags(&[store.epochs().namespace("x")]);
    assert_eq!(store.get("a", 0).fresh(), Some(1));
}

#[test]
fn two_overlapping_writes_leave_neither() {
    let store = store();
    let (first, second) = (store.ticket(), store.ticket());
    let write = |ticket, value| {
        let put = Put {
            origin: Origin::Write,
            ..put(ticket, &[])
        };
        store.insert("a".into(), value, &put, 0)
    };
    assert_eq!(write(second, 2), Inserted::Stored);
    assert_eq!(store.get("a", 0).fresh(), Some(2));
    assert_eq!(write(first, 1), Inserted::Conflict);
    assert_eq!(store.get("a", 0), Lookup::Miss);
    assert_eq!(write(store.ticket(), 3), Inserted::Stored);
    assert_eq!(store.get("a", 0).fresh(), Some(3));
}

#[test]
fn a_write_dooms_the_loads_before_it() {
    let store = store();
    let load = store.ticket();
    let written = Put {
        origin: Origin::Write,
        ..put(store.ticket(), &[])
    };
    assert_eq!(store.insert("a".into(), 2, &written, 0), Inserted::Stored);
    assert_eq!(
        store.insert("a".into(), 1, &put(load, &[]), 0),
        Inserted::BornDead
    );
    assert_eq!(store.get("a", 0).fresh(), Some(2));
}

#[test]
fn the_oldest_of_too_many_patterns_counts_for_every_key() {
    let store = store();
    keep(&store, "a", 1, &[]);
    for n in 0..256 {
        store.invalidate_pattern(&format!("none:{n}"));
    }
    assert_eq!(store.get("a", 0).fresh(), Some(1), "it has met them all");
    keep(&store, "b", 2, &[]);
    let late = store.ticket();
    for n in 0..300 {
        store.invalidate_pattern(&format!("none:{n}"));
    }
    assert_eq!(store.stats().patterns_pending, 256);
    assert_eq!(
        store.get("b", 0),
        Lookup::Miss,
        "a false miss and no stale read"
    );
    let inserted = store.insert("c".into(), 3, &put(late, &[]), 0);
    assert_eq!(inserted, Inserted::BornDead);
}

#[test]
fn a_round_of_the_sweep_lets_the_patterns_go() {
    let store = store();
    for n in 0..1_000 {
        keep(&store, &format!("{n}"), n, &[]);
    }
    let late = store.ticket();
    store.invalidate_pattern("*7");
    assert_eq!(store.stats().patterns_pending, 1);
    let mut removed = 0;
    loop {
        let swept = store.sweep_step(100, 0);
        removed += swept.removed;
        if swept.wrapped {
            break;
        }
    }
    assert_eq!(
        (removed, store.len(), store.stats().patterns_pending),
        (100, 900, 0)
    );
    assert_eq!(store.get("8", 0).fresh(), Some(8));
    let inserted = store.insert("17".into(), 1, &put(late, &[]), 0);
    assert_eq!(
        inserted,
        Inserted::BornDead,
        "the pattern is gone, its effect is not"
    );
}

#[test]
fn a_sweep_gives_all_memory_of_a_cleared_store_back() {
    let store = store();
    for n in 0..1_000 {
        keep(&store, &format!("{n}"), n, &[]);
    }
    store.clear();
    assert_eq!(store.len(), 1_000);
    while !store.sweep_step(100, 0).wrapped {}
    assert_eq!((store.len(), store.bytes()), (0, 0));
    assert_eq!(store.stats().invalidated, 1_000);
    keep(&store, "a", 1, &[]);
    assert_eq!(store.get("a", 0).fresh(), Some(1));
}

#[test]
fn what_is_larger_than_a_shard_is_refused_and_replaces_nothing_silently() {
    let bounds = Bounds {
        bytes_max: NonZeroU64::new(4_000),
        ..Bounds::default()
    };
    let store: Store<String, u64> = Store::new(&bounds, Arc::default());
    keep(&store, "a", 1, &[]);
    let large = Put {
        heap_bytes: 4_000,
        ..put(store.ticket(), &[])
    };
    assert_eq!(store.insert("a".into(), 2, &large, 0), Inserted::TooLarge);
    assert_eq!(
        store.get("a", 0),
        Lookup::Miss,
        "the old value is out of date"
    );
}

#[test]
fn the_last_known_value_survives_its_invalidation_but_not_its_spans() {
    let store = store();
    let tags = [store.epochs().tag("t")];
    let kept = Put {
        keep_invalidated: true,
        fresh_for_ms: 10,
        stale_for_ms: 5,
        ..put(store.ticket(), &tags)
    };
    assert_eq!(store.insert("a".into(), 1, &kept, 0), Inserted::Stored);
    store.invalidate_tags(&tags);
    assert_eq!(store.get("a", 1), Lookup::Miss);
    assert_eq!(store.last_known("a", 14).map(|hit| hit.value), Some(1));
    assert!(store.invalidate_key("a"));
    assert_eq!(store.get("a", 1), Lookup::Miss);
    assert_eq!(store.last_known("a", 14).map(|hit| hit.value), Some(1));
    assert_eq!(store.last_known("a", 15), None);
    keep(&store, "b", 2, &tags);
    assert_eq!(store.last_known("b", 0), None, "it did not ask to be kept");
}

#[test]
fn stores_that_share_their_epochs_share_their_tags_and_nothing_else() {
    let epochs = Arc::new(Epochs::new(12));
    let one: Store<String, u64> = Store::new(&Bounds::default(), Arc::clone(&epochs));
    let two: Store<String, u64> = Store::new(&Bounds::default(), Arc::clone(&epochs));
    for store in [&one, &two] {
        keep(store, "tagged", 1, &[epochs.tag("t")]);
        keep(store, "plain", 2, &[]);
    }
    one.clear();
    assert_eq!(one.get("plain", 0), Lookup::Miss);
    assert_eq!(two.get("plain", 0).fresh(), Some(2));
    assert_eq!(two.get("tagged", 0).fresh(), Some(1));
    epochs.invalidate(&[epochs.tag("t")]);
    assert_eq!(two.get("tagged", 0), Lookup::Miss);
}

/// A slow load of an old value lands after a quick one of a newer value, and nothing
/// was invalidated in between.
#[test]
fn a_load_that_began_earlier_replaces_no_later_one() {
    let store = store();
    let (slow, quick) = (store.ticket(), store.ticket());
    let land = |ticket, value| store.insert("a".into(), value, &put(ticket, &[]), 0);
    assert_eq!(land(quick, 2), Inserted::Stored);
    assert_eq!(land(slow, 1), Inserted::Superseded);
    assert_eq!(store.get("a", 0).fresh(), Some(2));
    assert_eq!(land(store.ticket(), 3), Inserted::Stored);
    assert_eq!(store.get("a", 0).fresh(), Some(3));
}

fn full_of(entries: u64) -> Store<String, u64> {
    let bounds = Bounds {
        entries_max: NonZeroU64::new(entries),
        shards: Some(1),
        ..Bounds::default()
    };
    Store::new(&bounds, Arc::new(Epochs::new(12)))
}

#[test]
fn the_dead_leave_before_the_living() {
    let store = full_of(100);
    let old = [store.epochs().tag("old")];
    for n in 0..100 {
        let tags: &[Tag] = if n % 2 == 0 { &old } else { &[] };
        keep(&store, &format!("{n}"), n, tags);
    }
    store.invalidate_tags(&old);
    for n in 100..150 {
        keep(&store, &format!("{n}"), n, &[]);
    }
    let stats = store.stats();
    assert_eq!((stats.invalidated, stats.evicted), (50, 0));
    for n in (1..100).step_by(2).chain(100..150) {
        assert_eq!(store.get(n.to_string().as_str(), 0).fresh(), Some(n));
    }
}

/// Nobody asked for them: they are expired all the same, and no victims of the bound.
#[test]
fn what_expired_is_not_counted_as_evicted() {
    let store = full_of(100);
    let brief = Put {
        fresh_for_ms: 10,
        ..put(store.ticket(), &[])
    };
    for (n, now_ms) in (0..200).map(|n| (n, if n < 100 { 0 } else { 10 })) {
        let inserted = store.insert(n.to_string(), n, &brief, now_ms);
        assert_eq!(inserted, Inserted::Stored);
    }
    let stats = store.stats();
    assert_eq!((stats.expired, stats.evicted, stats.entries), (100, 0, 100));
}

/// One that comes back soon after it was evicted goes among the protected, all of
/// which are in use: it must not be the one that leaves for that.
#[test]
fn one_that_comes_back_is_there() {
    let store = full_of(100);
    for round in 0..20u64 {
        for n in 0..110 {
            let key = n.to_string();
            if store.get(key.as_str(), 0).fresh().is_none() {
                keep(&store, &key, n, &[]);
                let found = store.get(key.as_str(), 0).fresh();
                assert_eq!(found, Some(n), "in round {round}");
            }
        }
        for n in 0..110 {
            let _ = store.get(n.to_string().as_str(), 0);
        }
    }
}

const MIB: u64 = 1 << 20;

/// Sixteen shards of 4 MiB, and values of 6 and 30 MiB among small ones.
#[test]
fn a_value_above_a_shards_share_has_room() {
    let bounds = Bounds {
        bytes_max: NonZeroU64::new(64 * MIB),
        shards: Some(16),
        ..Bounds::default()
    };
    let store: Store<String, u64> = Store::new(&bounds, Arc::new(Epochs::new(12)));
    let keep = |key: &str, mib_64ths: u64| {
        let sized = Put {
            heap_bytes: mib_64ths * MIB / 64,
            ..put(store.ticket(), &[])
        };
        assert_eq!(
            store.insert(key.into(), 1, &sized, 0),
            Inserted::Stored,
            "{key}"
        );
        assert!(store.get(key, 0).fresh().is_some(), "{key}");
        assert!(store.bytes() <= 64 * MIB, "{key}");
    };
    let fill = || (0..8_000).for_each(|n| keep(&format!("small {n}"), 1));
    fill();
    for n in 0..40 {
        keep(&format!("large {n}"), 6 * 64);
    }
    assert!(store.bytes() > 30 * MIB, "{}", store.bytes());
    for n in 0..10 {
        keep(&format!("huge {n}"), 30 * 64);
    }
    fill();
    // What was lent comes back, and is used again.
    store.clear();
    for _ in 0..2 {
        while !store.sweep_step(1_000, 0).wrapped {}
    }
    fill();
    assert!(store.bytes() > 60 * MIB, "{}", store.bytes());
    let refused = Put {
        heap_bytes: 33 * MIB,
        ..put(store.ticket(), &[])
    };
    assert_eq!(store.insert("a".into(), 1, &refused, 0), Inserted::TooLarge);
}
