//! Random loads in paused time against what must always hold.

use crate::support::{Numbers, Seen, config, double, doubling_with, ms, settle};
use mcp_batch::{Config, Error, Overflow, Ticket};
use proptest::prelude::*;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{task::JoinHandle, time::Instant};

const WINDOW: Duration = ms(50);

/// What happens, and how long after the step before.
#[derive(Debug, Clone)]
struct Step {
    after_ms: u64,
    lane: u64,
    act: Act,
}

#[derive(Debug, Clone)]
enum Act {
    /// Items one by one; `true` drops their tickets.
    Submit(u64, bool),
    /// A list at hand.
    List(u64),
    /// A flush in a task of its own.
    Flush,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let act = prop_oneof![
        6 => (1u64..30, prop::bool::weighted(0.2)).prop_map(|(n, gone)| Act::Submit(n, gone)),
        2 => (1u64..60).prop_map(Act::List),
        1 => Just(Act::Flush),
    ];
    let step = (0u64..60, 0u64..3, act);
    let step = step.prop_map(|(after_ms, lane, act)| Step {
        after_ms,
        lane,
        act,
    });
    prop::collection::vec(step, 1..30)
}

fn configs() -> impl Strategy<Value = Config> {
    let full = prop_oneof![Just(Overflow::Reject), Just(Overflow::ShedOldest)];
    let queue = prop_oneof![Just(1_000usize), 5usize..60];
    let bytes = proptest::option::of(20u64..200);
    let ranges = (1usize..6, 1usize..20, queue, 0u32..9);
    let parts = (ranges, full, bytes, any::<bool>());
    parts.prop_map(
        |((slots, size, queue, passes), overflow, bytes, adaptive)| Config {
            max_concurrent_batches: slots,
            max_batch_size: size,
            queue_len_max: queue,
            gather_passes_max: passes,
            batch_bytes_max: bytes,
            adaptive_sizing: adaptive,
            window: WINDOW,
            overflow,
            ..config()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_load_keeps_the_rules(
        steps in steps(),
        config in configs(),
        takes_ms in 1u64..200,
        lanes: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let mut run = Run::new(&config, ms(takes_ms), lanes);
            for step in &steps {
                run.step(step).await;
            }
            run.check().await;
        });
    }
}

type List = JoinHandle<Vec<Result<u64, Error<String>>>>;

/// A load on its way. Items carry their lane in the ten thousands; none is a
/// multiple of 1,000. The weight of an item is its last digit and one.
struct Run {
    config: Config,
    takes: Duration,
    numbers: Numbers,
    seen: Arc<Seen>,
    start: Instant,
    next: [u64; 3],
    came: HashMap<u64, Duration>,
    kept: Vec<(u64, Ticket<u64, String>)>,
    lists: Vec<(Vec<u64>, List)>,
    flushes: Vec<JoinHandle<()>>,
    refused: u64,
}

fn weight(item: &u64) -> u64 {
    item % 10 + 1
}

impl Run {
    fn new(config: &Config, takes: Duration, lanes: bool) -> Self {
        let mut builder = Numbers::builder(config).weigh_by(weight);
        if lanes {
            builder = builder.lane_by(|item: &u64| item / 10_000);
        }
        let (numbers, seen) = doubling_with(builder, takes);
        Self {
            config: config.clone(),
            takes,
            numbers,
            seen,
            start: Instant::now(),
            next: [0; 3],
            came: HashMap::new(),
            kept: Vec::new(),
            lists: Vec::new(),
            flushes: Vec::new(),
            refused: 0,
        }
    }

    fn item(&mut self, lane: u64) -> u64 {
        let next = &mut self.next[usize::try_from(lane).expect("small")];
        *next += 1;
        if next.is_multiple_of(1_000) {
            *next += 1;
        }
        10_000 * lane + *next
    }

    async fn step(&mut self, step: &Step) {
        tokio::time::sleep(ms(step.after_ms)).await;
        match step.act {
            Act::Submit(count, gone) => {
                for _ in 0..count {
                    self.submit(step.lane, gone);
                }
            }
            Act::List(count) => {
                let items: Vec<_> = (0..count).map(|_| self.item(step.lane)).collect();
                let (numbers, list) = (self.numbers.clone(), items.clone());
                let task = tokio::spawn(async move { numbers.process_batch(list).await });
                self.lists.push((items, task));
            }
            Act::Flush => {
                let (numbers, seen) = (self.numbers.clone(), Arc::clone(&self.seen));
                let before: Vec<u64> = self.kept.iter().map(|(item, _)| *item).collect();
                let sheds = self.config.overflow == Overflow::ShedOldest;
                let flush = async move {
                    numbers.flush().await;
                    let started = seen.batches().concat();
                    let all = before.iter().all(|item| started.contains(item));
                    assert!(all || sheds, "what came before is started");
                };
                self.flushes.push(tokio::spawn(flush));
            }
        }
    }

