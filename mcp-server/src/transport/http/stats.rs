//! What the HTTP server counts.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use schemars::JsonSchema;
use serde::Serialize;

/// What the HTTP server has counted since its start. Clones share the counts.
#[derive(Debug, Clone, Default)]
pub struct Counters(Arc<Counts>);

macro_rules! counts {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        #[derive(Debug, Default)]
        struct Counts {
            $($name: AtomicU64,)+
        }

        /// The counts of an HTTP server at one moment.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
        #[non_exhaustive]
        pub struct HttpStats {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        impl Counters {
            /// The counts at this moment.
            #[must_use]
            pub fn snapshot(&self) -> HttpStats {
                HttpStats {
                    $($name: self.0.$name.load(Ordering::Relaxed),)+
                }
            }
        }
    };
}

counts! {
    /// Connections that were accepted.
    connections,
    /// Of these, those that are closed.
    connections_closed,
    /// Of these, those that were hung up because their client left an answer lying.
    slow_readers,
    /// Of these, those that were hung up because no head came in time.
    slow_heads,
    /// Requests refused for want of a token, or for a wrong one (401).
    unauthorized,
    /// Requests refused because their token does not allow them (403).
    out_of_scope,
    /// Requests refused because their caller asked too often (429).
    rate_limited,
    /// Requests refused for how deep they are nested (400).
    too_deep,
    /// Bodies refused for their size, as they came or unpacked (413).
    bodies_too_large,
    /// Bodies given up because they took too long to come (408).
    bodies_too_slow,
    /// Bodies of requests that were unpacked.
    bodies_unpacked,
    /// Answers that were packed.
    answers_packed,
    /// Bytes of those answers before.
    packed_bytes_in,
    /// Bytes of those answers after.
    packed_bytes_out,
}

/// What is counted one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Connection,
    ConnectionClosed,
    SlowReader,
    SlowHead,
    RateLimited,
    TooDeep,
    Unauthorized,
    OutOfScope,
    BodyTooLarge,
    BodyTooSlow,
    BodyUnpacked,
}

impl Counters {
    pub(super) fn count(&self, event: Event) {
        let counts = &*self.0;
        let count = match event {
            Event::Connection => &counts.connections,
            Event::ConnectionClosed => &counts.connections_closed,
            Event::SlowReader => &counts.slow_readers,
            Event::SlowHead => &counts.slow_heads,
            Event::RateLimited => &counts.rate_limited,
            Event::TooDeep => &counts.too_deep,
            Event::Unauthorized => &counts.unauthorized,
            Event::OutOfScope => &counts.out_of_scope,
            Event::BodyTooLarge => &counts.bodies_too_large,
            Event::BodyTooSlow => &counts.bodies_too_slow,
            Event::BodyUnpacked => &counts.bodies_unpacked,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// An answer of `plain` bytes became one of `packed`.
    pub(super) fn packed(&self, plain: usize, packed: usize) {
        self.0.answers_packed.fetch_add(1, Ordering::Relaxed);
        add(&self.0.packed_bytes_in, plain);
        add(&self.0.packed_bytes_out, packed);
    }
}

fn add(count: &AtomicU64, bytes: usize) {
    count.fetch_add(bytes as u64, Ordering::Relaxed);
}
