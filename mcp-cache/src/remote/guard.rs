//! Where a circuit breaker is plugged in, and a small one for those who have
//! none.

use crate::sync::{Mutex, lock};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Says whether the second tier may be asked now: where a circuit breaker is
/// plugged in.
pub trait Guard: Send + Sync {
    /// Lets one call through, or refuses it with `None`.
    fn admit(&self) -> Option<Box<dyn Pass>>;
}

/// One call that was let through. Dropping it says that the call was cancelled.
pub trait Pass: Send {
    /// The service answered.
    fn succeeded(self: Box<Self>);
    /// It did not, or too late.
    fn failed(self: Box<Self>);
}

/// Failures in a row that open it.
const FAILURES_MAX: u32 = 5;
/// How long it stays open before one call may try.
const PAUSE: Duration = Duration::from_secs(1);

/// What guards a tier that is given no other guard: after five failures in a row
/// nothing is asked for a second, then one call tries.
#[derive(Debug, Clone, Default)]
pub struct Pause(Arc<Mutex<Paused>>);

#[derive(Debug, Default)]
struct Paused {
    failures: u32,
    until: Option<Instant>,
}

struct Call(Pause);

impl Guard for Pause {
    fn admit(&self) -> Option<Box<dyn Pass>> {
        let mut state = lock(&self.0);
        if let Some(until) = state.until {
            let now = Instant::now();
            if now < until {
                return None;
            }
            // This one tries; the others wait for a pause more.
            state.until = Some(now + PAUSE);
        }
        Some(Box::new(Call(self.clone())))
    }
}

impl Pass for Call {
    fn succeeded(self: Box<Self>) {
        *lock(&self.0.0) = Paused::default();
    }

    fn failed(self: Box<Self>) {
        let mut state = lock(&self.0.0);
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES_MAX {
            state.until = Some(Instant::now() + PAUSE);
        }
    }
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_five_failures_and_tries_once_a_second() {
        let pause = Pause::default();
        let fail = || pause.admit().expect("closed").failed();
        (0..FAILURES_MAX - 1).for_each(|_| fail());
        pause.admit().expect("closed").succeeded();
        (0..FAILURES_MAX).for_each(|_| fail());
        assert!(pause.admit().is_none());
        tokio::time::advance(PAUSE).await;
        let probe = pause.admit().expect("one tries");
        assert!(pause.admit().is_none(), "and no other");
        probe.failed();
        tokio::time::advance(PAUSE).await;
        drop(pause.admit().expect("one tries"));
        assert!(pause.admit().is_none());
        tokio::time::advance(PAUSE).await;
        pause.admit().expect("one tries").succeeded();
        assert!(pause.admit().is_some() && pause.admit().is_some());
    }
}
