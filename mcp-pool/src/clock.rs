//! Time as nanoseconds since a pool's own origin.

use std::time::Duration;
use tokio::time::Instant;

/// Later than any moment.
pub(crate) const NEVER: u64 = u64::MAX;

/// tokio's clock, which tests can pause.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now_ns(&self) -> u64 {
        to_ns(self.0.elapsed())
    }

    /// When to wake for a moment; `None` if it never comes.
    pub(crate) fn instant(&self, at_ns: u64) -> Option<Instant> {
        (at_ns != NEVER).then(|| self.0 + Duration::from_nanos(at_ns))
    }
}

/// In 64 bits, which last for 584 years.
pub(crate) fn to_ns(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(duration.subsec_nanos()))
}
