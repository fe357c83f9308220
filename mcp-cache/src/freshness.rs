//! Fresh, stale or dead, from an entry's age: plain functions of time.

use crate::{FOREVER_MS, random::unit_of};
use std::time::Duration;

/// What a class says about age.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rules {
    pub(crate) ttl: Option<Duration>,
    pub(crate) jitter: f64,
    pub(crate) revalidate: Duration,
    pub(crate) on_error: Duration,
    pub(crate) ahead: f64,
    /// Expired values are kept for as long as they were fresh, to be compared.
    pub(crate) keeps_expired: bool,
}

/// For how long an entry is fresh, and then stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spans {
    pub(crate) fresh_for_ms: u32,
    pub(crate) stale_for_ms: u32,
}

/// What may be done with an entry that is not dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Serve it.
    Fresh,
    /// Serve it, and load it anew before it expires.
    Due,
    /// Serve it as stale, and load it anew.
    Revalidate,
    /// Load it anew, and serve it as stale if that fails.
    OnError,
    /// Load it anew.
    Expired,
}

impl Rules {
    /// The spans of an entry; `seed` picks the jitter.
    pub(crate) fn spans(&self, ttl: Option<Duration>, seed: u64) -> Spans {
        let Some(ttl) = ttl.or(self.ttl) else {
            return Spans {
                fresh_for_ms: FOREVER_MS,
                stale_for_ms: 0,
            };
        };
        // The longest that can be told first: the product would overflow above it.
        let ttl = ttl.min(Duration::from_millis(u64::from(FOREVER_MS)));
        let fresh_for_ms = to_ms(ttl.mul_f64(1.0 - self.jitter * unit_of(seed))).max(1);
        let kept_ms = match self.keeps_expired {
            true => fresh_for_ms,
            false => 0,
        };
        let stale_for_ms = to_ms(self.revalidate.max(self.on_error)).max(kept_ms);
        Spans {
            fresh_for_ms,
            stale_for_ms,
        }
    }

    /// What may be done with an entry of this age; `seed` is the entry's own, and
    /// picks when it is due.
    #[inline]
    pub(crate) fn reading(
        &self,
        age_ms: u64,
        fresh_for_ms: u32,
        seed: impl FnOnce() -> u64,
    ) -> Reading {
        if fresh_for_ms == FOREVER_MS {
            return Reading::Fresh;
        }
        let Some(over_ms) = age_ms.checked_sub(u64::from(fresh_for_ms)) else {
            return match self.ahead > 0.0 && self.is_due(age_ms, fresh_for_ms, seed) {
                true => Reading::Due,
                false => Reading::Fresh,
            };
        };
        let within = |span: Duration| over_ms < u64::from(to_ms(span));
        match (within(self.revalidate), within(self.on_error)) {
            (true, _) => Reading::Revalidate,
            (false, true) => Reading::OnError,
            (false, false) => Reading::Expired,
        }
    }

    fn is_due(&self, age_ms: u64, fresh_for_ms: u32, seed: impl FnOnce() -> u64) -> bool {
        let (age, fresh_for) = (age_ms as f64, f64::from(fresh_for_ms));
        if age < fresh_for * (1.0 - self.ahead) {
            return false;
        }
        let ahead = self.ahead * (1.0 - unit_of(seed()) / 2.0);
        age >= fresh_for * (1.0 - ahead)
    }
}

/// Saturating below what means "for ever".
pub(crate) fn to_ms(span: Duration) -> u32 {
    let ms = u32::try_from(span.as_millis()).unwrap_or(FOREVER_MS);
    ms.min(FOREVER_MS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            ttl: Some(Duration::from_secs(10)),
            jitter: 0.0,
            revalidate: Duration::from_secs(2),
            on_error: Duration::from_secs(5),
            ahead: 0.0,
            keeps_expired: false,
        }
    }

    fn check(rules: &Rules, rows: &[(u64, Reading)]) {
        for &(age_ms, expect) in rows {
            assert_eq!(rules.reading(age_ms, 10_000, || 3), expect, "{age_ms}");
        }
    }

    #[test]
    fn age_decides() {
        let rows = [
            (0, Reading::Fresh),
            (9_999, Reading::Fresh),
            (10_000, Reading::Revalidate),
            (11_999, Reading::Revalidate),
            (12_000, Reading::OnError),
            (14_999, Reading::OnError),
            (15_000, Reading::Expired),
        ];
        check(&rules(), &rows);
        let strict = Rules {
            revalidate: Duration::ZERO,
            on_error: Duration::ZERO,
            ..rules()
        };
        check(
            &strict,
            &[(9_999, Reading::Fresh), (10_000, Reading::Expired)],
        );
        let forever = rules().reading(u64::MAX, FOREVER_MS, || 0);
        assert_eq!(forever, Reading::Fresh);
    }

    #[test]
    fn an_entry_is_due_in_the_last_share_at_a_moment_of_its_own() {
        let rules = Rules {
            ahead: 0.2,
            ..rules()
        };
        let moments: Vec<_> = (0..1_000)
            .map(|seed| {
                let is_due = |age_ms: &u64| rules.reading(*age_ms, 10_000, || seed) == Reading::Due;
                let first = (0..10_000)
                    .step_by(10)
                    .find(is_due)
                    .expect("due before the end");
                let after: Vec<_> = (first..10_000).step_by(500).collect();
                assert!(after.iter().all(is_due), "once due, always due");
                first
            })
            .collect();
        assert!(moments.iter().all(|at| (8_000..=9_010).contains(at)));
        let early = moments.iter().filter(|at| **at < 8_500).count();
        assert!((400..600).contains(&early), "{early}");
    }

    #[test]
    fn jitter_shortens_and_spreads() {
        let rules = Rules {
            jitter: 0.5,
            ..rules()
        };
        let spans: Vec<_> = (0..1_000).map(|seed| rules.spans(None, seed)).collect();
        assert!(
            spans
                .iter()
                .all(|spans| (5_000..=10_000).contains(&spans.fresh_for_ms))
        );
        assert!(spans.iter().all(|spans| spans.stale_for_ms == 5_000));
        let short = spans
            .iter()
            .filter(|spans| spans.fresh_for_ms < 7_500)
            .count();
        assert!((400..600).contains(&short), "{short}");
    }

    #[test]
    fn spans_saturate_and_are_never_zero() {
        let spans = rules().spans(Some(Duration::MAX), 0);
        assert_eq!(spans.fresh_for_ms, FOREVER_MS - 1);
        assert_eq!(rules().spans(Some(Duration::ZERO), 0).fresh_for_ms, 1);
        let forever = Rules {
            ttl: None,
            ..rules()
        };
        assert_eq!(forever.spans(None, 0).fresh_for_ms, FOREVER_MS);
        let compared = Rules {
            keeps_expired: true,
            ..rules()
        };
        assert_eq!(compared.spans(None, 0).stale_for_ms, 10_000);
    }
}
