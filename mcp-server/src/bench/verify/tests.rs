use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::*;
use crate::bench::{
    history::{Id, Receipt, TextHash},
    trace::{Content, Trace, TraceSettings},
};

/// One agent's trace, and what it would see of a store that does everything right and at once.
struct Run {
    history: History,
    /// Version and text of each memory that is there.
    now: BTreeMap<u32, (u64, Content)>,
}

impl Run {
    fn new() -> Self {
        let settings = TraceSettings {
            seed: 11,
            clients: 1,
            memories: 160,
            calls: 400,
        };
        let trace = Arc::new(Trace::new(settings));
        let ids = (0..160).map(id).collect();
        let mut run = Self {
            now: (0..160)
                .map(|memory| (memory, (1, trace.seeded(memory).1)))
                .collect(),
            history: History {
                trace: trace.clone(),
                ids,
                clients: Vec::new(),
            },
        };
        let mut events = Vec::new();
        let mut texts = Texts::new(&trace);
        for (op, place) in trace.clients()[0].iter().zip(0_u32..) {
            let seen = run.answer(&mut texts, op);
            events.push(Event {
                op: place,
                sent: Duration::from_millis(1 + 2 * u64::from(place)),
                received: Duration::from_millis(2 + 2 * u64::from(place)),
                seen,
            });
        }
        run.history.clients.push(events);
        run
    }

    fn answer(&mut self, texts: &mut Texts<'_>, op: &Op) -> Seen {
        let trace = &self.history.trace.clone();
        match op {
            Op::Search { query } => Seen::Found(self.find(texts, *query)),
            Op::Get { memory } => match self.now.get(memory) {
                Some((version, content)) => {
                    Seen::Memory(sighting(trace, *memory, *version, *content))
                }
                None => Seen::NotFound,
            },
            Op::Batch(ops) => Seen::Wrote(ops.iter().map(|op| Some(self.write(op))).collect()),
            op => Seen::Wrote(Box::new([Some(self.write(op))])),
        }
    }

    fn write(&mut self, op: &Op) -> Receipt {
        let (memory, version) = match op {
            Op::Add {
                memory, content, ..
            } => {
                self.now.insert(*memory, (1, *content));
                (*memory, Some(1))
            }
            Op::Update { memory, content } => {
                let version = self.now[memory].0 + 1;
                self.now.insert(*memory, (version, *content));
                (*memory, Some(version))
            }
            Op::Delete { memory } => {
                self.now.remove(memory);
                (*memory, None)
            }
            other => panic!("{other:?} is no write"),
        };
        Receipt {
            id: id(memory),
            version,
        }
    }

    /// Ranks by how often the words are held, and then by length: one of the rankings that keep
    /// the rule.
    fn find(&self, texts: &mut Texts<'_>, query: u32) -> Found {
        let trace = &self.history.trace;
        let scope = trace.queries()[query as usize].namespace;
        let place = |memory: u32| match memory < 160 {
            true => Some(trace.seeded(memory).0),
            false => trace.clients()[0]
                .iter()
                .find_map(|op| added_to(op, memory)),
        };
        let mut matches: Vec<_> = self
            .now
            .iter()
            .filter(|(memory, _)| scope.is_none_or(|scope| place(**memory) == Some(scope)))
            .map(|(memory, now)| (texts.fit(now.1, query).order(), *memory, *now))
            .filter(|(order, ..)| order.0 > 0)
            .collect();
        matches.sort_by_key(|(order, memory, _)| (std::cmp::Reverse(*order), *memory));
        matches.truncate(RESULTS);
        let memories = matches.into_iter();
        Found {
            memories: memories
                .map(|(_, memory, (version, content))| sighting(trace, memory, version, content))
                .collect(),
            truncated: false,
        }
    }

    /// Changes the first answer that `change` finds fit to be changed, and judges the whole.
    fn after(mut self, mut change: impl FnMut(&Op, &mut Seen) -> bool) -> Verdict {
        let trace = self.history.trace.clone();
        let mut events = self.history.clients[0].iter_mut().rev();
        let changed =
            events.any(|event| change(&trace.clients()[0][event.op as usize], &mut event.seen));
        assert!(changed, "nothing to change");
        verify(&self.history)
    }
}

fn added_to(op: &Op, wanted: u32) -> Option<u32> {
    match op {
        Op::Add {
            memory, namespace, ..
        } => (*memory == wanted).then_some(*namespace),
        Op::Batch(ops) => ops.iter().find_map(|op| added_to(op, wanted)),
        _ => None,
    }
}

fn id(memory: u32) -> Id {
    Id(u128::from(memory) + 1_000)
}

