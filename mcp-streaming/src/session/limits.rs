//! How long a session lives, and when it may make room for another.

use super::StreamingSession;
use crate::{
    EndReason,
    hub::Expire,
    pressure::millis,
    stream::Stream,
    sync::{Mutex, lock},
    wheel::Key,
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// How long a stream that ended is kept for a reader that comes back.
const ENDED_KEEP_MS: u64 = 60_000;

impl StreamingSession {
    /// Whether a newer session may not take its place: it was used just now, or
    /// is being read.
    pub(super) fn is_busy(&self, now_ms: u64) -> bool {
        let quiet_ms = now_ms.saturating_sub(self.used_ms.load(Ordering::Relaxed));
        let busy_for = self.shared.config.busy_for;
        let is_read = |stream: &Arc<Stream>| {
            let summary = stream.summary();
            summary.attached && stream.unread_for(&summary) < busy_for
        };
        self.is_initialized.load(Ordering::Relaxed)
            && (quiet_ms < millis(busy_for) || lock(&self.state).streams.iter().any(is_read))
    }

    /// Lets go of streams that ended long ago, and finds out whether one of the
    /// others is read.
    fn sweep(&self, now_ms: u64) -> bool {
        let idle = self.shared.config.idle_timeout;
        let mut is_read = false;
        let gone: Vec<Arc<Stream>> = lock(&self.state)
            .streams
            .extract_if(.., |stream| {
                let summary = stream.summary();
                is_read |= summary.attached && stream.unread_for(&summary) < idle;
                let kept_ms = now_ms.saturating_sub(summary.moved_ms);
                summary.end.is_some() && !summary.attached && kept_ms >= ENDED_KEEP_MS
            })
            .collect();
        drop(gone);
        is_read
    }

    fn limit_reached(&self, now_ms: u64) -> Option<EndReason> {
        let over =
            |since_ms: u64, limit: Duration| now_ms >= since_ms.saturating_add(millis(limit));
        let used_ms = self.used_ms.load(Ordering::Relaxed);
        if self
            .shared
            .config
            .life_time
            .is_some_and(|limit| over(self.start_ms, limit))
        {
            Some(EndReason::LifeTime)
        } else if !self.is_initialized.load(Ordering::Relaxed) {
            over(self.start_ms, self.shared.config.init_timeout)
                .then_some(EndReason::NotInitialized)
        } else {
            over(used_ms, self.shared.config.idle_timeout).then_some(EndReason::Idle)
        }
    }

    /// When the next limit may be reached, or streams that ended may go.
    pub(super) fn due_ms(&self, now_ms: u64) -> u64 {
        let after = |since_ms: u64, limit: Duration| since_ms.saturating_add(millis(limit));
        let next = if self.is_initialized.load(Ordering::Relaxed) {
            after(
                self.used_ms.load(Ordering::Relaxed),
                self.shared.config.idle_timeout,
            )
        } else {
            after(self.start_ms, self.shared.config.init_timeout)
        };
        let life = self
            .shared
            .config
            .life_time
            .map(|limit| after(self.start_ms, limit));
        next.min(life.unwrap_or(u64::MAX))
            .min(now_ms + ENDED_KEEP_MS)
    }
}

impl Expire for StreamingSession {
    fn expire(&self, now_ms: u64) -> Option<u64> {
        if self.sweep(now_ms) {
            self.used_ms.fetch_max(now_ms, Ordering::Relaxed);
        }
        if self.end().is_some() {
            return None;
        }
        if let Some(reason) = self.limit_reached(now_ms) {
            self.end_with(reason);
            return None;
        }
        Some(self.due_ms(now_ms))
    }

    fn is_over(&self) -> bool {
        self.end().is_some()
    }

    fn timer(&self) -> &Mutex<Option<Key>> {
        &self.timer
    }
}
