//! One breaker per key, bounded, forgetting idle keys.

use crate::support::{DELAY, advance, config, trip};
use mcp_breaker::{Breaker, Observer, Registry, RegistryConfig, State, Transition};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

const IDLE: Duration = Duration::from_secs(60);

fn registry(keys_max: usize) -> Registry<u32> {
    let config = RegistryConfig {
        breaker: config(),
        keys_max,
        idle_timeout: IDLE,
    };
    Registry::new(config).expect("a valid configuration")
}

fn keys(registry: &Registry<u32>) -> Vec<u32> {
    registry
        .snapshot()
        .into_iter()
        .map(|(key, _)| key)
        .collect()
}

fn state(registry: &Registry<u32>, key: u32) -> Option<State> {
    let found = registry
        .snapshot()
        .into_iter()
        .find(|(other, _)| *other == key);
    found.map(|(_, breaker): (u32, Breaker)| breaker.state())
}

#[tokio::test(start_paused = true)]
async fn a_key_has_one_breaker_and_keys_do_not_share_it() {
    let registry = registry(10);
    trip(&registry.breaker(&1));
    assert!(registry.breaker(&1).try_acquire().is_err());
    assert!(registry.breaker(&2).try_acquire().is_ok());
    assert_eq!((registry.stats().keys, registry.stats().created), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_full_table_forgets_the_least_recently_used() {
    let registry = registry(3);
    for key in [1, 2, 3, 1, 4] {
        registry.breaker(&key);
    }
    assert_eq!(keys(&registry), [4, 1, 3]);
    let stats = registry.stats();
    assert_eq!((stats.evicted_full, stats.evicted_active), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_full_table_keeps_what_is_open_or_held() {
    let registry = registry(3);
    trip(&registry.breaker(&1));
    let held = registry.breaker(&2);
    for key in 3..10 {
        registry.breaker(&key);
    }
    assert_eq!(state(&registry, 1), Some(State::Open));
    assert_eq!(state(&registry, 2), Some(State::Closed));
    assert_eq!(
        (registry.stats().keys, registry.stats().evicted_active),
        (3, 0)
    );
    drop(held);
    registry.breaker(&10);
    assert_eq!(state(&registry, 2), None);
}

/// Half-open, or open past its delay, it would admit a few probes; a new
/// breaker in its place would admit everybody.
#[tokio::test(start_paused = true)]
async fn a_full_table_keeps_what_is_about_to_probe() {
    let registry = registry(2);
    trip(&registry.breaker(&1));
    advance(DELAY).await;
    assert_eq!(state(&registry, 1), Some(State::HalfOpen));
    for key in 2..10 {
        registry.breaker(&key);
        assert_eq!(state(&registry, 1), Some(State::HalfOpen), "{key}");
    }
    let probing = registry.breaker(&1);
    assert_eq!(crate::support::take_all(&probing).len(), 3);
    let stats = registry.stats();
    assert_eq!((stats.evicted_full, stats.evicted_active), (7, 0));
}

#[tokio::test(start_paused = true)]
async fn the_bound_holds_even_if_all_are_open() {
    let registry = registry(3);
    (0..10).for_each(|key| trip(&registry.breaker(&key)));
    let stats = registry.stats();
    assert_eq!((stats.keys, stats.evicted_active), (3, 7));
}

#[tokio::test(start_paused = true)]
async fn idle_keys_are_forgotten() {
    let registry = registry(100);
    (0..10).for_each(|key| drop(registry.breaker(&key)));
    advance(IDLE - Duration::from_millis(1)).await;
    assert_eq!(registry.evict_idle(), 0);
    registry.breaker(&5);
    advance(Duration::from_millis(1)).await;
    assert_eq!(registry.evict_idle(), 9);
    assert_eq!(
        (keys(&registry), registry.stats().evicted_idle),
        (vec![5], 9)
    );
}

#[tokio::test(start_paused = true)]
async fn requests_forget_idle_keys_by_and_by() {
    let registry = registry(100);
    (0..10).for_each(|key| drop(registry.breaker(&key)));
    advance(IDLE).await;
    (0..5).for_each(|_| drop(registry.breaker(&77)));
    assert_eq!(keys(&registry), [77]);
}

#[tokio::test(start_paused = true)]
async fn idle_keys_that_an_operator_set_or_somebody_holds_stay() {
    let registry = registry(100);
    registry.breaker(&1).force_open();
    registry.breaker(&2).disable();
    let _held = registry.breaker(&3);
    trip(&registry.breaker(&4));
    advance(IDLE).await;
    assert!(IDLE > DELAY);
    assert_eq!(registry.evict_idle(), 1, "the delay of key 4 has passed");
    let mut left = keys(&registry);
    left.sort_unstable();
    assert_eq!(left, [1, 2, 3]);
}

struct Named(u32, Arc<Mutex<Vec<(u32, State)>>>);

impl Observer for Named {
    fn on_transition(&self, transition: &Transition) {
        self.1
            .lock()
            .expect("not poisoned")
            .push((self.0, transition.to));
    }
}

#[test]
fn every_key_has_its_own_observer() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let registry = registry(10).with_observers({
        let heard = heard.clone();
        move |key| Arc::new(Named(*key, heard.clone()))
    });
    registry.breaker(&7).force_open();
    registry.breaker(&8).force_open();
    let expect = [(7, State::ForcedOpen), (8, State::ForcedOpen)];
    assert_eq!(*heard.lock().expect("not poisoned"), expect);
}
