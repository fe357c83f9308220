//! Wall times of reads and inserts.

use crate::{
    peers::PEERS,
    rival::{Floor, Make, Ours, Rival, Room},
    traces::{Random, Zipf},
};
use bytes::Bytes;
use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

const KEYS: u64 = 100_000;
const READS: usize = 300_000;
const ROUNDS: usize = 9;

const OURS: [Make; 3] = [
    ("mcp-cache, 4 tags", Ours::<4>::make),
    ("mcp-cache, no tags", Ours::<0>::make),
    ("mcp-cache, 8 tags", Ours::<8>::make),
];

/// A workload: the keys for each thread, and what to do with them.
struct Load {
    name: &'static str,
    keys: Vec<Vec<u64>>,
    run: fn(&dyn Rival, &[u64]),
}

pub(crate) fn print() {
    let makes = || OURS.into_iter().chain(PEERS.iter().copied());
    let full: Vec<_> = makes()
        .chain([("floor: sharded hashbrown", Floor::make as fn(Room) -> _)])
        .map(|(name, make)| (name, filled(make(Room::Entries(2 * KEYS)))))
        .collect();
    let zipf = |seed| {
        // Frequent keys are not neighbours in memory.
        let ranks = Zipf::new(100_000, 0.99, seed).keys(READS);
        ranks
            .into_iter()
            .map(|rank| rank * 7_919 % KEYS)
            .collect::<Vec<_>>()
    };
    let random = |seed, from: u64, among: u64| {
        let mut random = Random(seed);
        (0..READS)
            .map(|_| from + random.next() % among)
            .collect::<Vec<_>>()
    };
    let read = |rival: &dyn Rival, keys: &[u64]| {
        std::hint::black_box(rival.get_all(keys));
    };
    let reads = [
        Load {
            name: "hot hit (64 keys)",
            keys: vec![random(1, 0, 64), random(2, 0, 64)],
            run: read,
        },
        Load {
            name: "hit, Zipf 0.99 over 100,000 keys",
            keys: vec![zipf(3), zipf(4)],
            run: read,
        },
        Load {
            name: "miss",
            keys: vec![random(5, KEYS, KEYS), random(6, KEYS, KEYS)],
            run: read,
        },
    ];
    for load in &reads {
        for threads in [1, 2] {
            compare(load, threads, &full);
        }
    }
    drop(full);
    let evicting: Vec<_> = makes()
        .map(|(name, make)| (name, filled(make(Room::Entries(KEYS / 2)))))
        .collect();
    let put = |rival: &dyn Rival, keys: &[u64]| rival.put_all(keys, &value());
    let insert = Load {
        name: "insert of a new key that evicts another (50,000 entries)",
        keys: vec![random(7, 0, u64::MAX / 2), random(8, 0, u64::MAX / 2)],
        run: put,
    };
    for threads in [1, 2] {
        compare(&insert, threads, &evicting);
    }
}

fn value() -> Bytes {
    Bytes::from(vec![7; 1024])
}

fn filled(rival: Box<dyn Rival>) -> Box<dyn Rival> {
    for key in 0..KEYS {
        rival.put(key, value());
    }
    // What the first clone of a `Bytes` allocates then lies together for each rival;
    // otherwise the first to be timed gets the holes that all of them left.
    rival.get_all(&(0..KEYS).collect::<Vec<_>>());
    rival.settle();
    rival
}

/// All in turns, so that a slow moment of the machine hits all of them.
fn compare(load: &Load, threads: usize, rivals: &[(&str, Box<dyn Rival>)]) {
    let mut rounds = vec![Vec::new(); rivals.len()];
    for _ in 0..ROUNDS {
        for (rounds, (_, rival)) in rounds.iter_mut().zip(rivals) {
            let elapsed = time(load, threads, rival.as_ref());
            rounds.push(elapsed.as_nanos() as f64 / load.keys[0].len() as f64);
            rival.settle();
        }
    }
    let figures: Vec<f64> = rounds
        .into_iter()
        .map(|mut rounds| {
            rounds.sort_by(f64::total_cmp);
            rounds[if threads == 1 { 0 } else { ROUNDS / 2 }]
        })
        .collect();
    println!(
        "\n{}, {threads} thread(s), ns per call and thread",
        load.name
    );
    for ((name, _), ns) in rivals.iter().zip(&figures) {
        println!("  {name:<28} {ns:>9.1}  {:>7.2}x", ns / figures[0]);
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn time(load: &Load, threads: usize, rival: &dyn Rival) -> Duration {
    let barrier = Barrier::new(threads);
    let run = |keys: &[u64]| {
        barrier.wait();
        let start = Instant::now();
        (load.run)(rival, keys);
        start.elapsed()
    };
    if threads == 1 {
        return run(&load.keys[0]);
    }
    thread::scope(|scope| {
        let run = &run;
        let runs: Vec<_> = load
            .keys
            .iter()
            .map(|keys| scope.spawn(move || run(keys)))
            .collect();
        let times = runs.into_iter().filter_map(|run| run.join().ok());
        times.max().unwrap_or_default()
    })
}
