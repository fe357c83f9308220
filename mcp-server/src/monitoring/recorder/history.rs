//! Windows slot by slot, for lines over time.

use std::{collections::BTreeMap, sync::PoisonError, time::Duration};

use super::{LaneCounter, Recorder};
use crate::monitoring::{Counts, Span, window::Windows};

impl Recorder {
    /// All calls of a window together, slot by slot, the oldest first: how long ago each slot began,
    /// how long it has lasted, and what was counted in it. Slots before the start are left out.
    #[must_use]
    pub fn history(&self, span: Span) -> Vec<(Duration, Duration, Counts)> {
        let now = self.uptime();
        let mut slots: BTreeMap<Duration, (Duration, Counts)> =
            Windows::slots(self.minute, span, now)
                .map(|(began, lasted)| (began, (lasted, Counts::default())))
                .collect();
        self.each(|_, counter| {
            for (began, counts) in counter.history(span, now) {
                if let Some((_, all)) = slots.get_mut(&began) {
                    all.add(&counts);
                }
            }
        });
        slots
            .into_iter()
            .map(|(began, (lasted, counts))| (now.saturating_sub(began), lasted, counts))
            .collect()
    }
}

impl LaneCounter {
    fn history(&self, span: Span, now: Duration) -> Vec<(Duration, Counts)> {
        let mut lately = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        self.advance(&mut lately, now);
        lately.seen.windows.history(span, now)
    }
}
