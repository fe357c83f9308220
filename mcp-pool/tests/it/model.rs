//! Random loads in paused time, against what must always hold and a simple
//! model of who is served when.

use crate::support::{Fake, Outcome, config, ms, pool, settle};
use mcp_pool::{Config, Lease, Pool};
use proptest::prelude::*;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};
use tokio::task::JoinHandle;

#[derive(Debug, Clone)]
enum Step {
    Ask,
    /// The lease that has been out for longest, or some other.
    Return(usize),
    Retire(usize),
    Leave(usize),
    Pause,
    Resume,
    Resize(usize),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => Just(Step::Ask),
        6 => (0usize..16).prop_map(Step::Return),
        2 => (0usize..16).prop_map(Step::Retire),
        3 => (0usize..16).prop_map(Step::Leave),
        1 => Just(Step::Pause),
        2 => Just(Step::Resume),
        1 => (1usize..6).prop_map(Step::Resize),
        3 => (0u64..40).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..120)
}

fn outcomes() -> impl Strategy<Value = Vec<Outcome>> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Ok),
        2 => (1u64..30).prop_map(Outcome::Slow),
        1 => Just(Outcome::Err),
    ];
    prop::collection::vec(outcome, 0..40)
}

type Out = Arc<Mutex<VecDeque<Lease<'static, Fake>>>>;

/// Asks in a task; who is served puts its lease and its number down.
struct Load {
    pool: Pool<Fake>,
    out: Out,
    served: Arc<Mutex<Vec<usize>>>,
    waiting: Vec<(usize, JoinHandle<()>)>,
    asked: usize,
    left: Vec<usize>,
}

impl Load {
    fn ask(&mut self) {
        let (pool, out, served) = (
            self.pool.clone(),
            Arc::clone(&self.out),
            Arc::clone(&self.served),
        );
        let number = self.asked;
        self.asked += 1;
        let task = tokio::spawn(async move {
            let lease = pool.get_owned().await.expect("nothing closes it");
            served.lock().expect("no panic").push(number);
            out.lock().expect("no panic").push_back(lease);
        });
        self.waiting.push((number, task));
    }

    fn take(&self, pick: usize) -> Option<Lease<'static, Fake>> {
        let mut out = self.out.lock().expect("no panic");
        let count = out.len();
        if count == 0 {
            return None;
        }
        out.remove(pick % count)
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Ask => self.ask(),
            Step::Return(pick) => drop(self.take(*pick)),
            Step::Retire(pick) => {
                if let Some(mut lease) = self.take(*pick) {
                    lease.retire();
                }
            }
            Step::Leave(pick) => {
                self.waiting.retain(|(_, task)| !task.is_finished());
                if !self.waiting.is_empty() {
                    let at = pick % self.waiting.len();
                    let (number, task) = self.waiting.remove(at);
                    task.abort();
                    self.left.push(number);
                }
            }
            Step::Pause => self.pool.pause(),
            Step::Resume => self.pool.resume(),
            Step::Resize(max) => self.pool.resize(*max).expect("a size"),
            Step::Wait(wait_ms) => tokio::time::sleep(ms(*wait_ms)).await,
        }
        settle().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn every_load_keeps_the_rules(
        steps in steps(),
        outcomes in outcomes(),
        max in 1usize..6,
        connecting in 1usize..4,
        check_after_ms in prop_oneof![Just(0u64), Just(10), Just(3_600_000)],
        max_idle in prop_oneof![Just(None), Just(Some(1usize))],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let config = Config {
            max_connecting: connecting,
            check_after: ms(check_after_ms),
            max_idle,
            acquire_timeout: ms(3_600_000),
            max_lifetime: Some(ms(500)),
            ..config(max)
        };
        runtime.block_on(check(&config, &steps, &outcomes));
    }
}

async fn check(config: &Config, steps: &[Step], outcomes: &[Outcome]) {
    let (pool, server) = pool(config);
    server.connects(outcomes.iter().copied());
    server.checks(outcomes.iter().rev().copied());
    let mut load = Load {
        pool: pool.clone(),
        out: Arc::default(),
        served: Arc::default(),
        waiting: Vec::new(),
        asked: 0,
        left: Vec::new(),
    };
    let mut limit = config.max_connections;
    let mut paused = false;
    for step in steps {
        match step {
            Step::Resize(max) => limit = *max,
            Step::Pause => paused = true,
            Step::Resume => paused = false,
            _ => {}
        }
        load.step(step).await;
        let stats = pool.stats();
        let open = stats.in_use + stats.idle + stats.checking + stats.closing + stats.opening;
        // A pool that was made smaller shrinks as its leases come back.
        if !steps.iter().any(|step| matches!(step, Step::Resize(_))) {
            assert!(open <= limit && server.most() <= limit, "{stats:?}");
        }
        assert_eq!(
            open - stats.opening,
            server.open() - stats.opening.min(server.open()),
            "{stats:?}"
        );
        if !paused {
            let served_soon = stats.checking + stats.opening;
            assert!(stats.idle == 0 || stats.waiting <= served_soon, "{stats:?}");
        }
    }
    // Everybody is served in the end, in the order in which they came.
    pool.resume();
    server.heal();
    for _ in 0..10_000 {
        if load.served.lock().expect("no panic").len() + load.left.len() >= load.asked {
            break;
        }
        load.step(&Step::Return(0)).await;
        load.step(&Step::Wait(50)).await;
    }
    let served = load.served.lock().expect("no panic").clone();
    // One that left as it was served may be among both.
    let mut all: Vec<_> = served.iter().chain(&load.left).copied().collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all, (0..load.asked).collect::<Vec<_>>(), "nobody is lost");
    if config.check_after > ms(10) {
        assert!(served.is_sorted(), "{served:?}");
    }
    drop(
        load.out
            .lock()
            .expect("no panic")
            .drain(..)
            .collect::<Vec<_>>(),
    );
    settle().await;
    let stats = pool.stats();
    assert_eq!((stats.in_use, stats.waiting), (0, 0), "{stats:?}");
    assert_eq!(
        stats.opened,
        stats.closes.total() + (stats.idle + stats.checking) as u64
    );
}
