//! Every interleaving of the hand-over, under loom:
//!
//! ```text
//! RUSTFLAGS="--cfg mcp_loom" CARGO_TARGET_DIR=target/loom cargo test -p mcp-cache --release --lib loom_models
//! ```

use super::*;
use loom::{
    future::block_on,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};
use std::future::poll_fn;

struct Model {
    flights: Flights<u32, u32>,
    loads: AtomicUsize,
    /// What the store would hold.
    stored: AtomicUsize,
}

impl Model {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            flights: Flights::new(),
            loads: AtomicUsize::new(0),
            stored: AtomicUsize::new(0),
        })
    }

    fn join(&self) -> Joined<'_, u32, u32> {
        let ticket = Ticket {
            epoch: 1,
            writes: 1,
            order: 1,
        };
        self.flights.join(0, &1, ticket, |_| true)
    }

    /// What a caller that does not go away does.
    fn fetch(&self) -> u32 {
        let lead = match self.join() {
            Joined::Lead(lead) => lead,
            Joined::Follow(mut seat) => {
                let turn = block_on(poll_fn(|cx| seat.poll(cx, |result| *result)));
                match turn {
                    Turn::Landed(result) => return result,
                    Turn::Lead(lead) => lead,
                }
            }
        };
        self.load(lead)
    }

    fn load(&self, lead: Lead<'_, u32, u32>) -> u32 {
        // Somebody may have stored it between this caller's miss and its lead.
        if self.stored.load(Ordering::Acquire) == 0 {
            self.loads.fetch_add(1, Ordering::Relaxed);
            self.stored.store(1, Ordering::Release);
        }
        lead.land(|| 7);
        7
    }
}

/// Two callers of one missing key.
///
/// Seen to fail: with `land` setting no result (a deadlock); with `load` looking
/// into the store no second time (two loads).
#[test]
fn two_callers_load_once() {
    loom::model(|| {
        let model = Model::new();
        let other = Arc::clone(&model);
        let thread = thread::spawn(move || other.fetch());
        assert_eq!(model.fetch(), 7);
        assert_eq!(thread.join().expect("no panic"), 7);
        assert_eq!(model.loads.load(Ordering::Relaxed), 1);
        assert_eq!(model.flights.len(), 0);
    });
}

/// The leader goes away while another waits for it, or is about to.
///
/// Seen to fail: with `abandon` waking nobody (a deadlock).
#[test]
fn who_waits_for_a_leader_that_goes_away_takes_over() {
    loom::model(|| {
        let model = Model::new();
        let Joined::Lead(lead) = model.join() else {
            panic!("the first leads");
        };
        let other = Arc::clone(&model);
        let thread = thread::spawn(move || other.fetch());
        drop(lead);
        assert_eq!(thread.join().expect("no panic"), 7);
        assert_eq!(model.flights.len(), 0);
    });
}

/// The leader goes away while another waits for it, and a third goes away
/// while it waits.
///
/// Seen to fail: with `Seat`'s drop waking nobody (the one that was woken is the one
/// that goes away).
#[test]
fn a_load_is_never_left_without_a_leader() {
    loom::model(|| {
        let model = Model::new();
        let Joined::Lead(lead) = model.join() else {
            panic!("the first leads");
        };
        let Joined::Follow(mut leaver) = model.join() else {
            panic!("the second follows");
        };
        let cx = &std::task::Context::from_waker(std::task::Waker::noop());
        assert!(leaver.poll(cx, |result| *result).is_pending());
        let other = Arc::clone(&model);
        let thread = thread::spawn(move || other.fetch());
        drop(lead);
        drop(leaver);
        assert_eq!(thread.join().expect("no panic"), 7);
        assert_eq!(model.flights.len(), 0);
    });
}

/// The leader and the only one who waits go away at once.
///
/// Seen to fail: with `abandon` leaving the flight on the list when nobody waits;
/// with `Seat`'s drop not reaping it (it would stay for ever).
#[test]
fn a_flight_that_everybody_left_leaves_nothing() {
    loom::model(|| {
        let model = Model::new();
        let Joined::Lead(lead) = model.join() else {
            panic!("the first leads");
        };
        let other = Arc::clone(&model);
        let thread = thread::spawn(move || {
            let cx = &std::task::Context::from_waker(std::task::Waker::noop());
            match other.join() {
                Joined::Lead(lead) => drop(lead),
                Joined::Follow(mut seat) => drop(seat.poll(cx, |result| *result)),
            }
        });
        drop(lead);
        thread.join().expect("no panic");
        assert_eq!(model.flights.len(), 0);
    });
}

/// A detached flight lands while a new one begins.
///
/// Seen to fail: with `remove` not comparing the flights (the new flight loses
/// its place, and a third caller loads again).
#[test]
fn a_detached_flight_does_not_end_the_next() {
    loom::model(|| {
        let model = Model::new();
        let Joined::Lead(old) = model.join() else {
            panic!("the first leads");
        };
        model.flights.detach(0, &1);
        let other = Arc::clone(&model);
        let thread = thread::spawn(move || {
            let Joined::Lead(new) = other.join() else {
                panic!("a detached flight takes nobody in");
            };
            let follows = matches!(other.join(), Joined::Follow(_));
            new.land(|| 2);
            follows
        });
        old.land(|| 1);
        assert!(thread.join().expect("no panic"));
        assert_eq!(model.flights.len(), 0);
    });
}
