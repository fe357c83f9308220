//! Memories that move between stores as they are, with their ids, times and versions.

use super::Memory;

/// A stretch of everything an owner has.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The memories, oldest first.
    pub memories: Vec<Memory>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<Cursor>,
}

/// A place between two memories of one store. It stays valid while memories come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub(crate) i64);

/// What became of a memory that was put into a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Restored {
    /// It was not there and is now.
    Added,
    /// It took the place of an older version of itself.
    Replaced,
    /// The same or a newer version was there and stays.
    Kept,
    /// It has expired and was left out.
    Expired,
    /// Another owner's memory has its id; it was left out.
    Taken,
}
