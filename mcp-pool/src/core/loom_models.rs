//! Every interleaving of callers, returns, connects and a close, under loom:
//!
//! ```text
//! RUSTFLAGS="--cfg mcp_loom" CARGO_TARGET_DIR=target/loom cargo test -p mcp-pool --release --lib loom_models
//! ```
//!
//! A thread that is asked to connect or to close does it itself, as the pool's
//! tasks do.

use super::*;
use crate::{
    backoff::Backoff,
    config::Limits,
    error::Cause,
    handoff::Handoff,
    histogram::Waits,
    queue::Key,
    random::Random,
    state::{Answer, Look},
    sync::Arc,
};
use loom::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};
use std::task::{Context, Poll, Waker};

struct Model {
    core: Core<u32>,
    /// Connects that will fail.
    failing: AtomicUsize,
    connected: AtomicUsize,
    closed: AtomicUsize,
}

/// A caller in the queue.
struct Caller {
    place: Place<u32>,
    /// `None` if it was refused.
    key: Option<Key>,
    woken: std::sync::Arc<Flag>,
}

struct Flag(std::sync::atomic::AtomicBool);

impl std::task::Wake for Flag {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Model {
    fn new(max: usize) -> Arc<Self> {
        let limits = Limits {
            max,
            min: 0,
            max_idle: usize::MAX,
            max_connecting: max,
            max_waiters: 8,
            check_after_ns: 1 << 40,
            health_ns: None,
            idle_ns: None,
            lifetime_ns: None,
            lent_warn_ns: None,
            backoff: Backoff {
                first_ns: 0,
                max_ns: 0,
            },
        };
        Arc::new(Self {
            core: Core::new(State::new(limits, Random::new(1))),
            failing: AtomicUsize::new(0),
            connected: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
        })
    }

    /// With so many connections lent to begin with.
    fn with_lent(max: usize, lent: usize) -> (Arc<Self>, Vec<Box<Slot<u32>>>) {
        let model = Self::new(max);
        let slots = (0..lent).map(|_| match model.get() {
            Ok(slot) => slot,
            Err(caller) => model.take(&caller).expect("connected at once"),
        });
        let slots = slots.collect();
        (model, slots)
    }

    fn act(&self, todo: Todo<u32>) {
        for (place, error) in todo.fail {
            refuse(&place, error);
        }
        for (place, slot) in todo.hand {
            if let Err(slot) = hand(&place, slot) {
                self.finish(self.core.take_back(slot, || 0));
            }
        }
        for slot in todo.peek {
            let todo = self.core.lock().looked(slot, Look::Kept, 0);
            self.act(todo);
        }
        for (slot, _) in todo.close {
            drop(slot);
            self.closed.fetch_add(1, Ordering::Relaxed);
            let todo = self.core.lock().closed_one(0);
            self.act(todo);
        }
        for _ in 0..todo.open {
            self.connect();
        }
    }

    fn connect(&self) {
        let fails = self.failing.load(Ordering::Relaxed) > 0;
        let todo = if fails {
            self.failing.fetch_sub(1, Ordering::Relaxed);
            let cause = std::sync::Arc::new(Cause::Aborted);
            self.core.lock().connect_failed(&cause, false, 0)
        } else {
            self.connected.fetch_add(1, Ordering::Relaxed);
            self.core.lock().opened(0, None, 0)
        };
        self.act(todo);
    }

    fn finish(&self, mut back: Back<u32>) {
        loop {
            match back {
                Back::Idle => return,
                Back::Todo(todo) => return self.act(todo),
                Back::Hand(place, slot) => match hand(&place, slot) {
                    Ok(()) => return,
                    Err(slot) => back = self.core.take_back(slot, || 0),
                },
            }
        }
    }

    fn give_back(&self, slot: Box<Slot<u32>>) {
        self.finish(self.core.give_back(slot, || 0));
    }

    /// A connection, or a place in the queue.
    fn get(&self) -> Result<Box<Slot<u32>>, Caller> {
        if !self.core.is_busy()
            && let Some(slot) = self.core.lend()
        {
            return Ok(slot);
        }
        let woken = std::sync::Arc::new(Flag(false.into()));
        let place = Arc::new(Handoff::new(Waker::from(std::sync::Arc::clone(&woken))));
        let (entered, todo) = self.core.enter(&place, 1 << 40, 0);
        self.act(todo.unwrap_or_default());
        match entered {
            Entered::Lent(slot) => Ok(slot),
            Entered::Queued(key) => Err(Caller {
                place,
                key: Some(key),
                woken,
            }),
            Entered::Refused(error) => {
                refuse(&place, error);
                Err(Caller {
                    place,
                    key: None,
                    woken,
                })
            }
        }
    }

    /// What a caller that was woken finds.
    fn answer(&self, caller: &Caller) -> Option<Answer<u32>> {
        let woken = caller.woken.0.load(std::sync::atomic::Ordering::SeqCst);
        let waker = Waker::from(std::sync::Arc::clone(&caller.woken));
        match caller.place.poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => {
                assert!(woken, "whoever was given something was woken");
                Some(answer)
            }
            Poll::Pending => None,
        }
    }

    fn take(&self, caller: &Caller) -> Option<Box<Slot<u32>>> {
        self.answer(caller).and_then(Result::ok)
    }

    fn leave(&self, caller: &Caller) {
        match caller.place.leave() {
            Some(Ok(slot)) => self.finish(self.core.take_back(slot, || 0)),
            Some(Err(_)) => {}
            None => {
                let key = caller.key.expect("a refused one has its answer");
                self.core.lock().leave(key);
            }
        }
    }

