//! When an upstream is asked next, as functions of what happened and the time.

use std::time::Duration;

use tokio::time::Instant;

use super::{ConnectorName, RefreshConfig, UpstreamError};

/// The part of an interval by which it may be shorter or longer.
const JITTER: f64 = 0.2;
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// The longest that an upstream is left alone because it asked for it.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// What happened lately when an upstream was to be reached, and whether it may be tried again.
#[derive(Debug, Clone)]
pub struct Attempts {
    backoff: Duration,
    backoff_max: Duration,
    failures_per_day_max: u32,
    /// In a row.
    failures: u32,
    /// Since `day_began`.
    failures_of_day: u32,
    day_began: Option<Instant>,
    until: Option<Until>,
}

/// Until when an upstream is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// This moment.
    Moment(Instant),
    /// Somebody says that its credentials were corrected.
    Asked,
}

impl Attempts {
    /// None yet.
    #[must_use]
    pub fn new(config: &RefreshConfig) -> Self {
        Self {
            backoff: config.backoff,
            backoff_max: config.backoff_max.max(config.backoff),
            failures_per_day_max: config.failures_per_day_max.get(),
            failures: 0,
            failures_of_day: 0,
            day_began: None,
            until: None,
        }
    }

    /// Whether it may be tried now; otherwise until when not.
    ///
    /// # Errors
    ///
    /// How long it is left alone.
    pub fn may_try(&self, now: Instant) -> Result<(), Until> {
        match self.until {
            Some(Until::Moment(until)) if until <= now => Ok(()),
            Some(until) => Err(until),
            None => Ok(()),
        }
    }

    /// It was reached.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.until = None;
    }

    /// Somebody asks for it: credentials may have changed. The pauses stay.
    pub fn asked(&mut self) {
        if self.until == Some(Until::Asked) {
            self.until = None;
        }
    }

    /// It was not reached. `chance` is a random number from 0 to 1: the pause is from half of its
    /// length to all of it, so that many who failed together do not come again together.
    pub fn failed(&mut self, error: &UpstreamError, now: Instant, chance: f64) {
        self.failures = self.failures.saturating_add(1);
        let day_began = *self.day_began.get_or_insert(now);
        if now.duration_since(day_began) >= DAY {
            self.day_began = Some(now);
            self.failures_of_day = 0;
        }
        self.failures_of_day += 1;
        let until = match error {
            UpstreamError::Unauthorized { .. } => Until::Asked,
            _ if self.failures_of_day >= self.failures_per_day_max => {
                Until::Moment(self.day_began.unwrap_or(now) + DAY)
            }
            _ => {
                let doublings = self.failures.saturating_sub(1).min(20);
                let pause = self
                    .backoff
                    .saturating_mul(1 << doublings)
                    .min(self.backoff_max);
                let pause = pause.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0);
                let wanted = match error {
                    UpstreamError::Busy { retry_after, .. } => retry_after.unwrap_or_default(),
                    _ => Duration::ZERO,
                };
                Until::Moment(now + pause.max(wanted.min(RETRY_AFTER_MAX)))
            }
        };
        self.until = Some(until);
    }
}

/// The time until the next refresh: the interval, up to a fifth shorter or longer by `chance`, a
/// random number from 0 to 1.
#[must_use]
pub fn jittered(interval: Duration, chance: f64) -> Duration {
    interval.mul_f64(1.0 - JITTER + 2.0 * JITTER * chance.clamp(0.0, 1.0))
}

