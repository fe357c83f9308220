//! Random histories of several streams in one budget, against what must always
//! hold.

use crate::support::{KIB, check_empty, replaying, waiting, weighing};
use mcp_streaming::{
    Budget, BudgetConfig, EndReason, Event, EventId, Resumed, Rx, SendError, SlowConsumer,
    StreamConfig, Tx,
};
use proptest::prelude::*;

const STREAMS: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Send(usize, u64),
    Key(usize, u8),
    Read(usize, usize),
    DropReader(usize),
    Resume(usize, u64),
    Reserve(usize, usize),
    Renew(usize),
    Rest,
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..STREAMS;
    prop_oneof![
        6 => (which.clone(), 130u64..3_000).prop_map(|(which, weight)| Step::Send(which, weight)),
        2 => (which.clone(), 0u8..3).prop_map(|(which, key)| Step::Key(which, key)),
        5 => (which.clone(), 1usize..6).prop_map(|(which, len)| Step::Read(which, len)),
        1 => which.clone().prop_map(Step::DropReader),
        2 => (which.clone(), 0u64..12).prop_map(|(which, back)| Step::Resume(which, back)),
        1 => (which.clone(), 0usize..2_000).prop_map(|(which, len)| Step::Reserve(which, len)),
        1 => which.prop_map(Step::Renew),
        1 => Just(Step::Rest),
    ]
}

/// A stream, and what a simple model knows of it.
struct Modelled {
    tx: Tx,
    rx: Option<Rx>,
    config: StreamConfig,
    last_sent: Option<EventId>,
    /// The id that must come next, or after a gap.
    next: u64,
}

impl Modelled {
    fn new(budget: &Budget, config: StreamConfig) -> Self {
        let (tx, rx) = budget.stream(&config).expect("a valid configuration");
        Self {
            tx,
            rx: Some(rx),
            config,
            last_sent: None,
            next: 1,
        }
    }

    fn note_sent(&mut self, sent: Result<EventId, SendError>, coalesces: bool) {
        match sent {
            Ok(id) => {
                let before = self.last_sent.map_or(0, |id| id.seq());
                let dense = id.seq() == before + 1;
                assert!(dense || coalesces && id.seq() >= self.next && id.seq() <= before);
                if dense {
                    self.last_sent = Some(id);
                }
            }
            Err(error) => assert!(
                error.is_retryable() || matches!(error, SendError::Ended(EndReason::ReaderLost)),
                "{error}"
            ),
        }
    }

    fn read(&mut self, len: usize) {
        let Some(rx) = &mut self.rx else { return };
        for _ in 0..len {
            match rx.try_next() {
                Some(Event::Message { id, .. }) => {
                    assert_eq!(id.seq(), self.next, "dense, and in order");
                    self.next += 1;
                }
                Some(Event::Gap { missed }) => {
                    let may_miss = self.config.slow_consumer == SlowConsumer::DropHistory;
                    assert!(
                        missed > 0 && may_miss,
                        "only the policy drops unread events"
                    );
                    self.next += missed;
                }
                Some(Event::Ended(reason)) => panic!("{reason}"),
                _ => return,
            }
        }
    }

    /// A replay is what was sent since, from some event on, and the gap says
    /// from which.
    fn resume(&mut self, back: u64) {
        let Some(last) = self.last_sent else { return };
        if self.config.replay_bytes_max == 0 {
            return;
        }
        let seq = last.seq().saturating_sub(back);
        let head = last.to_string();
        let (head, _) = head.rsplit_once('-').expect("four parts");
        let from: EventId = format!("{head}-{seq:x}").parse().expect("an id");
        let (missed, mut rx) = match self.tx.resume_from(&from).expect("it was sent") {
            Resumed::Whole(rx) => (0, rx),
            Resumed::WithGap { missed, rx } => (missed, rx),
        };
        assert!(missed <= last.seq() - seq);
        if missed > 0 {
            assert_eq!(rx.try_next(), Some(Event::Gap { missed }));
        }
        self.next = seq + missed + 1;
        self.rx = Some(rx);
    }
}

fn check(budget: &Budget, streams: &[Modelled]) {
    let audit = budget.audit();
    assert!(audit.is_balanced(), "{audit:?}");
    assert!(audit.counted <= 8 * KIB, "{audit:?}");
    let held: u64 = streams
        .iter()
        .map(|stream| stream.tx.stats().bytes_held)
        .sum();
    assert_eq!(audit.held, held);
    for stream in streams {
        let stats = stream.tx.stats();
        assert!(stats.bytes_held <= stats.bytes_leased);
        assert!(stats.bytes_leased <= stream.config.bytes_max);
        assert!(stats.bytes_history <= stream.config.replay_bytes_max);
    }
}

async fn run(steps: Vec<Step>) {
    let budget = Budget::new(&BudgetConfig {
        bytes_max: 8 * KIB,
        ..BudgetConfig::default()
    });
    let budget = budget.expect("a valid configuration");
    let at_most = std::time::Duration::from_secs(1);
    let with = |slow_consumer, config| StreamConfig {
        slow_consumer,
        ..config
    };
    let configs = [
        with(SlowConsumer::Wait { at_most }, replaying(4 * KIB)),
        with(SlowConsumer::DropHistory, replaying(3 * KIB)),
        with(SlowConsumer::Coalesce { at_most }, waiting(6 * KIB)),
    ];
    let mut streams = configs.map(|config| Modelled::new(&budget, config));
    for step in steps {
        match step {
            Step::Send(which, weight) => {
                let sent = streams[which].tx.try_send(weighing(weight));
                streams[which].note_sent(sent, false);
            }
            Step::Key(which, key) => {
                let stream = &mut streams[which];
                let coalesces =
                    matches!(stream.config.slow_consumer, SlowConsumer::Coalesce { .. });
                let sent = stream.tx.try_send_keyed(key.to_string(), vec![key; 300]);
                stream.note_sent(sent, coalesces);
            }
            Step::Read(which, len) => streams[which].read(len),
            Step::DropReader(which) => streams[which].rx = None,
            Step::Resume(which, back) => streams[which].resume(back),
            Step::Reserve(which, len) => {
                let permit = streams[which].tx.try_reserve(len);
                let sent = permit.and_then(|permit| permit.send(vec![0; len / 2]));
                streams[which].note_sent(sent, false);
            }
            Step::Renew(which) => {
                streams[which] = Modelled::new(&budget, streams[which].config);
            }
            Step::Rest => tokio::time::sleep(std::time::Duration::from_millis(300)).await,
        }
        check(&budget, &streams);
    }
    drop(streams);
    check_empty(&budget);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// What is held is leased, what is leased is within the budget, ids are
    /// dense, a replay is a suffix; and in the end the counter is at 0.
    #[test]
    fn every_history_keeps_the_books(steps in prop::collection::vec(step(), 0..150)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(run(steps));
    }
}
