//! Subscribers and observers.

use crate::support::{DELAY, advance, breaker, config, trip};
use mcp_breaker::{
    Breaker, Cause, Config, LimitConfig, Observer, Outcome, Rejected, State, Transition,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    time::Duration,
};

#[tokio::test(start_paused = true)]
async fn a_subscriber_hears_every_change_in_order() {
    let breaker = breaker(&config());
    let mut events = breaker.subscribe();
    trip(&breaker);
    advance(DELAY).await;
    breaker.try_acquire().expect("a probe").success();
    breaker.try_acquire().expect("a probe").success();
    let heard: Vec<_> = std::iter::from_fn(|| events.try_next()).collect();
    let states: Vec<_> = heard
        .iter()
        .map(|event| (event.from, event.to, event.generation))
        .collect();
    assert_eq!(
        states,
        [
            (State::Closed, State::Open, 1),
            (State::Open, State::HalfOpen, 2),
            (State::HalfOpen, State::Closed, 3),
        ]
    );
    let causes: Vec<_> = heard.iter().map(|event| event.cause).collect();
    assert_eq!(
        causes,
        [
            Cause::ConsecutiveFailures { failures: 5 },
            Cause::DelayElapsed,
            Cause::ProbesSucceeded { successes: 2 },
        ]
    );
    assert_eq!(heard[0].reopens_in, Some(DELAY));
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_waits_and_ends_with_the_breaker() {
    let breaker = breaker(&config());
    let mut events = breaker.subscribe();
    let listener = tokio::spawn(async move {
        let first = events.next().await.expect("the breaker lives");
        (first.to, events.next().await)
    });
    tokio::task::yield_now().await;
    breaker.force_open();
    drop(breaker);
    assert_eq!(listener.await.expect("no panic"), (State::ForcedOpen, None));
}

#[test]
fn a_slow_subscriber_loses_the_oldest_events_and_both_sides_know() {
    let breaker = breaker(&Config {
        events_capacity: 4,
        ..config()
    });
    let mut events = breaker.subscribe();
    for _ in 0..5 {
        breaker.force_open();
        breaker.force_close();
    }
    let heard: Vec<_> = std::iter::from_fn(|| events.try_next())
        .map(|event| event.generation)
        .collect();
    assert_eq!(heard, [7, 8, 9, 10]);
    assert_eq!((events.missed(), breaker.stats().events_lost), (6, 6));
}

#[derive(Debug, PartialEq)]
enum Heard {
    Transition(State),
    Settled(Outcome, Option<Duration>),
    Rejected(Rejected),
}

#[derive(Default)]
struct Ear(Mutex<Vec<Heard>>);

impl Ear {
    fn push(&self, heard: Heard) {
        self.0.lock().expect("not poisoned").push(heard);
    }
}

impl Observer for Ear {
    fn on_transition(&self, transition: &Transition) {
        self.push(Heard::Transition(transition.to));
    }

    fn on_settled(&self, outcome: Outcome, took: Option<Duration>) {
        self.push(Heard::Settled(outcome, took));
    }

    fn on_rejected(&self, rejected: &Rejected) {
        self.push(Heard::Rejected(*rejected));
    }
}

fn listened(config: &Config) -> (Breaker, Arc<Ear>) {
    let ear = Arc::new(Ear::default());
    (
        Breaker::with_observer(config, ear.clone()).expect("a valid configuration"),
        ear,
    )
}

/// Panics at every change of state.
struct Clumsy;

impl Observer for Clumsy {
    fn on_transition(&self, _: &Transition) {
        panic!("on purpose");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panicking_observer_leaves_no_place_taken_nobody_asleep_and_a_timer_set() {
    let config = Config {
        consecutive_failures: Some(1),
        limit: LimitConfig::Fixed { max_in_flight: 1 },
        ..config()
    };
    let breaker = Breaker::with_observer(&config, Arc::new(Clumsy)).expect("valid");
    let mut events = breaker.subscribe();
    let trip = || breaker.try_acquire().expect("a place").failure();
    assert!(catch_unwind(AssertUnwindSafe(trip)).is_err());
    assert_eq!(
        (breaker.state(), breaker.stats().in_flight),
        (State::Open, 0)
    );
    let waiting = tokio::spawn({
        let breaker = breaker.clone();
        async move { breaker.ready().await }
    });
    // Nobody calls: it is the timer that ends the open life.
    advance(DELAY).await;
    assert_eq!(breaker.state(), State::HalfOpen);
    waiting.await.expect("woken");
    assert_eq!(events.try_next().map(|event| event.to), Some(State::Open));
    let close = || breaker.force_close();
    assert!(catch_unwind(AssertUnwindSafe(close)).is_err());
    breaker.try_acquire().expect("a place").success();
    assert_eq!((breaker.stats().opened, breaker.stats().closed), (1, 1));
}

#[test]
fn an_observer_hears_calls_changes_and_refusals() {
    let (breaker, ear) = listened(&Config {
        consecutive_failures: Some(1),
        ..config()
    });
    breaker.try_acquire().expect("closed").success();
    breaker.try_acquire().expect("closed").failure();
    breaker.force_open();
    assert!(breaker.try_acquire().is_err());
    assert_eq!(
        *ear.0.lock().expect("not poisoned"),
        [
            Heard::Settled(Outcome::Success, None),
            Heard::Transition(State::Open),
            Heard::Settled(Outcome::Failure, None),
            Heard::Transition(State::ForcedOpen),
            Heard::Rejected(Rejected::ForcedOpen),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_observer_hears_durations_when_calls_are_timed() {
    let (breaker, ear) = listened(&Config {
        slow_rate: Some(0.5),
        ..config()
    });
    let permit = breaker.try_acquire().expect("closed");
    advance(Duration::from_millis(7)).await;
    permit.success();
    let expect = Heard::Settled(Outcome::Success, Some(Duration::from_millis(7)));
    assert_eq!(*ear.0.lock().expect("not poisoned"), [expect]);
}