fn sighting(trace: &Trace, memory: u32, version: u64, content: Content) -> Sighting {
    Sighting {
        id: id(memory),
        version,
        content: TextHash::of(&trace.text(content)),
    }
}

fn check(verdict: &Verdict, stale: u64, wrong: u64) {
    assert_eq!(
        (verdict.stale, verdict.wrong),
        (stale, wrong),
        "{verdict:?}"
    );
    assert!(verdict.reads > 300, "{verdict:?}");
}

#[test]
fn a_right_store_is_found_right() {
    let run = Run::new();
    check(&verify(&run.history), 0, 0);
}

#[test]
fn an_old_version_is_stale() {
    let old = |sighting: &mut Sighting, trace: &Trace, memory| {
        *sighting = self::sighting(trace, memory, 1, trace.seeded(memory).1);
    };
    let run = Run::new();
    let trace = run.history.trace.clone();
    let verdict = run.after(|op, seen| match (op, seen) {
        (Op::Get { memory }, Seen::Memory(seen)) if seen.version > 1 && *memory < 160 => {
            old(seen, &trace, *memory);
            true
        }
        _ => false,
    });
    check(&verdict, 1, 0);
}

#[test]
fn a_deleted_memory_that_is_shown_is_stale_and_a_stored_one_must_be_there() {
    let run = Run::new();
    let trace = run.history.trace.clone();
    let mut gone = Vec::new();
    for op in &trace.clients()[0] {
        if let Op::Delete { memory } = op {
            gone.push(*memory);
        }
    }
    let texts = added(&trace);
    let memory = *gone
        .iter()
        .find(|memory| texts.contains_key(memory))
        .unwrap();
    let verdict = run.after(|op, seen| match (op, seen) {
        (Op::Get { memory: asked }, seen @ Seen::NotFound) if *asked == memory => {
            *seen = Seen::Memory(sighting(&trace, memory, 1, texts[&memory]));
            true
        }
        (Op::Search { .. }, Seen::Found(found)) if !found.memories.is_empty() => {
            found.memories[0] = sighting(&trace, memory, 1, texts[&memory]);
            true
        }
        _ => false,
    });
    check(&verdict, 1, 0);
    let verdict = Run::new().after(|op, seen| {
        let changed = matches!((op, &*seen), (Op::Get { .. }, Seen::Memory(_)));
        if changed {
            *seen = Seen::NotFound;
        }
        changed
    });
    check(&verdict, 1, 0);
}

/// What an agent added, by memory.
fn added(trace: &Trace) -> HashMap<u32, Content> {
    let singles = trace.clients()[0].iter().flat_map(|op| match op {
        Op::Batch(ops) => &**ops,
        op => std::slice::from_ref(op),
    });
    singles
        .filter_map(|op| match op {
            Op::Add {
                memory, content, ..
            } => Some((*memory, *content)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_search_that_misses_an_acknowledged_write_is_stale() {
    // The best match, which is about the query, is taken out: where there was room for more, and
    // where the next one that ranks lower has moved up.
    for full in [false, true] {
        let run = Run::new();
        let trace = run.history.trace.clone();
        let added = added(&trace);
        let mut texts = Texts::new(&trace);
        let verdict = run.after(|op, seen| {
            let (Op::Search { query }, Seen::Found(found)) = (op, seen) else {
                return false;
            };
            let [best, .., last] = &found.memories[..] else {
                return false;
            };
            let mut fit = |sighting: &Sighting| {
                let memory = u32::try_from(sighting.id.0 - 1_000).unwrap();
                let content = added.get(&memory).copied();
                let content = content.unwrap_or_else(|| trace.seeded(memory).1);
                (
                    content.about.is_some_and(|about| about.query == *query),
                    texts.fit(content, *query),
                )
            };
            let ((about, best), (_, last)) = (fit(best), fit(last));
            let is_full = found.memories.len() == RESULTS;
            if !about || is_full != full || !best.ranks_above(&last) {
                return false;
            }
            let mut rest = found.memories[1..].to_vec();
            if full {
                rest.push(rest[RESULTS - 2]);
            }
            found.memories = rest.into();
            true
        });
        check(&verdict, 1, 0);
    }
}

#[test]
fn what_nobody_wrote_is_wrong() {
    let verdict = Run::new().after(|_, seen| match seen {
        Seen::Memory(seen) => {
            seen.content = TextHash::of("something else");
            true
        }
        _ => false,
    });
    check(&verdict, 0, 1);
    let verdict = Run::new().after(|op, seen| match (op, seen) {
        (Op::Search { .. }, Seen::Found(found)) if !found.memories.is_empty() => {
            found.memories[0].id = Id(1);
            true
        }
        _ => false,
    });
    check(&verdict, 0, 1);
}
