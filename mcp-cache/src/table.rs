//! One shard's table: an index of slots, the slots in chunks, and two rings that
//! decide who leaves.
//!
//! # Who leaves
//!
//! A newcomer goes on *probation*, a short queue. When room is needed, the
//! oldest on probation leaves if nobody asked for it since; its fingerprint
//! stays among the *ghosts* for a while. If somebody did ask, it moves to the
//! *protected* ring, and so does a newcomer whose ghost is remembered. The
//! protected ring may hold nearly everything; above that its hand, as in CLOCK,
//! passes those that were used (at most two passes for two uses) and removes
//! the first that was not. So a scan runs through probation and touches nothing
//! protected, and a loop larger than the table keeps most of what it has
//! instead of losing each entry just before its turn.
//!
//! The parts are known: the two rings and the memory of evictions are those of
//! 2Q (Johnson and Shasha, 1994) and CLOCK-Pro (Jiang, Chen and Zhang, 2005); S3-FIFO (Yang
//! et al., 2023) showed that plain queues are enough.
//!
//! # What a read touches
//!
//! A line of the index, the line of the slot's front, and the value's own count of
//! references. The fresh span, the last epoch and the uses are in that line,
//! beside key and value. Nothing is allocated, moved or relinked.

mod counters;
mod entry;
mod evict;
mod ghosts;
mod index;
mod limit;
mod reclaim;
mod ring;
mod shard;
mod slab;
mod trash;

use crate::epoch::TagSet;
pub(crate) use counters::{Counters, Reads};

pub(crate) use entry::{Entry, Head, Phase, Place, Tail, Uses};
pub(crate) use limit::Limit;
pub(crate) use shard::{Now, Shard};
pub(crate) use slab::{Front, Slot};
pub(crate) use trash::Trash;
