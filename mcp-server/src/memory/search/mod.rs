//! Finding memories by their words: an index derived from a store, which can lose it and make it
//! again.
//!
//! An index is made of layers, newest first: what has just been written is held in memory
//! ([`Overlay`]), the rest on disk ([`DiskView`]). A layer that knows a newer state of a memory hides
//! what the layers below it say of that memory, and all layers are ranked by the same statistics, so
//! that it cannot be told from an answer which layer a memory was found in.
//!
//! No layer can answer with a memory of another owner: the words are kept per owner, and per owner
//! and namespace, and a query looks up those of its own scope only.

mod analysis;
mod basis;
mod best;
mod disk;
mod document;
mod live;
mod overlay;
mod query;
mod recent;
mod statistics;
mod words;

pub(crate) use analysis::{Purpose, each_word};
pub use basis::Basis;
pub use best::{Best, Match};
pub use disk::{DiskView, DiskWriter, Watermark};
pub use document::{Change, Document};
pub use live::{ChangeLog, IndexConfig, IndexReadiness};
pub(in crate::memory) use live::{Indexer, Layers, LiveIndex};
pub use overlay::Overlay;
pub use query::Query;
pub(crate) use query::distinct_words;
pub use recent::{News, Recent};
pub use statistics::Statistics;
pub use words::Words;

/// One layer of an index.
pub trait SearchIndex: Send + Sync {
    /// Adds what this layer knows of the query's words to the statistics.
    ///
    /// # Errors
    ///
    /// [`IndexError`], after which the layer is to be made again.
    fn count(&self, query: &Query, statistics: &mut Statistics) -> Result<(), IndexError>;

    /// Offers the memories that hold any of the query's words and all of its tags, have not
    /// expired, and are not `hidden` by a newer layer; at least those that `best` would keep.
    ///
    /// # Errors
    ///
    /// [`IndexError`], after which the layer is to be made again.
    fn collect(
        &self,
        query: &Query,
        statistics: &Statistics,
        hidden: &dyn Fn(i64) -> bool,
        best: &mut Best<'_>,
    ) -> Result<(), IndexError>;

    /// Whether this layer knows the newest state of the memory in `row`, be it that it is gone.
    fn covers(&self, row: i64) -> bool;
}

/// Finds the best matches in all layers, newest first. `stop` is asked now and then; once it says
/// so, the search ends with what it has.
///
/// # Errors
///
/// [`IndexError`] of the first layer that fails.
pub fn search(
    layers: &[&dyn SearchIndex],
    query: &Query,
    stop: &dyn Fn() -> bool,
) -> Result<Vec<Match>, IndexError> {
    ranked(layers, query, stop).map(|(matches, _)| matches)
}

/// As [`search`], with the statistics by which the matches were ranked.
///
/// # Errors
///
/// [`IndexError`] of the first layer that fails.
pub fn ranked(
    layers: &[&dyn SearchIndex],
    query: &Query,
    stop: &dyn Fn() -> bool,
) -> Result<(Vec<Match>, Statistics), IndexError> {
    let mut statistics = Statistics::new(query.words().len());
    for layer in layers {
        layer.count(query, &mut statistics)?;
    }
    let mut best = Best::new(query.limit(), stop);
    if statistics.has_matches() {
        for (depth, layer) in layers.iter().enumerate() {
            let newer = &layers[..depth];
            let hidden = |row| newer.iter().any(|layer| layer.covers(row));
            layer.collect(query, &statistics, &hidden, &mut best)?;
        }
    }
    Ok((best.into_sorted(), statistics))
}

/// Why an index cannot be used. It is derived: the way out is always to make it again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The index is not there, was made by another version, or its files are damaged.
    #[error("the search index cannot be used: {reason}")]
    Unusable {
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system refused a file.
    #[error("the search index cannot be read or written: {0}")]
    Io(#[from] std::io::Error),
    /// The index library failed.
    #[error("the search index failed: {0}")]
    Engine(#[from] tantivy::TantivyError),
}
