//! Every interleaving of the windows' races, under loom; run as the models of
//! the core are.

use super::*;
use loom::{sync::Arc, thread};

const BAD: Grade = Grade {
    failed: true,
    slow: true,
};
const WIDTH_NS: u64 = 100;

/// One bucket, so that each step of time takes it over.
fn one_bucket() -> TimeRing {
    TimeRing::new(WIDTH_NS, 1)
}

/// A late caller meets a bucket that is taken over twice: what it adds to a
/// later time it takes back from that time, or not at all.
///
/// Seen to fail: with a plain `fetch_sub` in place of `take_one_back` in
/// `TimeRing::add` (the last time loses its own call; a second late caller
/// would borrow from its tag).
#[test]
fn a_late_call_does_not_move_a_bucket_that_was_taken_over() {
    loom::model(|| {
        let ring = Arc::new(one_bucket());
        let other = Arc::clone(&ring);
        let thread = thread::spawn(move || other.add(Field::Whole, 0, 0));
        for epoch in 1..=2 {
            assert!(ring.add(Field::Whole, 0, epoch * WIDTH_NS));
        }
        thread.join().expect("no panic");
        assert_eq!(ring.sum(Field::Whole, 0, 2 * WIDTH_NS), 1);
    });
}

/// A call is taken back while another one takes its bucket over.
///
/// Seen to fail: with a plain `fetch_sub` in place of `take_one_back` in
/// `TimeRing::take_back`.
#[test]
fn a_call_is_taken_back_from_its_own_time_only() {
    loom::model(|| {
        let ring = Arc::new(one_bucket());
        assert!(ring.add(Field::Whole, 0, 0));
        let other = Arc::clone(&ring);
        let thread = thread::spawn(move || other.take_back(Field::Whole, 0, 0));
        assert!(ring.add(Field::Whole, 0, WIDTH_NS));
        thread.join().expect("no panic");
        assert_eq!(ring.sum(Field::Whole, 0, WIDTH_NS), 1);
    });
}

fn never_more_bad_than_calls(window: fn() -> Window) {
    loom::model(move || {
        let window = Arc::new(window());
        let other = Arc::clone(&window);
        let thread = thread::spawn(move || other.tally(0, 0));
        for _ in 0..2 {
            assert!(window.record(0, BAD, 0));
        }
        let tally = thread.join().expect("no panic");
        assert!(tally.failures <= tally.calls, "{tally:?}");
        assert!(tally.slow <= tally.calls, "{tally:?}");
    });
}

/// A tally is read while calls fail: its rate must not be above the truth, for
/// that opens a healthy breaker.
///
/// Seen to fail: with the cursor read before the ones in `CountRing::tally`;
/// without its fence; with a relaxed exchange in `LifeCell::update`.
#[test]
fn a_tally_of_the_count_window_has_no_rate_above_the_truth() {
    never_more_bad_than_calls(|| Window::Count(CountRing::new(4, true)));
}

/// The same for the time window.
///
/// Seen to fail: with the calls summed up first in `TimeRing::tally`; without
/// its fence; with relaxed writes in `TimeRing::add` and `add_slowly`.
#[test]
fn a_tally_of_the_time_window_has_no_rate_above_the_truth() {
    never_more_bad_than_calls(|| Window::Time(one_bucket()));
}
