//! Every interleaving of writers, readers and those who go away:
//!
//! ```text
//! RUSTFLAGS="--cfg mcp_loom" CARGO_TARGET_DIR=target/loom cargo test -p mcp-streaming --release --lib loom_models
//! ```
//!
//! A wakeup that is lost is a thread that waits for ever, which the checker
//! reports as a deadlock.

use super::*;
use crate::{
    meter::{Marks, Meter},
    sync::{Mutex, lock},
};
use loom::{
    sync::{Arc, Notify},
    thread,
};
use std::{collections::VecDeque, sync::Arc as StdArc, task::Wake};

mod limits;

/// What one event of these models weighs.
const WEIGHT: u64 = crate::EVENT_OVERHEAD_BYTES;

struct Bell(Notify);

impl Wake for Bell {
    fn wake(self: StdArc<Self>) {
        self.0.notify();
    }
}

/// Polls until it is ready, and sleeps in between.
fn block_on<T>(mut poll: impl FnMut(&Waker) -> Poll<T>) -> T {
    let bell = StdArc::new(Bell(Notify::new()));
    let waker = Waker::from(StdArc::clone(&bell));
    loop {
        if let Poll::Ready(value) = poll(&waker) {
            return value;
        }
        bell.0.wait();
    }
}

struct Model {
    core: Mutex<Core>,
    config: StreamConfig,
    purse: Purse,
    meter: StdArc<Meter>,
}

/// A meter with room for so many events.
fn meter(events: u64) -> StdArc<Meter> {
    StdArc::new(Meter::new(&StdArc::new(Marks::new(
        events * WEIGHT,
        1.0,
        0.5,
    ))))
}

impl Model {
    /// A stream with room for so many events, and no replay.
    fn new(events: u64, meter: &StdArc<Meter>) -> Arc<Self> {
        Self::with_limits(events, None, meter)
    }

    /// The same, in a session.
    fn in_session(events: u64, session: &StdArc<Meter>, meter: &StdArc<Meter>) -> Arc<Self> {
        Self::with_limits(events, Some(StdArc::clone(session)), meter)
    }

    fn with_limits(
        events: u64,
        session: Option<StdArc<Meter>>,
        meter: &StdArc<Meter>,
    ) -> Arc<Self> {
        Arc::new(Self {
            core: Mutex::new(Core::new(1, 0)),
            config: StreamConfig {
                bytes_max: events * WEIGHT,
                replay_bytes_max: 0,
                ..StreamConfig::default()
            },
            purse: Purse::new(session, StdArc::clone(meter)),
            meter: StdArc::clone(meter),
        })
    }

