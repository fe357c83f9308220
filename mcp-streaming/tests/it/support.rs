//! Small budgets, payloads of a size, and what a reader saw.

use mcp_streaming::{
    Budget, BudgetConfig, EVENT_OVERHEAD_BYTES, EndReason, Event, Observer, Rx, Scope,
    SlowConsumer, StreamConfig, Tx,
};
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

pub(crate) const KIB: u64 = 1024;

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) fn budget(bytes_max: u64) -> Budget {
    Budget::new(&BudgetConfig {
        bytes_max,
        ..BudgetConfig::default()
    })
    .expect("a valid configuration")
}

/// Room for so many bytes, no replay; a writer waits for a second.
pub(crate) fn waiting(bytes_max: u64) -> StreamConfig {
    StreamConfig {
        bytes_max,
        replay_bytes_max: 0,
        slow_consumer: SlowConsumer::Wait { at_most: secs(1) },
        idle_timeout: None,
    }
}

/// The same, and everything that was read is kept as long as there is room.
pub(crate) fn replaying(bytes_max: u64) -> StreamConfig {
    StreamConfig {
        replay_bytes_max: bytes_max,
        ..waiting(bytes_max)
    }
}

pub(crate) fn stream(budget: &Budget, config: &StreamConfig) -> (Tx, Rx) {
    budget.stream(config).expect("a valid configuration")
}

/// A payload whose event weighs so many bytes.
pub(crate) fn weighing(weight: u64) -> Vec<u8> {
    let len = weight - EVENT_OVERHEAD_BYTES;
    vec![b'x'; usize::try_from(len).expect("small")]
}

/// What can be read now: numbers of messages, and the rest as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    Message(u64),
    Gap(u64),
    Ended(EndReason),
    Over,
}

pub(crate) fn read_now(rx: &mut Rx) -> Vec<Seen> {
    let mut seen = Vec::new();
    while let Some(event) = rx.try_next() {
        seen.push(match event {
            Event::Message { id, .. } => Seen::Message(id.seq()),
            Event::Gap { missed } => Seen::Gap(missed),
            Event::Ended(reason) => Seen::Ended(reason),
            other => panic!("{other:?}"),
        });
    }
    if rx.is_over() {
        seen.push(Seen::Over);
    }
    seen
}

pub(crate) fn messages(ids: std::ops::RangeInclusive<u64>) -> Vec<Seen> {
    ids.map(Seen::Message).collect()
}

/// Lets the tasks that are ready run.
pub(crate) async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

/// Polls once.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

/// What an observer heard.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    high: Mutex<Vec<Scope>>,
    full: Mutex<Vec<Scope>>,
    ended: Mutex<Vec<EndReason>>,
    sessions: Mutex<Vec<EndReason>>,
}

impl Heard {
    pub(crate) fn high(&self) -> Vec<Scope> {
        self.high.lock().expect("no panic").clone()
    }

    pub(crate) fn full(&self) -> Vec<Scope> {
        self.full.lock().expect("no panic").clone()
    }

    pub(crate) fn ended(&self) -> Vec<EndReason> {
        self.ended.lock().expect("no panic").clone()
    }

    pub(crate) fn sessions(&self) -> Vec<EndReason> {
        self.sessions.lock().expect("no panic").clone()
    }
}

impl Observer for Heard {
    fn on_high(&self, scope: Scope, used: u64, limit: u64) {
        assert!(used <= limit);
        self.high.lock().expect("no panic").push(scope);
    }

    fn on_full(&self, scope: Scope, used: u64, limit: u64) {
        assert!(used <= limit);
        self.full.lock().expect("no panic").push(scope);
    }

    fn on_ended(&self, _stream: u64, reason: EndReason) {
        self.ended.lock().expect("no panic").push(reason);
    }

    fn on_session_ended(&self, reason: EndReason) {
        self.sessions.lock().expect("no panic").push(reason);
    }
}

pub(crate) fn observed(config: &BudgetConfig) -> (Budget, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    let observer = Arc::clone(&heard) as Arc<dyn Observer>;
    let budget = Budget::with_observer(config, observer).expect("a valid configuration");
    (budget, heard)
}

/// Every byte is accounted for, and none is left.
pub(crate) fn check_empty(budget: &Budget) {
    let audit = budget.audit();
    assert!(audit.is_balanced(), "{audit:?}");
    assert_eq!((audit.counted, audit.streams), (0, 0), "{audit:?}");
    let stats = budget.stats();
    assert_eq!((stats.bytes_leased, stats.streams, stats.timers), (0, 0, 0));
    assert!(!stats.is_waited_for);
}
