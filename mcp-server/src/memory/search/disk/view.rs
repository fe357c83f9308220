//! Reading the index: what one commit left, whatever happens to the files afterwards.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

use tantivy::{
    DocId, Index, IndexReader, ReloadPolicy, Searcher, SegmentReader, Term,
    columnar::Column,
    query::{
        Bm25StatisticsProvider, BooleanQuery, ConstScoreQuery, EnableScoring, Occur, Query as _,
        TermQuery,
    },
    schema::{Field, IndexRecordOption},
};

use super::{
    Watermark,
    lengths::Lengths,
    schema::{EXPIRES_AT, Fields, ROW},
};
use crate::memory::search::{Best, IndexError, Query, SearchIndex, Statistics};

/// The index on disk as of one commit.
#[derive(Clone)]
pub struct DiskView {
    index: Index,
    reader: IndexReader,
    searcher: Searcher,
    fields: Fields,
    columns: Vec<Columns>,
    lengths: Arc<Lengths>,
    watermark: Watermark,
}

impl fmt::Debug for DiskView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskView")
            .field("watermark", &self.watermark)
            .field("segments", &self.columns.len())
            .finish_non_exhaustive()
    }
}

/// What is kept beside the words of one segment.
#[derive(Clone)]
struct Columns {
    row: Column<i64>,
    expires_at: Column<i64>,
}

impl DiskView {
    /// Opens the index in `dir`. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// [`IndexError`] when it is not there, damaged, or made by another version.
    pub fn open(dir: &Path) -> Result<Self, IndexError> {
        unharmed(|| {
            let index = Index::open_in_dir(dir)?;
            let (schema, fields) = Fields::schema();
            if index.schema() != schema {
                return Err(unusable("it is of another version"));
            }
            Self::of(index, fields)
        })
    }

    pub(super) fn of(index: Index, fields: Fields) -> Result<Self, IndexError> {
        // Before the segments: they may be newer than the watermark says, never older.
        let watermark = watermark(&index)?;
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()?;
        let searcher = reader.searcher();
        let columns = columns(&searcher)?;
        Ok(Self {
            index,
            reader,
            searcher,
            fields,
            columns,
            lengths: Arc::default(),
            watermark,
        })
    }

    /// The same index as of its last commit.
    ///
    /// # Errors
    ///
    /// [`IndexError`] when it has been damaged or removed since.
    pub fn reloaded(&self) -> Result<Self, IndexError> {
        unharmed(|| {
            let watermark = watermark(&self.index)?;
            self.reader.reload()?;
            let searcher = self.reader.searcher();
            let columns = columns(&searcher)?;
            Ok(Self {
                searcher,
                columns,
                watermark,
                ..self.clone()
            })
        })
    }

    /// Whether the index has been committed to, or its segments merged, since this view was made.
    ///
    /// # Errors
    ///
    /// [`IndexError`] when that cannot be read.
    pub fn is_outdated(&self) -> Result<bool, IndexError> {
        let metas = self.index.load_metas()?;
        let segments = self.searcher.generation().segments();
        let same = metas.segments.len() == segments.len()
            && metas
                .segments
                .iter()
                .all(|meta| segments.get(&meta.id()) == Some(&meta.delete_opstamp()));
        Ok(!same || watermark(&self.index)? != self.watermark)
    }

    /// The change up to which it has read the store.
    #[must_use]
    pub fn watermark(&self) -> Watermark {
        self.watermark
    }

    /// How many memories it holds.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.searcher.num_docs()
    }

    /// Whether it holds no memory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads all files and compares them with their checksums.
    ///
    /// # Errors
    ///
    /// [`IndexError`] that names the damaged files.
    pub fn verify(&self) -> Result<(), IndexError> {
        let damaged = self.index.validate_checksum()?;
        match damaged.is_empty() {
            true => Ok(()),
            false => Err(unusable(&format!("damaged files: {damaged:?}"))),
        }
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    pub(super) fn fields(&self) -> Fields {
        self.fields
    }

    /// The latest row in the index, deleted ones included.
    pub(super) fn newest_row(&self) -> i64 {
        let columns = self.columns.iter();
        let newest = columns.map(|columns| columns.row.max_value()).max();
        newest.unwrap_or(i64::MIN)
    }

    fn words_field(&self, query: &Query) -> Field {
        match query.scope().1 {
            true => self.fields.namespace_words,
            false => self.fields.owner_words,
        }
    }

    /// Any of the words, all of the tags. A union of words alone is what can be cut short.
    fn query(&self, query: &Query) -> Box<dyn tantivy::query::Query> {
        let field = self.words_field(query);
        let mut words: Vec<Box<dyn tantivy::query::Query>> = query
            .words()
            .iter()
            .map(|word| {
                let term = Term::from_field_text(field, &format!("{}{word}", query.scope().0));
                Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)) as _
            })
            .collect();
        let words = match words.len() {
            // A union of one is not cut short; a single word is.
            1 => words.remove(0),
            _ => Box::new(BooleanQuery::union(words)),
        };
        if query.tags().is_empty() {
            return words;
        }
        let tags = query.tags().iter().map(|tag| {
            let term = Term::from_field_text(self.fields.tags, &format!("{}{tag}", query.owner()));
            let tag = TermQuery::new(term, IndexRecordOption::Basic);
            let tag: Box<dyn tantivy::query::Query> =
                Box::new(ConstScoreQuery::new(Box::new(tag), 0.0));
            (Occur::Must, tag)
        });
        Box::new(BooleanQuery::new(
            std::iter::once((Occur::Must, words)).chain(tags).collect(),
        ))
    }
}

