//! What an answer rests on.

use super::{Match, Statistics};

/// What the answer to a search rests on, for whoever keeps the answer and follows what is changed
/// afterwards.
#[derive(Debug, Clone, PartialEq)]
pub struct Basis {
    /// The last change of the store that the search has seen.
    pub upto: i64,
    /// The best matches, best first; those in the answer are the first of them.
    pub matches: Vec<Match>,
    /// The counts by which they were ranked.
    pub statistics: Statistics,
}
