//! Writing the index: changes in, commits out. One writer at a time; its caller sees to that.

use std::{fs, io, path::Path};

use tantivy::{
    Index, IndexWriter, Term,
    indexer::{IndexWriterOptions, LogMergePolicy},
};

use super::{DiskView, Watermark, schema::Fields};
use crate::memory::search::{Change, IndexError};

/// What is collected in memory before it is written as a segment: the least that the library takes.
const MEMORY_BYTES: usize = 15_000_000;
/// So many segments of a size are merged into one: fewer make searches faster and writes dearer.
const SEGMENTS_PER_MERGE: usize = 6;
/// A segment with a larger share of deleted memories is merged, so that they leave the counts.
const DELETED_SHARE_MAX: f32 = 0.2;

/// Writes the index. Dropping it leaves the last commit, and waits for merges that are under way.
pub struct DiskWriter {
    index: Index,
    /// `None` only while being dropped.
    writer: Option<IndexWriter>,
    fields: Fields,
    /// No memory of a later row is in the index, so that new ones need not be looked for.
    newest_row: i64,
}

impl std::fmt::Debug for DiskWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskWriter").finish_non_exhaustive()
    }
}

impl DiskWriter {
    /// Goes on with the index that `view` shows.
    ///
    /// # Errors
    ///
    /// [`IndexError`] when another writer is at work, or the files are damaged.
    pub fn open(view: &DiskView) -> Result<Self, IndexError> {
        Self::of(view.index().clone(), view.fields(), view.newest_row())
    }

    /// Begins an empty index in `dir`, in place of whatever is there.
    ///
    /// # Errors
    ///
    /// [`IndexError`] when `dir` cannot be emptied or written.
    pub fn create(dir: &Path) -> Result<Self, IndexError> {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir)?;
        let (schema, fields) = Fields::schema();
        Self::of(Index::create_in_dir(dir, schema)?, fields, i64::MIN)
    }

    fn of(index: Index, fields: Fields, newest_row: i64) -> Result<Self, IndexError> {
        Fields::register(&index);
        let options = IndexWriterOptions::builder()
            .memory_budget_per_thread(MEMORY_BYTES)
            .num_worker_threads(1)
            .num_merge_threads(1)
            .build();
        let writer = index.writer_with_options(options)?;
        let mut policy = LogMergePolicy::default();
        policy.set_min_num_segments(SEGMENTS_PER_MERGE);
        policy.set_del_docs_ratio_before_merge(DELETED_SHARE_MAX);
        writer.set_merge_policy(Box::new(policy));
        Ok(Self {
            index,
            writer: Some(writer),
            fields,
            newest_row,
        })
    }

    /// Takes up a change; it can be found after the next commit.
    ///
    /// # Errors
    ///
    /// [`IndexError`]; what was not committed is then to be applied again, by a new writer.
    pub fn apply(&mut self, change: &Change) -> Result<(), IndexError> {
        if change.row <= self.newest_row {
            let row = Term::from_field_i64(self.fields.row, change.row);
            self.writer().delete_term(row);
        }
        if let Some(document) = &change.document {
            let document = self.fields.document(change.row, document);
            self.writer().add_document(document)?;
            self.newest_row = self.newest_row.max(change.row);
        }
        Ok(())
    }

    /// Makes everything applied so far durable, all at once, and shows it.
    ///
    /// # Errors
    ///
    /// [`IndexError`]; the index is then as it was after the commit before.
    pub fn commit(&mut self, watermark: Watermark) -> Result<(), IndexError> {
        let mut commit = writer_of(&mut self.writer).prepare_commit()?;
        commit.set_payload(&watermark.to_payload());
        commit.commit()?;
        Ok(())
    }

    /// Shows the last commit.
    ///
    /// # Errors
    ///
    /// [`IndexError`] when there is none yet, or the files are damaged.
    pub fn view(&self) -> Result<DiskView, IndexError> {
        DiskView::of(self.index.clone(), self.fields)
    }

    fn writer(&self) -> &IndexWriter {
        self.writer.as_ref().expect("present until dropped")
    }
}

fn writer_of(writer: &mut Option<IndexWriter>) -> &mut IndexWriter {
    writer.as_mut().expect("present until dropped")
}

impl Drop for DiskWriter {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            // Merges that went on by themselves would write into the folder of the next index. One
            // that fails leaves the last commit as it was.
            let _ = writer.wait_merging_threads();
        }
    }
}
