use std::{
    collections::{HashMap, HashSet},
    slice,
};

use super::*;

/// What `mcp-server bench` makes where nothing else is said.
fn settings() -> TraceSettings {
    TraceSettings {
        seed: 1,
        clients: 50,
        memories: 100_000,
        calls: 220_000,
    }
}

fn calls(trace: &Trace) -> impl Iterator<Item = &Op> {
    trace.clients().iter().flatten()
}

#[test]
fn the_mix_is_exact_and_the_rest_spread_as_said() {
    let trace = Trace::new(settings());
    let mut counts = HashMap::new();
    for op in calls(&trace) {
        *counts.entry(op.kind()).or_insert(0_usize) += 1;
    }
    let all = calls(&trace).count();
    assert_eq!(all, 220_000);
    assert_eq!(counts[&Kind::Search] * 100, all * 70);
    assert_eq!(counts[&Kind::Get] * 100, all * 15);
    assert_eq!(counts[&Kind::Add] * 100, all * 10);
    let others = [Kind::Update, Kind::Delete, Kind::Batch].map(|kind| counts[&kind]);
    assert_eq!(others.iter().sum::<usize>() * 100, all * 5);
    let [updates, deletes, batches] = others.map(|count| count * 100 / (all / 20));
    assert!((58..=62).contains(&updates), "{updates} %");
    assert!((18..=21).contains(&deletes), "{deletes} %");
    assert!((18..=21).contains(&batches), "{batches} %");
    for burst in trace.clients()[7].chunks(BURST_LEN) {
        let searches = burst.iter().filter(|op| op.kind() == Kind::Search);
        assert_eq!(searches.count(), 14, "each burst has the whole mix");
    }
}

#[test]
fn equal_settings_make_equal_traces() {
    let trace = |seed, calls| {
        let settings = TraceSettings {
            seed,
            calls,
            ..settings()
        };
        Trace::new(settings)
    };
    let (this, same, other) = (trace(3, 4_000), trace(3, 4_000), trace(4, 4_000));
    assert_eq!(this.clients(), same.clients());
    assert_eq!(this.queries(), same.queries());
    assert_ne!(this.clients(), other.clients());
    assert_ne!(this.queries(), other.queries());
    let longer = trace(3, 8_000);
    assert!(
        longer.clients()[0].starts_with(&this.clients()[0]),
        "a longer one only goes on"
    );
    let content = this.seeded(17).1;
    assert_eq!(this.text(content), same.text(content));
    assert_ne!(this.text(content), this.text(this.seeded(18).1));
}

#[test]
fn what_a_cache_could_reach_is_known_exactly() {
    let trace = Trace::new(settings());
    let ranges: Vec<_> = trace
        .clients()
        .iter()
        .map(|ops| ops.len() / 11..ops.len())
        .collect();
    let found = reach(&trace, &ranges);
    let same = reach(&Trace::new(settings()), &ranges);
    assert_eq!(found, same);
    assert!(found.ceiling >= 0.95, "{found:?}");
    assert!(found.by_namespace < 0.3, "{found:?}");
    for seed in 2..5 {
        let found = reach(&Trace::new(TraceSettings { seed, ..settings() }), &ranges);
        assert!(found.ceiling >= 0.95, "{found:?}");
    }
}

#[test]
fn reach_counts_repeats_and_what_writes_leave() {
    let trace = Trace {
        clients: vec![vec![
            Op::Search { query: 0 },
            Op::Search { query: 0 },
            Op::Update {
                memory: 0,
                content: Content {
                    number: 0,
                    about: None,
                },
            },
            Op::Search { query: 0 },
            Op::Get { memory: 1 },
            Op::Search {
                query: QUERIES_PER_NAMESPACE,
            },
            Op::Search { query: 0 },
        ]],
        ..Trace::new(TraceSettings {
            calls: 0,
            ..settings()
        })
    };
    let all = reach(&trace, slice::from_ref(&(0..7)));
    // Of six reads three repeat one, two of them with no write in between.
    assert_eq!((all.ceiling, all.by_namespace), (3.0 / 6.0, 2.0 / 6.0));
    let warm = reach(&trace, slice::from_ref(&(1..4)));
    assert_eq!((warm.ceiling, warm.by_namespace), (1.0, 1.0 / 2.0));
}

#[test]
fn agents_touch_only_what_is_there_and_delete_only_their_own() {
    let trace = Trace::new(settings());
    let mut added = HashSet::new();
    let mut texts = HashSet::new();
    for ops in trace.clients() {
        let (mut own, mut gone) = (HashSet::new(), HashSet::new());
        let singles = ops.iter().flat_map(|op| match op {
            Op::Batch(ops) => &**ops,
            op => std::slice::from_ref(op),
        });
        for op in singles {
            match op {
                Op::Add {
                    memory, content, ..
                } => {
                    assert!(added.insert(*memory) && *memory >= 100_000, "{op:?}");
                    assert!(texts.insert(content.number), "{op:?}");
                    own.insert(*memory);
                }
                Op::Update { memory, content } => {
                    assert!(*memory < 100_000 && texts.insert(content.number), "{op:?}");
                }
                Op::Delete { memory } => {
                    assert!(own.contains(memory) && gone.insert(*memory), "{op:?}");
                }
                Op::Get { memory } => assert!(*memory < 100_000 || own.contains(memory)),
                Op::Search { query } => assert!((*query as usize) < trace.queries().len()),
                Op::Batch(_) => panic!("a batch in a batch"),
            }
        }
    }
}

#[test]
fn a_text_holds_what_it_is_about() {
    let trace = Trace::new(TraceSettings {
        calls: 2_000,
        ..settings()
    });
    let mut about = 0;
    for op in calls(&trace) {
        let Op::Add {
            content, namespace, ..
        } = op
        else {
            continue;
        };
        let text = trace.text(*content);
        assert!(
            (TEXT_BYTES..TEXT_BYTES + 60).contains(&text.len()),
            "{text}"
        );
        let Some(About { query, times }) = content.about else {
            continue;
        };
        about += 1;
        let query = &trace.queries()[query as usize];
        assert!(query.namespace.is_none_or(|place| place == *namespace));
        for word in query.words.split(' ') {
            let found = text.split(' ').filter(|found| *found == word).count();
            assert!(found >= usize::from(times), "{word} in {text}");
        }
    }
    assert!(about > 50, "{about}");
}
