//! The store against a map with tags and a list of everything that was
//! invalidated.

use mcp_cache::{Bounds, Epochs, Inserted, Lookup, Origin, Put, Store, Ticket};
use proptest::prelude::*;
use std::{collections::HashMap, num::NonZeroU64, sync::Arc};

const KEYS: [&str; 8] = ["a:1", "a:2", "a:3", "b:1", "b:2", "b:3", "c", "d"];
const TAGS: [&str; 6] = ["t0", "t1", "t2", "t3", "t4", "t5"];
const GLOBS: [&str; 5] = ["a:*", "*:1", "?", "a:?", "b:2"];

#[derive(Debug, Clone)]
enum Op {
    /// Takes a ticket and keeps it in one of four places.
    Ticket {
        place: usize,
    },
    Insert {
        key: usize,
        place: usize,
        tags: Vec<usize>,
        fresh_for_ms: u32,
        stale_for_ms: u32,
        write: bool,
        heap_bytes: u64,
        keep: bool,
    },
    Get {
        key: usize,
    },
    LastKnown {
        key: usize,
    },
    InvalidateKey {
        key: usize,
    },
    InvalidateTags {
        tags: Vec<usize>,
    },
    InvalidatePattern {
        glob: usize,
    },
    Clear,
    Advance {
        ms: u64,
    },
    Sweep {
        budget: usize,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let tags = || prop::collection::vec(0..TAGS.len(), 0..6);
    let span = || prop_oneof![4 => 0u32..30, 1 => Just(u32::MAX)];
    let insert = (
        0..KEYS.len(),
        0usize..4,
        tags(),
        span(),
        span(),
        any::<(bool, bool)>(),
        0u64..900,
    );
    prop_oneof![
        6 => (0usize..4).prop_map(|place| Op::Ticket { place }),
        12 => insert.prop_map(|(key, place, tags, fresh_for_ms, stale_for_ms, (write, keep), heap_bytes)| {
            Op::Insert { key, place, tags, fresh_for_ms, stale_for_ms, write, heap_bytes, keep }
        }),
        12 => (0..KEYS.len()).prop_map(|key| Op::Get { key }),
        1 => (0..KEYS.len()).prop_map(|key| Op::LastKnown { key }),
        2 => (0..KEYS.len()).prop_map(|key| Op::InvalidateKey { key }),
        2 => prop::collection::vec(0..TAGS.len(), 0..3).prop_map(|tags| Op::InvalidateTags { tags }),
        1 => (0..GLOBS.len()).prop_map(|glob| Op::InvalidatePattern { glob }),
        1 => Just(Op::Clear),
        3 => (0u64..20).prop_map(|ms| Op::Advance { ms }),
        2 => (0usize..200).prop_map(|budget| Op::Sweep { budget }),
    ]
}

#[derive(Debug, Clone)]
struct Held {
    value: u64,
    tags: Vec<usize>,
    /// The moment of its ticket.
    born: u64,
    stored_ms: u64,
    fresh_for_ms: u32,
    stale_for_ms: u32,
    keep: bool,
    key_invalidated: bool,
}

impl Held {
    fn phase(&self, now_ms: u64) -> Option<bool> {
        let age = now_ms - self.stored_ms;
        let end = |span: u32| {
            if span == u32::MAX {
                u64::MAX / 4
            } else {
                u64::from(span)
            }
        };
        if age < end(self.fresh_for_ms) {
            Some(true)
        } else {
            (age < end(self.fresh_for_ms) + end(self.stale_for_ms)).then_some(false)
        }
    }
}

/// Every moment is a number of its own.
#[derive(Default)]
struct Model {
    moment: u64,
    now_ms: u64,
    values: u64,
    held: HashMap<usize, Held>,
    key_changed: HashMap<usize, u64>,
    tag_invalidated: HashMap<usize, u64>,
    glob_invalidated: HashMap<usize, u64>,
    cleared: u64,
    /// The last pattern that every entry had met when it left the store's list:
    /// from then on it refuses whatever began before it, match or not.
    retired: u64,
}

impl Model {
    fn tick(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }

