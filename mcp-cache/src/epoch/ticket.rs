//! What a load takes before it reads its source.

/// The moment at which a load began; taken from
/// [`Store::ticket`](crate::Store::ticket) *before* the source is read, and good
/// for that store only.
///
/// Everything that is invalidated after it was taken refuses the value that the
/// load brings back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// Against tags, patterns, namespaces and clearing.
    pub(crate) epoch: u64,
    /// Against invalidations and writes of single keys. They have a counter of
    /// their own, so that they do not send every entry back to its tags.
    pub(crate) writes: u64,
    /// Against loads that began later and have landed already.
    pub(crate) order: u64,
}
