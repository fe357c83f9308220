//! Events pushed to whoever keeps histograms and logs.

use crate::RemoteError;
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

    /// Something happened to the second tier.
    fn on_remote(&self, event: RemoteEvent<'_>) {
        let _ = event;
    }

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

/// What happens to the second tier of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemoteEvent<'a> {
    /// The messages of the other processes are heard from now on.
    Connected,
    /// They are not heard any more.
    Disconnected,
    /// An attempt to hear them, or a heartbeat, failed.
    ConnectFailed(&'a RemoteError),
    /// An invalidation of another process was obeyed.
    Heard {
        /// Its number.
        number: u64,
    },
    /// Messages were or may have been missed: the first tier is emptied.
    Forgot,
    /// A look failed, and its value is loaded.
    LookFailed(&'a RemoteError),
    /// Values could not be stored.
    StoreFailed(&'a RemoteError),
    /// Invalidations could not be numbered; that is tried again.
    PublishFailed(&'a RemoteError),
    /// The record of this key was not what had been written.
    Corrupt(&'a [u8]),
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
