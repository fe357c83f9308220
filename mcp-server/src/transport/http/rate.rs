//! How often each caller has asked lately: a bucket of allowances per caller, which fills by time.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{auth::Caller, config::RateLimitConfig};

/// Who is counted as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// Who shows a certain token.
    Token(u64),
    /// Who shows none, and calls from there.
    Address(IpAddr),
    /// Who came when there were too many to tell apart.
    Others,
}

impl Key {
    /// `peer`: from where the request came; loopback where that is not known.
    pub(super) fn of(caller: Option<&Caller>, peer: Option<IpAddr>) -> Self {
        match caller.and_then(Caller::token) {
            Some(token) => Self::Token(token),
            None => Self::Address(peer.map_or(IpAddr::V6(Ipv6Addr::LOCALHOST), network)),
        }
    }
}

/// Who has one address of IPv6 has 2^64 of them (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & (u128::MAX << 64);
            Ipv6Addr::from(prefix).into()
        }
        address => address,
    }
}

/// The callers' buckets: of each, when it will be full again.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<HashMap<Key, Instant>>);

impl Rates {
    /// Takes one allowance of `key`.
    ///
    /// # Errors
    ///
    /// The time after which there is one.
    pub(super) fn take(
        &self,
        key: Key,
        now: Instant,
        config: &RateLimitConfig,
    ) -> Result<(), Duration> {
        if config.per_second == 0 {
            return Ok(());
        }
        let mut full_at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = full_at.contains_key(&key);
        if !known && full_at.len() >= config.callers_max.get() {
            // A full bucket is as good as none.
            full_at.retain(|_, full_at| *full_at > now);
        }
        let key = match known || full_at.len() < config.callers_max.get() {
            true => key,
            false => Key::Others,
        };
        let full = full_at.entry(key).or_insert(now);
        *full = take(*full, now, config)?;
        Ok(())
    }
}

/// When the bucket will be full again after one more was taken (the generic cell rate algorithm,
/// ITU-T I.371), or how long there is none to take.
fn take(full_at: Instant, now: Instant, config: &RateLimitConfig) -> Result<Instant, Duration> {
    let refill = Duration::from_secs(1) / config.per_second;
    let full_at = full_at.max(now) + refill;
    let missing = full_at - now;
    let room = refill * config.burst;
    match missing.checked_sub(room) {
        Some(wait) if !wait.is_zero() => Err(wait),
        _ => Ok(full_at),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn config(per_second: u32, burst: u32, callers_max: usize) -> RateLimitConfig {
        RateLimitConfig {
            per_second,
            burst,
            callers_max: callers_max.try_into().unwrap(),
        }
    }

    #[tokio::test]
    async fn bursts_are_bounded_and_pauses_refill() {
        let (rates, config, key) = (Rates::default(), config(10, 3, 10), Key::Token(1));
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        for _ in 0..3 {
            assert_eq!(rates.take(key, start, &config), Ok(()));
        }
        let wait = rates.take(key, start, &config).unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        // Who was refused has lost nothing by asking.
        assert_eq!(rates.take(key, at(100), &config), Ok(()));
        assert!(rates.take(key, at(100), &config).is_err());
        assert_eq!(rates.take(Key::Token(2), at(100), &config), Ok(()));
        for _ in 0..3 {
            assert_eq!(rates.take(key, at(10_000), &config), Ok(()));
        }
        assert!(rates.take(key, at(10_000), &config).is_err());
    }

    #[tokio::test]
    async fn too_many_callers_share_one_bucket() {
        let (rates, config) = (Rates::default(), config(1, 1, 2));
        let now = Instant::now();
        for caller in [1, 2, 3] {
            assert_eq!(rates.take(Key::Token(caller), now, &config), Ok(()));
        }
        assert!(rates.take(Key::Token(4), now, &config).is_err());
        assert!(rates.0.lock().unwrap().len() <= 3);
        // Once the first have paused, others are told apart again.
        let later = now + Duration::from_secs(2);
        for caller in [5, 6] {
            assert_eq!(rates.take(Key::Token(caller), later, &config), Ok(()));
        }
        assert!(rates.0.lock().unwrap().len() <= 3);
    }

    #[test]
    fn addresses_of_one_network_are_one_caller() {
        let key = |address: &str| Key::of(None, Some(address.parse().unwrap()));
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }

    proptest! {
        /// Whatever the times: in any span no more pass than the burst and what the span refills.
        #[test]
        fn no_span_lets_more_through(
            gaps in prop::collection::vec(0_u64..300, 1..200),
            per_second in 1_u32..50,
            burst in 1_u32..20,
        ) {
            let (rates, config) = (Rates::default(), config(per_second, burst, 1));
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let mut now = runtime.block_on(async { Instant::now() });
            let mut passed = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                if rates.take(Key::Others, now, &config).is_ok() {
                    passed.push(now);
                }
            }
            for (first, from) in passed.iter().enumerate() {
                for (last, to) in passed.iter().enumerate().skip(first) {
                    let span = (*to - *from).as_secs_f64();
                    let allowed = f64::from(burst) + span * f64::from(per_second) + 1e-3;
                    prop_assert!((last - first + 1) as f64 <= allowed);
                }
            }
        }
    }
}