    fn is_live(&self, key: usize, tags: &[usize], born: u64) -> bool {
        let globs = self.glob_invalidated.iter();
        self.cleared <= born
            && tags
                .iter()
                .all(|tag| self.tag_invalidated.get(tag).is_none_or(|at| *at <= born))
            && globs
                .filter(|(glob, _)| matches(**glob, key))
                .all(|(_, at)| *at <= born)
    }

    /// What a read must answer, if nothing was evicted.
    fn served(&self, key: usize) -> Option<(&Held, bool)> {
        let held = self.held.get(&key)?;
        let fresh = held.phase(self.now_ms)?;
        let live = !held.key_invalidated && self.is_live(key, &held.tags, held.born);
        live.then_some((held, fresh))
    }
}

fn matches(glob: usize, key: usize) -> bool {
    let key = KEYS[key];
    match GLOBS[glob] {
        "a:*" | "a:?" => key.starts_with("a:"),
        "*:1" => key.ends_with(":1"),
        "?" => key.len() == 1,
        other => key == other,
    }
}

struct Run {
    store: Store<String, u64>,
    model: Model,
    tickets: [(Ticket, u64); 4],
    /// Nothing is ever evicted: then the answers must be the model's exactly.
    roomy: bool,
    bounds: Bounds,
}

impl Run {
    fn new(bounds: Bounds, roomy: bool) -> Self {
        let store = Store::new(&bounds, Arc::new(Epochs::new(12)));
        let ticket = (store.ticket(), 0);
        Self {
            store,
            model: Model::default(),
            tickets: [ticket; 4],
            roomy,
            bounds,
        }
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Ticket { place } => {
                self.tickets[*place] = (self.store.ticket(), self.model.tick());
            }
            Op::Insert { .. } => self.insert(op),
            Op::Get { key } => self.get(*key),
            Op::LastKnown { key } => self.last_known(*key),
            Op::InvalidateKey { key } => {
                self.store.invalidate_key(KEYS[*key]);
                let moment = self.model.tick();
                self.model.key_changed.insert(*key, moment);
                if let Some(held) = self.model.held.get_mut(key) {
                    held.key_invalidated = true;
                }
            }
            Op::InvalidateTags { tags } => {
                let names: Vec<_> = tags
                    .iter()
                    .map(|&tag| self.store.epochs().tag(TAGS[tag]))
                    .collect();
                self.store.invalidate_tags(&names);
                let moment = self.model.tick();
                self.model
                    .tag_invalidated
                    .extend(tags.iter().map(|&tag| (tag, moment)));
            }
            Op::InvalidatePattern { glob } => {
                self.store.invalidate_pattern(GLOBS[*glob]);
                let moment = self.model.tick();
                self.model.glob_invalidated.insert(*glob, moment);
            }
            Op::Clear => {
                self.store.clear();
                self.model.cleared = self.model.tick();
            }
            Op::Advance { ms } => self.model.now_ms += ms,
            Op::Sweep { budget } => {
                let pending = self.store.stats().patterns_pending;
                self.store.sweep_step(*budget, self.model.now_ms);
                if self.store.stats().patterns_pending < pending {
                    let latest = self.model.glob_invalidated.values().max();
                    self.model.retired = latest.copied().unwrap_or(0);
                }
            }
        }
        self.check_bounds();
    }

