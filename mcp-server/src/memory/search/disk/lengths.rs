//! How long the memories of one scope are together, which the library keeps for all scopes only: an
//! average over everybody's would tell each owner something of the others.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tantivy::{
    DocSet, InvertedIndexReader, SegmentReader, TERMINATED, Term,
    index::SegmentId,
    schema::{Field, IndexRecordOption},
};

/// Lengths that are kept; beyond it all are forgotten, those of segments that are gone among them.
const KEPT_MAX: usize = 10_000;

/// What was counted once: a segment never changes, and what is deleted goes on counting in it.
#[derive(Debug, Default)]
pub(super) struct Lengths(Mutex<HashMap<(SegmentId, Term), u64>>);

impl Lengths {
    /// The words of all memories in `segment` that belong to the scope `term` of `field`. The first
    /// time it reads a byte for each of them.
    pub(super) fn of(
        &self,
        segment: &SegmentReader,
        field: Field,
        words: &InvertedIndexReader,
        term: &Term,
    ) -> tantivy::Result<u64> {
        let key = (segment.segment_id(), term.clone());
        if let Some(length) = self.kept().get(&key) {
            return Ok(*length);
        }
        let norms = segment.get_fieldnorms_reader(field)?;
        let mut length = 0;
        if let Some(mut postings) = words.read_postings(term, IndexRecordOption::Basic)? {
            while postings.doc() != TERMINATED {
                length += u64::from(norms.fieldnorm(postings.doc()));
                postings.advance();
            }
        }
        let mut kept = self.kept();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(key, length);
        Ok(length)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<(SegmentId, Term), u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
