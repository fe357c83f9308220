//! Every interleaving of what one process knows and what it is told, under loom:
//!
//! ```text
//! RUSTFLAGS="--cfg mcp_loom" CARGO_TARGET_DIR=target/loom cargo test -p mcp-cache --release --lib loom_models
//! ```
//!
//! The wrong variants are models too, which have to fail.

use super::{
    lease::Lease,
    mirror::{Mirror, Verdict},
    pending::{Batch, Pending},
    scope::{Kind, Mark, Scope},
};
use crate::sync::{Arc, AtomicU64, Ordering};
use loom::{model::Builder, thread};
use std::time::Duration;

fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn mark() -> Mark {
    Mark::of(Kind::Tag, b"a")
}

fn begun_at(number: u64) -> Arc<Mirror> {
    let mirror = Arc::new(Mirror::new());
    mirror.begin(number);
    mirror
}

/// Which step the publisher, or the reader, takes first.
#[derive(Clone, Copy)]
struct Order {
    mirror_before_done: bool,
    pending_before_mirror: bool,
}

const RIGHT: Order = Order {
    mirror_before_done: true,
    pending_before_mirror: true,
};

/// Something was invalidated here, and is being numbered. A look that begins now has
/// its epoch from before that, which is the mirror's, and must find it dead.
fn own(order: Order, everything: bool) {
    explore(move || {
        let pending = Arc::new(Pending::new(if everything { 0 } else { 4 }));
        let mirror = begun_at(10);
        pending.add([Scope::new(Kind::Tag, "a")]);
        let (telling, knowing) = (Arc::clone(&pending), Arc::clone(&mirror));
        let publisher = thread::spawn(move || {
            let batch = telling.take(8).expect("there is one");
            let note = || match &batch {
                Batch::Everything => knowing.forget_before(20),
                Batch::Scopes(_) => knowing.raise(mark(), 11),
            };
            if order.mirror_before_done {
                note();
                telling.done();
            } else {
                telling.done();
                note();
            }
        });
        let is_pending = || pending.concerns([mark()]);
        let is_live = || mirror.judge(10, 10, [mark()].into_iter()) == Verdict::Live;
        let served = if order.pending_before_mirror {
            !is_pending() && is_live()
        } else {
            is_live() && !is_pending()
        };
        assert!(!served, "a stale read");
        publisher.join().expect("no panic");
    });
}

#[test]
fn what_is_being_numbered_is_dead_all_the_time() {
    own(RIGHT, false);
    own(RIGHT, true);
}

#[test]
#[should_panic(expected = "a stale read")]
fn wrong_numbered_before_it_is_known() {
    let order = Order {
        mirror_before_done: false,
        ..RIGHT
    };
    own(order, false);
}

#[test]
#[should_panic(expected = "a stale read")]
fn wrong_given_up_before_it_is_known() {
    let order = Order {
        mirror_before_done: false,
        ..RIGHT
    };
    own(order, true);
}

#[test]
#[should_panic(expected = "a stale read")]
fn wrong_the_mirror_is_asked_first() {
    let order = Order {
        pending_before_mirror: false,
        ..RIGHT
    };
    own(order, false);
}

/// A message of another process is obeyed and applied; a look that finds it applied
/// extends the lease; whoever reads under that lease sees that it was obeyed.
fn others(obeyed_first: bool) {
    explore(move || {
        let (mirror, first_tier) = (begun_at(10), Arc::new(AtomicU64::new(1)));
        let lease = Arc::new(Lease::new(Some(Duration::from_millis(100))));
        let (hearing, obeying) = (Arc::clone(&mirror), Arc::clone(&first_tier));
        let listener = thread::spawn(move || {
            let obey = || obeying.store(0, Ordering::Relaxed);
            hearing.raise(mark(), 11);
            if obeyed_first {
                obey();
            }
            hearing.apply(11);
            if !obeyed_first {
                obey();
            }
        });
        let (asking, extended) = (Arc::clone(&mirror), Arc::clone(&lease));
        let look = thread::spawn(move || {
            if asking.is_current(11) {
                extended.confirm(50);
            }
        });
        if lease.holds(60) {
            assert_eq!(first_tier.load(Ordering::Relaxed), 0, "a stale read");
        }
        listener.join().expect("no panic");
        look.join().expect("no panic");
    });
}

#[test]
fn a_lease_covers_what_was_obeyed() {
    others(true);
}

#[test]
#[should_panic(expected = "a stale read")]
fn wrong_applied_before_it_is_obeyed() {
    others(false);
}

/// Messages were missed, and the mirror begins anew after them: a record that one of
/// them concerns is not judged by what is known here.
fn gap(known_first: bool) {
    explore(move || {
        let mirror = begun_at(10);
        let hearing = Arc::clone(&mirror);
        let listener = thread::spawn(move || {
            if known_first {
                hearing.begin(20);
            } else {
                hearing.apply(20);
                hearing.forget_before(20);
            }
        });
        let verdict = mirror.judge(20, 15, [mark()].into_iter());
        assert_ne!(verdict, Verdict::Live, "a stale read");
        listener.join().expect("no panic");
    });
}

#[test]
fn what_was_missed_is_not_judged_here() {
    gap(true);
}

#[test]
#[should_panic(expected = "a stale read")]
fn wrong_applied_before_it_is_known_from_where() {
    gap(false);
}

/// The lease has passed, and two find that out: whoever reads on sees the first tier
/// emptied, by whomever.
#[test]
fn a_lease_begins_anew_with_nothing() {
    explore(|| {
        let lease = Arc::new(Lease::new(Some(Duration::from_millis(100))));
        let first_tier = Arc::new(AtomicU64::new(1));
        let read = |lease: &Lease, first_tier: &AtomicU64| {
            if !lease.holds(500) {
                lease.renew(500, || first_tier.store(0, Ordering::Relaxed));
            }
            assert_eq!(first_tier.load(Ordering::Relaxed), 0, "a stale read");
        };
        let (other, shared) = (Arc::clone(&lease), Arc::clone(&first_tier));
        let reader = thread::spawn(move || read(&other, &shared));
        read(&lease, &first_tier);
        reader.join().expect("no panic");
    });
}
