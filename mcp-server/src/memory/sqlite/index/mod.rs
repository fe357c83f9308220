//! The search index of this store: how searches see it in their snapshot, and its log as SQL.

mod changes;
mod snapshot;

pub(super) use changes::{Log, last, trim};
pub(super) use snapshot::search;
