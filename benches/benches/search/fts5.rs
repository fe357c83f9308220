//! The rival: a contentless FTS5 table beside the rows, ranked by its BM25.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{Connection, named_params};
use tokio::sync::Semaphore;

use super::Failure;

/// Words are taken, rarest first, until they occur in so many memories.
const PRUNED_DOCUMENTS_MAX: u64 = 5_000;
const READERS: usize = 2;

/// Which words of a query are looked up.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pruning {
    /// All of them.
    None,
    /// The rarest, which finds less: a memory that holds only common words is not found.
    Rarest,
}

/// A database with readers of its own.
#[derive(Debug)]
pub(crate) struct Fts5 {
    writer: Arc<Mutex<Connection>>,
    readers: Arc<Mutex<Vec<Connection>>>,
    free: Semaphore,
}

impl Fts5 {
    /// An empty one in a new file.
    pub(crate) fn create(file: &Path) -> rusqlite::Result<Self> {
        let writer = connect(file)?;
        writer.execute_batch(
            "CREATE TABLE memory (row INTEGER PRIMARY KEY, owner TEXT, content TEXT, tags TEXT);
             CREATE VIRTUAL TABLE words USING fts5 (content, content = '', contentless_delete = 1,
                 tokenize = 'porter unicode61 remove_diacritics 2');
             CREATE VIRTUAL TABLE vocabulary USING fts5vocab (words, row);
             CREATE TRIGGER memory_insert AFTER INSERT ON memory BEGIN
                 INSERT INTO words (rowid, content) VALUES (new.row, new.content);
             END;",
        )?;
        let readers = (0..READERS)
            .map(|_| connect(file))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            writer: Arc::new(Mutex::new(writer)),
            readers: Arc::new(Mutex::new(readers)),
            free: Semaphore::new(READERS),
        })
    }

    /// Stores texts in one durable transaction.
    pub(crate) async fn add(&self, texts: Vec<String>) -> Result<(), Failure> {
        let writer = self.writer.clone();
        tokio::task::spawn_blocking(move || {
            let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = writer.transaction()?;
            for text in texts {
                transaction
                    .prepare_cached(
                        "INSERT INTO memory (owner, content, tags) VALUES ('local', ?, '[]')",
                    )?
                    .execute([text])?;
            }
            Ok(transaction.commit()?)
        })
        .await?
    }

    /// How many of the ten best were found.
    pub(crate) async fn search(&self, query: String, pruning: Pruning) -> Result<usize, Failure> {
        let _permit = self.free.acquire().await?;
        let readers = self.readers.clone();
        tokio::task::spawn_blocking(move || {
            let take = || readers.lock().unwrap_or_else(PoisonError::into_inner);
            let reader = take().pop().ok_or("no reader is free")?;
            let found = find(&reader, &query, pruning);
            take().push(reader);
            Ok(found?)
        })
        .await?
    }

    /// The size of what belongs to the words.
    pub(crate) async fn words_mib(&self) -> Result<f64, Failure> {
        let writer = self.writer.clone();
        tokio::task::spawn_blocking(move || {
            let writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            let sql = "SELECT sum(length(block)) / 1048576.0 FROM words_data";
            Ok(writer.query_row(sql, [], |row| row.get(0))?)
        })
        .await?
    }
}

fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    Ok(connection)
}

fn find(db: &Connection, query: &str, pruning: Pruning) -> rusqlite::Result<usize> {
    let words: Vec<_> = query.split(' ').map(str::to_owned).collect();
    let words = match pruning {
        Pruning::None => words,
        Pruning::Rarest => rarest(db, words)?,
    };
    let words: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
    let mut statement = db.prepare_cached(
        "SELECT m.content, -bm25(words) FROM words JOIN memory m ON m.row = words.rowid
          WHERE words MATCH :words AND m.owner = 'local' ORDER BY rank LIMIT 10",
    )?;
    let mut rows = statement.query(named_params! {":words": words.join(" OR ")})?;
    let mut found = 0;
    while let Some(row) = rows.next()? {
        std::hint::black_box(row.get::<_, String>(0)?);
        found += 1;
    }
    Ok(found)
}

fn rarest(db: &Connection, words: Vec<String>) -> rusqlite::Result<Vec<String>> {
    let mut count = db.prepare_cached("SELECT doc FROM vocabulary WHERE term = ?")?;
    let mut counted = Vec::with_capacity(words.len());
    for word in words {
        let documents: u64 = count.query_row([&word], |row| row.get(0)).unwrap_or(0);
        counted.push((documents, word));
    }
    counted.sort();
    let mut sum = 0;
    let kept = counted
        .into_iter()
        .enumerate()
        .take_while(|(place, (documents, _))| {
            sum += documents;
            *place == 0 || sum <= PRUNED_DOCUMENTS_MAX
        });
    Ok(kept.map(|(_, (_, word))| word).collect())
}
