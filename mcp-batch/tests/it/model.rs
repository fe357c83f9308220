//! Random loads in paused time against what must always hold.

use crate::support::{config, double, doubling_with, ms, settle};
use mcp_batch::{BatchProcessor, Config, Error};
use proptest::prelude::*;
use std::time::Duration;
use tokio::time::Instant;

const WINDOW: Duration = ms(50);

/// What comes, and how long after the one before.
#[derive(Debug, Clone)]
struct Arrival {
    after_ms: u64,
    lane: u64,
    count: u64,
    cancelled: bool,
}

fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    let arrival = (0u64..30, 0u64..3, 1u64..30, prop::bool::weighted(0.2));
    let arrival = arrival.prop_map(|(after_ms, lane, count, cancelled)| Arrival {
        after_ms,
        lane,
        count,
        cancelled,
    });
    prop::collection::vec(arrival, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_load_keeps_the_rules(
        arrivals in arrivals(),
        slots in 1usize..4,
        size_max in 1usize..20,
        takes_ms in 1u64..40,
        lanes: bool,
        adaptive: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let config = Config {
            max_concurrent_batches: slots,
            max_batch_size: size_max,
            adaptive_sizing: adaptive,
            window: WINDOW,
            ..config()
        };
        runtime.block_on(run(&config, &arrivals, ms(takes_ms), lanes));
    }
}

/// Items carry their lane in the thousands; no item is a multiple of 1,000.
async fn run(config: &Config, arrivals: &[Arrival], takes: Duration, lanes: bool) {
    let mut builder = BatchProcessor::builder(config);
    if lanes {
        builder = builder.lane_by(|item: &u64| item / 1_000);
    }
    let (numbers, seen) = doubling_with(builder, takes);
    let start = Instant::now();
    let (mut next, mut kept, mut came) = ([0u64; 3], Vec::new(), Vec::new());
    for arrival in arrivals {
        tokio::time::sleep(ms(arrival.after_ms)).await;
        for _ in 0..arrival.count {
            let lane = usize::try_from(arrival.lane).expect("small");
            next[lane] += 1;
            let item = 1_000 * arrival.lane + next[lane];
            let ticket = numbers.try_submit(item).expect("room");
            if arrival.cancelled {
                drop(ticket);
            } else {
                came.push((item, start.elapsed()));
                kept.push((item, ticket));
            }
        }
    }
    for (item, ticket) in kept {
        assert_eq!(ticket.await, double(item).map_err(Error::Item));
    }
    settle().await;
    let (batches, starts) = (seen.batches(), seen.starts());
    assert!(seen.most() <= config.max_concurrent_batches);
    assert!(
        batches
            .iter()
            .all(|batch| (1..=config.max_batch_size).contains(&batch.len()))
    );
    let mut all = batches.concat();
    for lane in 0..3 {
        assert!(
            all.iter().filter(|item| *item / 1_000 == lane).is_sorted(),
            "in order"
        );
    }
    all.sort_unstable();
    let mut expect: Vec<_> = came.iter().map(|(item, _)| *item).collect();
    expect.sort_unstable();
    assert_eq!(all, expect, "each one once, and none that was cancelled");
    for (item, arrived) in came {
        let batch = batches.iter().position(|batch| batch.contains(&item));
        let started = starts[batch.expect("it ran")];
        let busy = busy_time(
            &starts,
            takes,
            config.max_concurrent_batches,
            arrived,
            started,
        );
        assert!(
            started - arrived <= busy + WINDOW + ms(1),
            "{item} came at {arrived:?} and started at {started:?}, busy for {busy:?}"
        );
    }
    let stats = numbers.stats();
    assert_eq!((stats.queued, stats.running), (0, 0));
    assert_eq!(stats.submitted, stats.items + stats.cancelled);
}

/// How long from `from` until the last moment before `to` at which all slots
/// were busy: the window begins only then.
fn busy_time(
    starts: &[Duration],
    takes: Duration,
    slots: usize,
    from: Duration,
    to: Duration,
) -> Duration {
    let busy_at = |at: Duration| {
        let running = starts
            .iter()
            .filter(|start| **start <= at && at < **start + takes);
        running.count() >= slots
    };
    let ends = starts.iter().map(|start| *start + takes);
    let last = ends
        .filter(|end| *end > from && *end <= to && busy_at(*end - ms(1)))
        .max();
    last.map_or(Duration::ZERO, |end| end - from)
}