    fn with<T>(&self, step: impl FnOnce(&mut Core, Context<'_>, &mut After) -> T) -> T {
        self.with_config(&self.config, step)
    }

    fn with_config<T>(
        &self,
        config: &StreamConfig,
        step: impl FnOnce(&mut Core, Context<'_>, &mut After) -> T,
    ) -> T {
        let mut after = After::default();
        let cx = Context {
            config,
            purse: &self.purse,
            now_ms: 0,
        };
        let out = step(&mut lock(&self.core), cx, &mut after);
        drop(after);
        out
    }

    fn poll_send(
        &self,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
    ) -> Poll<Result<u64, SendError>> {
        let mut event = Some(plain(Bytes::new()));
        self.with(|core, cx, after| core.poll_push(&mut event, ticket, waker, cx, after))
    }

    /// As `Stream::try_push` and `Tx::send` do it.
    fn send(&self) -> Result<u64, SendError> {
        let pushed = lock(&self.core).push_leased(&mut Some(plain(Bytes::new())), 0);
        if let Some((seq, reader)) = pushed {
            reader.map(Waker::wake);
            return Ok(seq);
        }
        let mut ticket = None;
        block_on(|waker| self.poll_send(&mut ticket, waker))
    }

    fn pull(&self, out: &mut VecDeque<Got>, waker: &Waker) -> Pulled {
        self.with(|core, cx, after| core.pull(0, out, waker, cx, after))
    }

    /// The ids that come until the end, and the end.
    fn read_all(&self) -> (Vec<u64>, EndReason) {
        let (mut ids, mut batch) = (Vec::new(), VecDeque::new());
        loop {
            let pulled = block_on(|waker| match self.pull(&mut batch, waker) {
                Pulled::Pending => Poll::Pending,
                pulled => Poll::Ready(pulled),
            });
            for got in batch.drain(..) {
                match got {
                    Got::Message { seq, .. } => ids.push(seq),
                    Got::Gap { missed } => panic!("a gap of {missed}"),
                }
            }
            if let Pulled::Ended(reason) = pulled {
                return (ids, reason);
            }
        }
    }

    fn end(&self, reason: EndReason) {
        self.with(|core, cx, after| core.end(reason, cx, after));
    }

    fn dissolve(&self) {
        self.with(|core, cx, after| core.dissolve(cx, after));
    }

    fn check_empty(&self) {
        assert_eq!(self.meter.used(), 0, "everything came back");
        assert!(!self.meter.is_waited_for());
        let core = lock(&self.core);
        assert_eq!((core.used(), core.leased), (0, 0));
        assert!(core.line.is_empty());
    }
}

/// A writer that has to wait for the reader, and a reader that has to wait for
/// the writer: every event is read once and in order.
///
/// Seen to fail: with `append` not waking the reader; with `acknowledge` not
/// waking the writers.
#[test]
fn a_writer_and_a_reader_wait_for_each_other() {
    loom::model(|| {
        let model = Model::new(1, &meter(1));
        let writer = Arc::clone(&model);
        let writer = thread::spawn(move || {
            assert_eq!(writer.send(), Ok(1));
            assert_eq!(writer.send(), Ok(2));
            writer.end(EndReason::Finished);
        });
        assert_eq!(model.read_all(), (vec![1, 2], EndReason::Finished));
        writer.join().expect("no panic");
        model.check_empty();
    });
}

/// One of two waiting writers goes away: the other one is served.
///
/// Seen to fail: with `leave` not waking the next one in the line.
#[test]
fn a_writer_that_goes_away_gives_its_turn_on() {
    loom::model(|| {
        let model = Model::new(1, &meter(1));
        assert_eq!(model.send(), Ok(1));
        let mut ticket = None;
        let polled = model.poll_send(&mut ticket, Waker::noop());
        assert!(polled.is_pending());
        let other = Arc::clone(&model);
        let other = thread::spawn(move || other.send());
        let leaver = Arc::clone(&model);
        let leaver = thread::spawn(move || {
            let ticket = ticket.expect("it waits");
            leaver.with(|core, cx, after| core.leave(ticket, cx, after));
        });
        let mut batch = VecDeque::new();
        model.pull(&mut batch, Waker::noop());
        model.pull(&mut batch, Waker::noop());
        assert_eq!(other.join().expect("no panic"), Ok(2));
        leaver.join().expect("no panic");
        model.dissolve();
        model.check_empty();
    });
}

/// Two streams share a limit that has room for one event: the second writer is
/// served when the first stream is read, or dropped, and no byte is lost.
///
/// Seen to fail: with `Meter::join` setting the sign by a load and a store; with
/// `Purse::give` not waking whom the meter names; with `poll` not trying once
/// more after it has joined the line.
#[test]
fn bytes_move_from_stream_to_stream() {
    for is_read in [true, false] {
        loom::model(move || {
            let meter = meter(1);
            let (holder, waiter) = (Model::new(1, &meter), Model::new(1, &meter));
            assert_eq!(holder.send(), Ok(1));
            let thread = {
                let waiter = Arc::clone(&waiter);
                thread::spawn(move || waiter.send())
            };
            if is_read {
                let mut batch = VecDeque::new();
                holder.pull(&mut batch, Waker::noop());
                holder.pull(&mut batch, Waker::noop());
            } else {
                holder.dissolve();
            }
            assert_eq!(thread.join().expect("no panic"), Ok(1));
            waiter.dissolve();
            holder.check_empty();
            waiter.check_empty();
        });
    }
}

/// The one who waits for the shared limit goes away while bytes come back: the
/// next one is served.
///
/// Seen to fail: with `Core::leave` keeping its stream's place at the limit; with
/// `Meter::leave` not naming the next one.
#[test]
fn a_place_at_the_limit_is_given_on() {
    loom::model(|| {
        let meter = meter(1);
        let [holder, leaver, waiter] = [(); 3].map(|()| Model::new(1, &meter));
        assert_eq!(holder.send(), Ok(1));
        let mut gone = None;
        assert!(leaver.poll_send(&mut gone, Waker::noop()).is_pending());
        let bell = StdArc::new(Bell(Notify::new()));
        let (mut ticket, waker) = (None, Waker::from(StdArc::clone(&bell)));
        assert!(waiter.poll_send(&mut ticket, &waker).is_pending());
        let going = {
            let leaver = Arc::clone(&leaver);
            thread::spawn(move || {
                let ticket = gone.expect("it waits");
                leaver.with(|core, cx, after| core.leave(ticket, cx, after));
            })
        };
        holder.dissolve();
        bell.0.wait();
        while waiter.poll_send(&mut ticket, &waker).is_pending() {
            bell.0.wait();
        }
        going.join().expect("no panic");
        waiter.dissolve();
        for model in [holder, leaver, waiter] {
            model.check_empty();
        }
    });
}

/// What is leased already is taken in on the short way, which wakes the reader
/// too, and does not pass by a writer that waits.
#[test]
fn what_is_leased_is_taken_in_on_the_short_way() {
    loom::model(|| {
        // A second event leaves its place leased when it is read.
        let model = Model::new(3, &meter(3));
        let reserved = model.with(|core, cx, after| core.try_reserve(2 * WEIGHT, cx, after));
        assert_eq!(reserved, Ok(()));
        assert_eq!(model.send(), Ok(1));
        let mut ticket = None;
        let polled = model.poll_send(&mut ticket, Waker::noop());
        assert!(polled.is_pending());
        let writer = Arc::clone(&model);
        let writer = thread::spawn(move || {
            writer.with(|core, cx, after| core.release(2 * WEIGHT, cx, after));
            assert_eq!(
                block_on(|waker| writer.poll_send(&mut ticket, waker)),
                Ok(2)
            );
            assert_eq!(writer.send(), Ok(3));
            writer.end(EndReason::Finished);
            assert_eq!(writer.send(), Err(SendError::Ended(EndReason::Finished)));
        });
        assert_eq!(model.read_all(), (vec![1, 2, 3], EndReason::Finished));
        writer.join().expect("no panic");
        model.check_empty();
    });
}

/// A stream is ended while its writer and its reader wait: both are told.
///
/// Seen to fail: with `end` not waking the writers that wait.
#[test]
fn an_end_is_told_to_both_sides() {
    loom::model(|| {
        let model = Model::new(1, &meter(1));
        assert_eq!(model.send(), Ok(1));
        let writer = Arc::clone(&model);
        let writer = thread::spawn(move || writer.send());
        let reader = Arc::clone(&model);
        let reader = thread::spawn(move || reader.read_all());
        model.end(EndReason::Stalled);
        let (ids, reason) = reader.join().expect("no panic");
        assert_eq!(reason, EndReason::Stalled);
        let sent = match writer.join().expect("no panic") {
            Ok(2) => 2,
            Err(SendError::Ended(EndReason::Stalled)) => 1,
            other => panic!("{other:?}"),
        };
        assert!(ids.len() <= sent, "read {ids:?} of {sent}");
        model.check_empty();
    });
}