    fn submit(&mut self, lane: u64, gone: bool) {
        let item = self.item(lane);
        match self.numbers.try_submit(item) {
            Ok(ticket) if gone => drop(ticket),
            Ok(ticket) => {
                self.came.insert(item, self.start.elapsed());
                self.kept.push((item, ticket));
            }
            Err(error) => {
                let limit = self.config.queue_len_max;
                assert_eq!(error, Error::Overloaded { limit });
                self.refused += 1;
            }
        }
    }

    async fn check(mut self) {
        let mut answered = Vec::new();
        let mut shed = 0;
        let mut note = |item, result: Result<u64, Error<String>>| match result {
            Err(Error::Shed { .. }) => shed += 1,
            result => {
                assert_eq!(result, double(item).map_err(Error::Item));
                answered.push(item);
            }
        };
        for (item, ticket) in std::mem::take(&mut self.kept) {
            note(item, ticket.await);
        }
        for (items, list) in std::mem::take(&mut self.lists) {
            let results = list.await.expect("no panic");
            assert_eq!(items.len(), results.len());
            items
                .into_iter()
                .zip(results)
                .for_each(|(item, result)| note(item, result));
        }
        for flush in std::mem::take(&mut self.flushes) {
            flush.await.expect("no panic");
        }
        settle().await;
        self.check_batches();
        self.check_window();
        let mut all = self.seen.batches().concat();
        all.sort_unstable();
        answered.sort_unstable();
        assert_eq!(all, answered, "each once, none that left");
        let stats = self.numbers.stats();
        assert_eq!((stats.queued, stats.running), (0, 0));
        assert_eq!(stats.submitted, stats.items + stats.cancelled + stats.shed);
        // An item whose caller is gone may be the one that is shed.
        assert!(stats.shed >= shed);
        assert_eq!(stats.overloaded, self.refused);
        assert_eq!(
            (stats.waits.count(), stats.runs.count()),
            (stats.items, stats.batches)
        );
        assert_eq!(stats.sizes.sum(), stats.items);
    }

    fn check_batches(&self) {
        let batches = self.seen.batches();
        assert!(self.seen.most() <= self.config.max_concurrent_batches);
        for batch in &batches {
            assert!((1..=self.config.max_batch_size).contains(&batch.len()));
            let bytes: u64 = batch.iter().map(weight).sum();
            let bytes_max = self.config.batch_bytes_max.unwrap_or(u64::MAX);
            assert!(batch.len() == 1 || bytes <= bytes_max, "{batch:?}");
        }
        // A list that waits for room is overtaken, so that only what came one by
        // one has an order.
        let all = batches.concat();
        for lane in 0..3 {
            let own = all.iter().filter(|item| *item / 10_000 == lane);
            let own = own.filter(|item| self.came.contains_key(item));
            assert!(own.is_sorted(), "in order");
        }
    }

    /// No item waits for longer than the window since a slot was last free for
    /// it.
    fn check_window(&self) {
        let (batches, starts) = (self.seen.batches(), self.seen.starts());
        for (batch, started) in batches.iter().zip(&starts) {
            for item in batch {
                let Some(arrived) = self.came.get(item) else {
                    continue;
                };
                let busy = self.busy_time(&starts, *arrived, *started);
                assert!(
                    *started - *arrived <= busy + WINDOW + ms(1),
                    "{item} came at {arrived:?} and started at {started:?}, busy for {busy:?}"
                );
            }
        }
    }

    /// How long from `from` until the last moment before `to` at which all slots
    /// were busy: the window begins only then.
    fn busy_time(&self, starts: &[Duration], from: Duration, to: Duration) -> Duration {
        let busy_at = |at: Duration| {
            let running = starts.iter();
            let running = running.filter(|start| **start <= at && at < **start + self.takes);
            running.count() >= self.config.max_concurrent_batches
        };
        let ends = starts.iter().map(|start| *start + self.takes);
        let last = ends
            .filter(|end| *end > from && *end <= to && busy_at(*end - ms(1)))
            .max();
        last.map_or(Duration::ZERO, |end| end - from)
    }
}