/// Whether a connector belongs to the share that is refreshed in the background: always the same
/// ones for a share, and all of those also for a larger one. FNV-1a over the name.
#[must_use]
pub fn is_in_share(name: &ConnectorName, percent: u8) -> bool {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in name.as_str().bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    }
    // The lowest bits of FNV-1a alone depend on little.
    (hash ^ (hash >> 32)) % 100 < u64::from(percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable() -> UpstreamError {
        UpstreamError::Unavailable {
            reason: "down".to_owned(),
            unsent: true,
        }
    }

    fn pause(attempts: &Attempts, now: Instant) -> Duration {
        match attempts.may_try(now) {
            Err(Until::Moment(until)) => until - now,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn pauses_grow_to_their_most_and_end_with_success() {
        let now = Instant::now();
        let mut attempts = Attempts::new(&RefreshConfig::default());
        assert_eq!(attempts.may_try(now), Ok(()));
        for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600] {
            attempts.failed(&unavailable(), now, 1.0);
            assert_eq!(pause(&attempts, now), Duration::from_secs(seconds));
        }
        attempts.failed(&unavailable(), now, 0.0);
        assert_eq!(pause(&attempts, now), Duration::from_secs(300));
        assert_eq!(attempts.may_try(now + Duration::from_secs(300)), Ok(()));
        attempts.succeeded();
        assert_eq!(attempts.may_try(now), Ok(()));
    }

    #[tokio::test]
    async fn a_day_has_its_cap_and_the_next_day_its_own() {
        let began = Instant::now();
        let config = RefreshConfig {
            failures_per_day_max: 3.try_into().unwrap(),
            ..RefreshConfig::default()
        };
        let mut attempts = Attempts::new(&config);
        let hour = Duration::from_secs(3_600);
        for failure in 0..3 {
            attempts.failed(&unavailable(), began + hour * failure, 1.0);
        }
        let now = began + hour * 2;
        assert_eq!(pause(&attempts, now), hour * 22);
        let tomorrow = began + hour * 24;
        assert_eq!(attempts.may_try(tomorrow), Ok(()));
        attempts.failed(&unavailable(), tomorrow, 1.0);
        assert!(pause(&attempts, tomorrow) < hour);
    }

    #[tokio::test]
    async fn what_the_upstream_says_is_heeded() {
        let now = Instant::now();
        let mut attempts = Attempts::new(&RefreshConfig::default());
        attempts.failed(&UpstreamError::Unauthorized { status: 401 }, now, 1.0);
        assert_eq!(attempts.may_try(now + DAY * 9), Err(Until::Asked));
        attempts.asked();
        assert_eq!(attempts.may_try(now), Ok(()));
        for (asks, waits) in [(5, 5), (90_000, 3_600)] {
            let mut attempts = Attempts::new(&RefreshConfig::default());
            let retry_after = Some(Duration::from_secs(asks));
            attempts.failed(
                &UpstreamError::Busy {
                    status: 429,
                    retry_after,
                },
                now,
                1.0,
            );
            assert_eq!(pause(&attempts, now), Duration::from_secs(waits));
            // To ask is not to know better than the upstream.
            attempts.asked();
            assert_eq!(pause(&attempts, now), Duration::from_secs(waits));
        }
    }

    #[test]
    fn a_hundred_schedulers_do_not_come_together() {
        let interval = Duration::from_secs(300);
        let mut buckets = [0_u32; 400];
        for step in 0..100 {
            let next = jittered(interval, f64::from(step) / 99.0);
            assert!((240..=360).contains(&next.as_secs()), "{next:?}");
            buckets[usize::try_from(next.as_secs()).unwrap()] += 1;
        }
        assert!(buckets.into_iter().max().unwrap() <= 5);
    }

    #[test]
    fn a_share_is_a_share_and_a_larger_one_holds_it() {
        let names: Vec<ConnectorName> = (0..1_000)
            .map(|number| format!("server-{number}").parse().unwrap())
            .collect();
        let in_share = |percent| {
            names
                .iter()
                .filter(|name| is_in_share(name, percent))
                .collect::<Vec<_>>()
        };
        assert_eq!((in_share(0).len(), in_share(100).len()), (0, 1_000));
        let (ten, fifty) = (in_share(10), in_share(50));
        assert!((60..140).contains(&ten.len()) && (430..570).contains(&fifty.len()));
        assert!(ten.iter().all(|name| fifty.contains(name)));
    }
}