    fn insert(&mut self, op: &Op) {
        let Op::Insert {
            key,
            place,
            tags,
            fresh_for_ms,
            stale_for_ms,
            write,
            heap_bytes,
            keep,
        } = op
        else {
            return;
        };
        let (ticket, moment) = self.tickets[*place];
        let names: Vec<_> = tags
            .iter()
            .map(|&tag| self.store.epochs().tag(TAGS[tag]))
            .collect();
        let put = Put {
            ticket,
            origin: if *write { Origin::Write } else { Origin::Load },
            tags: &names,
            fresh_for_ms: *fresh_for_ms,
            stale_for_ms: *stale_for_ms,
            heap_bytes: *heap_bytes,
            keep_invalidated: *keep,
        };
        let model = &mut self.model;
        let overtaken = model.key_changed.get(key).is_some_and(|at| *at > moment);
        let live = !overtaken && model.is_live(*key, tags, moment);
        let refused = moment < model.retired;
        let is_live = self.store.is_live(ticket, &KEYS[*key].to_owned(), &names);
        assert!(is_live == live || (!is_live && refused));
        let later = model
            .served(*key)
            .is_some_and(|(held, _)| held.born > moment);
        let expect = match (overtaken, live, later) {
            (true, _, _) if *write => Inserted::Conflict,
            (_, false, _) => Inserted::BornDead,
            (_, _, true) if !*write => Inserted::Superseded,
            _ => Inserted::Stored,
        };
        model.values += 1;
        let value = model.values;
        let inserted = self
            .store
            .insert(KEYS[*key].to_owned(), value, &put, model.now_ms);
        if *write {
            let moment = model.tick();
            model.key_changed.insert(*key, moment);
        }
        // The later one may have been evicted.
        let evicted = !self.roomy && (expect, inserted) == (Inserted::Superseded, Inserted::Stored);
        let refused = refused && inserted == Inserted::BornDead;
        assert!(
            inserted == expect || evicted || refused,
            "{inserted:?} and not {expect:?}"
        );
        if inserted == Inserted::Stored {
            let held = Held {
                value,
                tags: tags.clone(),
                born: moment,
                stored_ms: model.now_ms,
                fresh_for_ms: *fresh_for_ms,
                stale_for_ms: *stale_for_ms,
                keep: *keep,
                key_invalidated: false,
            };
            model.held.insert(*key, held);
        } else if *write {
            model.held.remove(key);
        }
    }

    fn get(&mut self, key: usize) {
        let answer = self.store.get(KEYS[key], self.model.now_ms);
        let answer = match answer {
            Lookup::Fresh(hit) => Some((hit, true)),
            Lookup::Stale(hit) => Some((hit, false)),
            Lookup::Miss => None,
        };
        let served = self.model.served(key);
        match (answer, served) {
            (Some((hit, fresh)), Some((held, held_fresh))) => {
                assert_eq!((hit.value, fresh), (held.value, held_fresh));
                assert_eq!(hit.age_ms, self.model.now_ms - held.stored_ms);
            }
            (Some((hit, _)), None) => panic!("a stale read of {}: {hit:?}", KEYS[key]),
            (None, Some(held)) if self.roomy => panic!("{held:?} was lost"),
            (None, _) => {}
        }
    }

    fn last_known(&mut self, key: usize) {
        let known = self.store.last_known(KEYS[key], self.model.now_ms);
        let held = self.model.held.get(&key);
        let held = held.filter(|held| held.keep && held.phase(self.model.now_ms).is_some());
        if self.roomy {
            assert_eq!(known.map(|hit| hit.value), held.map(|held| held.value));
        } else if let Some(hit) = known {
            assert_eq!(Some(hit.value), held.map(|held| held.value));
        }
    }

    fn check_bounds(&self) {
        let stats = self.store.stats();
        assert!(
            self.bounds
                .bytes_max
                .is_none_or(|max| stats.bytes <= max.get())
        );
        assert!(
            self.bounds
                .entries_max
                .is_none_or(|max| stats.entries <= max.get())
        );
        let gone = stats.replaced + stats.evicted + stats.expired + stats.invalidated;
        assert_eq!(stats.inserts - gone, stats.entries);
        assert_eq!(
            (stats.bytes, stats.entries),
            (self.store.bytes(), self.store.len())
        );
        assert_eq!(stats.entries == 0, stats.bytes == 0);
        assert!(!self.roomy || stats.evicted == 0);
    }
}

fn run(bounds: Bounds, roomy: bool, ops: &[Op]) {
    let mut run = Run::new(bounds, roomy);
    ops.iter().for_each(|op| run.step(op));
    (0..KEYS.len()).for_each(|key| run.get(key));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_roomy_store_answers_as_the_model_does(ops in prop::collection::vec(op(), 1..120)) {
        run(Bounds::default(), true, &ops);
    }

    #[test]
    fn a_full_store_only_forgets(ops in prop::collection::vec(op(), 1..120), shards in 1usize..3) {
        let bounds = Bounds {
            bytes_max: NonZeroU64::new(3_000),
            entries_max: None,
            shards: Some(shards),
        };
        run(bounds, false, &ops);
        let bounds = Bounds {
            bytes_max: None,
            entries_max: NonZeroU64::new(3),
            shards: Some(shards),
        };
        run(bounds, false, &ops);
    }
}
