//! What an index reads of its store.

use super::super::{Change, IndexError, Watermark};

/// A store's rows and the log of their changes. Every change has a number, one more than the change
/// before it, in the order in which they became visible. The methods may block.
pub trait ChangeLog {
    /// The last change; 0 before the first.
    ///
    /// # Errors
    ///
    /// [`IndexError::Io`] if the store does not answer; so do all methods.
    fn head(&self) -> Result<i64, IndexError>;

    /// The earliest change that the log still holds; 1 when it is empty.
    ///
    /// # Errors
    ///
    /// As [`head`](Self::head).
    fn first(&self) -> Result<i64, IndexError>;

    /// The watermark of whoever has read up to `sequence`; `None` when the log does not hold it.
    ///
    /// # Errors
    ///
    /// As [`head`](Self::head).
    fn watermark(&self, sequence: i64) -> Result<Option<Watermark>, IndexError>;

    /// The changes after `sequence` with their numbers, in order, at most `len_max`. A row comes in
    /// its present state, however often it has changed.
    ///
    /// # Errors
    ///
    /// As [`head`](Self::head).
    fn after(&self, sequence: i64, len_max: u32) -> Result<Vec<(i64, Change)>, IndexError>;

    /// The rows after `row`, in order, at most `len_max`.
    ///
    /// # Errors
    ///
    /// As [`head`](Self::head).
    fn scan(&self, row: i64, len_max: u32) -> Result<Vec<Change>, IndexError>;

    /// How many memories there are.
    ///
    /// # Errors
    ///
    /// As [`head`](Self::head).
    fn rows(&self) -> Result<u64, IndexError>;
}
