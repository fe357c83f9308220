//! Word that an upstream's tools may be others.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

/// How new a list of tools must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// One that is kept will do as long as it is fresh.
    Fresh,
    /// The upstream is asked: it may have said that something changed while nobody listened.
    Again,
    /// The same, and what is kept of its results is no longer good: it says that it changed, or
    /// somebody does.
    Anew,
}

/// What is heard of one upstream, for whoever keeps its list.
#[derive(Debug, Default)]
pub struct Changes {
    heard: Notify,
    /// A [`Wanted`], as a number.
    wanted: AtomicU8,
}

impl Changes {
    /// The upstream says that its tools are others.
    pub(super) fn told(&self) {
        self.note(Wanted::Anew);
    }

    /// For a while nobody listened.
    pub(super) fn missed(&self) {
        self.note(Wanted::Again);
    }

    fn note(&self, wanted: Wanted) {
        self.wanted.fetch_max(wanted as u8, Ordering::AcqRel);
        self.heard.notify_one();
    }

    /// Returns when something was heard that nobody has [taken](Self::take) yet. Cancel safe.
    pub(super) async fn heard(&self) {
        while self.wanted.load(Ordering::Acquire) == 0 {
            self.heard.notified().await;
        }
    }

    /// What the list must be like after all that was heard so far.
    pub(super) fn take(&self) -> Wanted {
        match self.wanted.swap(0, Ordering::AcqRel) {
            0 => Wanted::Fresh,
            1 => Wanted::Again,
            _ => Wanted::Anew,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn what_was_heard_is_kept_until_it_is_taken_and_the_most_counts() {
        let changes = Changes::default();
        assert_eq!(changes.heard().now_or_never(), None);
        changes.told();
        changes.missed();
        // Whoever waited for it may have been dropped in between.
        assert_eq!(changes.heard().now_or_never(), Some(()));
        assert_eq!(changes.heard().now_or_never(), Some(()));
        assert_eq!(changes.take(), Wanted::Anew);
        assert_eq!(changes.heard().now_or_never(), None);
        assert_eq!(changes.take(), Wanted::Fresh);
        changes.missed();
        assert_eq!(changes.take(), Wanted::Again);
    }
}
