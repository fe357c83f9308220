//! What a load brings, and what a caller gets.

use crate::{CacheTags, Class};
use std::{borrow::Cow, time::Duration};

/// A value and what is decided with it, possibly only after it was loaded: its
/// tags, its namespace, its class, its time to live. A bare value is one without
/// tags, in the class that was asked for.
///
/// ```
/// use mcp_cache::Loaded;
/// use std::time::Duration;
///
/// let agents = Loaded::new(vec!["a", "b"])
///     .tags(["agents", "swarm_status"])
///     .ttl(Duration::from_secs(30));
/// let plain: Loaded<u32> = 7.into();
/// # let _ = (agents, plain);
/// ```
#[derive(Debug, Clone)]
pub struct Loaded<V> {
    pub(crate) value: V,
    pub(crate) tags: CacheTags,
    pub(crate) namespace: Option<Cow<'static, str>>,
    pub(crate) class: Option<Class>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) kept: bool,
}

impl<V> Loaded<V> {
    /// A value without tags.
    pub fn new(value: V) -> Self {
        Self {
            value,
            tags: CacheTags::NONE,
            namespace: None,
            class: None,
            ttl: None,
            kept: true,
        }
    }

    /// What it is invalidated by, besides its key. Up to four cost the cache no
    /// allocation.
    #[must_use]
    pub fn tags(mut self, tags: impl Into<CacheTags>) -> Self {
        self.tags = tags.into();
        self
    }

    /// The namespace it belongs to.
    #[must_use]
    pub fn namespace(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.namespace = Some(name.into());
        self
    }

    /// Another class than the one that was asked for: a value that says "there
    /// is no such thing" may be kept shorter.
    #[must_use]
    pub fn class(mut self, class: Class) -> Self {
        self.class = Some(class);
        self
    }

    /// A time to live instead of its class's; the class's jitter shortens it.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// For those who asked at once, and not for the cache: an answer that says
    /// that something failed.
    #[must_use]
    pub fn not_kept(mut self) -> Self {
        self.kept = false;
        self
    }
}

impl<V> From<V> for Loaded<V> {
    fn from(value: V) -> Self {
        Self::new(value)
    }
}

/// A value, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer<V> {
    /// The value.
    pub value: V,
    /// Where it comes from.
    pub source: Source,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// It was in the cache, and fresh.
    Hit,
    /// It was in the cache, past its time to live; not invalidated.
    Stale(StaleReason),
    /// It was in the second tier.
    Remote,
    /// This caller loaded it.
    Loaded,
    /// Another caller was loading it.
    Shared,
    /// This caller loaded it past the cache.
    Bypassed,
}

/// Why a stale value was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StaleReason {
    /// It is being loaded anew in the background.
    Revalidating,
    /// Its load failed, or panicked in the background.
    LoadFailed,
    /// Its load passed the soft deadline, and goes on if there is room for it.
    LoadSlow,
    /// Its load failed, and it was even invalidated before: only a class with
    /// [`invalidated_on_error`](crate::ClassConfig::invalidated_on_error) does that.
    Invalidated,
}

impl<V> Answer<V> {
    pub(crate) fn new(value: V, source: Source) -> Self {
        Self { value, source }
    }

    /// Whether the value is past its time to live.
    pub fn is_stale(&self) -> bool {
        matches!(self.source, Source::Stale(_))
    }

    /// Whether the value was in the cache, or in its second tier.
    pub fn is_cached(&self) -> bool {
        matches!(self.source, Source::Hit | Source::Remote | Source::Stale(_))
    }
}