    /// Nothing is lent or on its way, and nobody waits.
    fn assert_idle(&self, idle: usize) {
        let stats = self.core.lock().stats(Waits::default().snapshot());
        let busy = (stats.in_use, stats.opening, stats.waiting, stats.closing);
        assert_eq!((busy, stats.idle), ((0, 0, 0, 0), idle));
        let connected = self.connected.load(Ordering::Relaxed);
        let closed = self.closed.load(Ordering::Relaxed);
        assert_eq!(connected - closed, idle, "none is lost");
    }
}

/// Two callers wait for the only connection; one of them leaves while it comes
/// back: the other one has it.
///
/// Seen to fail: with `Handoff::leave` leaving the place as it is; with
/// `give_back` not looking at the queue.
#[test]
fn a_return_that_meets_a_leaver_is_the_next_ones() {
    loom::model(|| {
        let (model, mut lent) = Model::with_lent(1, 1);
        let slot = lent.pop().expect("lent");
        let first = model.get().map(drop).expect_err("none is free");
        let second = model.get().map(drop).expect_err("none is free");
        let other = Arc::clone(&model);
        let leaver = thread::spawn(move || other.leave(&first));
        model.give_back(slot);
        leaver.join().expect("no panic");
        let slot = model.take(&second).expect("it has come");
        model.give_back(slot);
        model.assert_idle(1);
    });
}

/// Two callers come while two connections go back: whoever waits is woken.
///
/// Seen to fail: with `give_back` pushing to the idle ones without a look at
/// the queue.
#[test]
fn no_wake_up_is_lost() {
    loom::model(|| {
        let (model, mut lent) = Model::with_lent(1, 1);
        let slot = lent.pop().expect("lent");
        let other = Arc::clone(&model);
        let asking = thread::spawn(move || other.get());
        let third = Arc::clone(&model);
        let also_asking = thread::spawn(move || third.get());
        model.give_back(slot);
        let callers = [asking, also_asking].map(|caller| caller.join().expect("no panic"));
        let mut waiting = Vec::new();
        let mut served = Vec::new();
        for caller in callers {
            match caller {
                Ok(slot) => served.push(slot),
                Err(caller) => match model.take(&caller) {
                    Some(slot) => served.push(slot),
                    None => waiting.push(caller),
                },
            }
        }
        assert_eq!((served.len(), waiting.len()), (1, 1));
        model.give_back(served.remove(0));
        let slot = model.take(&waiting[0]).expect("it is its turn");
        model.give_back(slot);
        model.assert_idle(1);
    });
}

/// The pool closes while a connection goes back and another caller comes: all
/// connections are closed, nobody waits for ever.
///
/// Seen to fail: with `place` not looking at `CLOSED`; with `enter` not looking
/// at it.
#[test]
fn a_close_that_meets_a_return_leaves_nothing_open() {
    loom::model(|| {
        let (model, mut lent) = Model::with_lent(1, 1);
        let slot = lent.pop().expect("lent");
        let other = Arc::clone(&model);
        let returning = thread::spawn(move || other.give_back(slot));
        let third = Arc::clone(&model);
        let asking = thread::spawn(move || third.get());
        let todo = model.core.lock().close();
        model.act(todo);
        returning.join().expect("no panic");
        match asking.join().expect("no panic") {
            Ok(slot) => model.give_back(slot),
            Err(caller) => match model.answer(&caller).expect("an answer") {
                Ok(slot) => model.give_back(slot),
                Err(error) => assert!(matches!(error, Error::Closed)),
            },
        }
        assert!(model.core.lock().is_drained());
        model.assert_idle(0);
    });
}

/// One place and a connect that fails, while two callers come: the place is
/// used again, and both are served in the end.
///
/// Seen to fail: with `connect_failed` not serving.
#[test]
fn a_connect_that_fails_passes_its_place_on() {
    loom::model(|| {
        let model = Model::new(1);
        model.failing.store(1, Ordering::Relaxed);
        let other = Arc::clone(&model);
        let asking = thread::spawn(move || other.get());
        let mine = model.get();
        let theirs = asking.join().expect("no panic");
        let mut callers = vec![mine, theirs];
        // Whoever has it gives it back, and then the other one has it.
        for _ in 0..2 {
            let at = callers.iter().position(|caller| match caller {
                Ok(_) => true,
                Err(caller) => caller.woken.0.load(std::sync::atomic::Ordering::SeqCst),
            });
            match callers.remove(at.expect("somebody is served")) {
                Ok(slot) => model.give_back(slot),
                Err(caller) => model.give_back(model.take(&caller).expect("served")),
            }
        }
        model.assert_idle(1);
    });
}

/// A lent connection breaks while a caller comes and another one leaves: its
/// place is used for the one that stays.
#[test]
fn a_place_that_is_free_again_is_used() {
    loom::model(|| {
        let (model, mut lent) = Model::with_lent(1, 1);
        let slot = lent.pop().expect("lent");
        let gone = model.get().map(drop).expect_err("none is free");
        let other = Arc::clone(&model);
        let retiring = thread::spawn(move || {
            let todo = other
                .core
                .lock()
                .retire(slot, crate::CloseReason::Broken, 0);
            other.act(todo);
        });
        let third = Arc::clone(&model);
        let leaving = thread::spawn(move || third.leave(&gone));
        let kept = model.get();
        retiring.join().expect("no panic");
        leaving.join().expect("no panic");
        let slot = match kept {
            Ok(slot) => slot,
            Err(caller) => model.take(&caller).expect("served"),
        };
        model.give_back(slot);
        let idle = model.core.lock().stats(Waits::default().snapshot()).idle;
        model.assert_idle(idle);
        assert_eq!(idle, 1);
    });
}
