//! Events pushed to whoever keeps histograms and logs.

use std::time::Duration;

/// Hears what a cache does, at the moment it does it. Every method is empty by
/// default. Hits are not reported: they are counted.
///
/// The methods run on the path of the call, without any lock held, and must not
/// block or panic.
pub trait Observer: Send + Sync {
    /// A load ended.
    fn on_load(&self, ended: LoadEnd, took: Duration) {
        let _ = (ended, took);
    }

    /// Something was invalidated by a call of the cache.
    fn on_invalidated(&self, what: Invalidated<'_>) {
        let _ = what;
    }

    /// A stale value was served instead of the error of its load.
    fn on_error_hidden(&self) {}

    /// A load in the background was not started, because there were as many as
    /// [`background_max`](crate::Config::background_max) allows.
    fn on_refresh_shed(&self) {}
}

/// How a load ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoadEnd {
    /// With a value that is in the cache now.
    Stored,
    /// With a value that was not kept: it says so itself, was invalidated while it
    /// was loaded, is too large, or a later one was there first.
    NotStored,
    /// With an error.
    Failed,
    /// At the hard deadline.
    TimedOut,
}

/// What was invalidated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Invalidated<'a> {
    /// One key; whether it was there.
    Key {
        /// Whether it was there.
        found: bool,
    },
    /// Tags.
    Tags(&'a [&'a str]),
    /// Keys that match a glob.
    Pattern(&'a str),
    /// A namespace.
    Namespace(&'a str),
    /// Everything.
    All,
}
