//! What a load brings to those who wait for it.

use crate::{Tag, Ticket, failures::Failure};
use std::time::Duration;

pub(crate) struct Outcome<V> {
    pub(crate) ending: Ending<V>,
    /// When the load began.
    pub(crate) ticket: Ticket,
    /// What its value is invalidated by; `None` where that is not known.
    pub(crate) tags: Option<Box<[Tag]>>,
}

pub(crate) enum Ending<V> {
    Loaded(V),
    Failed(Failure),
    TimedOut { limit: Duration },
}