impl SearchIndex for DiskView {
    fn count(&self, query: &Query, statistics: &mut Statistics) -> Result<(), IndexError> {
        let field = self.words_field(query);
        let scope = query.scope().0;
        for segment in self.searcher.segment_readers() {
            let words = segment.inverted_index(field)?;
            let term = Term::from_field_text(field, scope);
            let documents = words.doc_freq(&term)?;
            if documents == 0 {
                continue;
            }
            let length = self.lengths.of(segment, field, &words, &term)?;
            statistics.add_in_scope(u64::from(documents), length);
            for (number, word) in query.words().iter().enumerate() {
                let term = Term::from_field_text(field, &format!("{scope}{word}"));
                statistics.add_with_word(number, u64::from(words.doc_freq(&term)?));
            }
        }
        Ok(())
    }

    fn collect(
        &self,
        query: &Query,
        statistics: &Statistics,
        hidden: &dyn Fn(i64) -> bool,
        best: &mut Best<'_>,
    ) -> Result<(), IndexError> {
        let provider = Provider { query, statistics };
        let scoring = EnableScoring::enabled_from_statistics_provider(&provider, &self.searcher);
        let weight = self.query(query).weight(scoring)?;
        for (segment, columns) in self.searcher.segment_readers().iter().zip(&self.columns) {
            weight.for_each_pruning(best.threshold(), segment, &mut |doc, score| {
                if is_alive(segment, doc)
                    && columns
                        .expires_at
                        .first(doc)
                        .is_none_or(|at| at > query.now_ms())
                    && let Some(row) = columns.row.first(doc)
                    && !hidden(row)
                {
                    best.offer(score, row);
                }
                best.threshold()
            })?;
        }
        Ok(())
    }

    fn covers(&self, _row: i64) -> bool {
        // The lowest layer hides nothing: there is none below it.
        false
    }
}

fn is_alive(segment: &SegmentReader, doc: DocId) -> bool {
    segment
        .alive_bitset()
        .is_none_or(|alive| alive.is_alive(doc))
}

fn columns(searcher: &Searcher) -> Result<Vec<Columns>, IndexError> {
    let segments = searcher.segment_readers().iter();
    let columns = segments.map(|segment| {
        let fast = segment.fast_fields();
        Ok(Columns {
            row: fast.i64(ROW)?,
            expires_at: fast.i64(EXPIRES_AT)?,
        })
    });
    columns.collect()
}

fn watermark(index: &Index) -> Result<Watermark, IndexError> {
    let metas = index.load_metas()?;
    metas
        .payload
        .as_deref()
        .and_then(Watermark::from_payload)
        .ok_or_else(|| unusable("it is of another version, or was never finished"))
}

/// Damaged files can make the library panic; that is an error like any other.
fn unharmed<T>(open: impl FnOnce() -> Result<T, IndexError>) -> Result<T, IndexError> {
    let result = catch_unwind(AssertUnwindSafe(open));
    result.unwrap_or_else(|_| Err(unusable("damaged files: reading them panicked")))
}

fn unusable(reason: &str) -> IndexError {
    IndexError::Unusable {
        reason: reason.to_owned(),
    }
}

/// Ranks by the statistics of all layers, in the query's scope alone.
struct Provider<'a> {
    query: &'a Query,
    statistics: &'a Statistics,
}

impl Bm25StatisticsProvider for Provider<'_> {
    fn total_num_tokens(&self, _field: Field) -> tantivy::Result<u64> {
        Ok(self.statistics.words_in_scope())
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.statistics.documents_in_scope())
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        let word = term
            .serialized_value_bytes()
            .strip_prefix(self.query.scope().0.as_bytes())
            .unwrap_or_default();
        Ok(self.statistics.documents_with(self.query, word))
    }
}
