//! The index may be lost, damaged, old or of another database: the store is the only truth.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use mcp_server::{
    call::Call,
    memory::{
        Found, Search,
        search::{IndexConfig, IndexReadiness},
        sqlite::{SqliteConfig, SqliteStore},
    },
    ports::{MemoryStore, Readiness},
};
use tempfile::TempDir;

use super::{
    index_dir,
    store::{eager, indexed},
};
use crate::{
    contract::{add, text},
    support::{database, process::folder, until},
};

const COUNT: usize = 60;

fn call() -> Call {
    Call::local()
}

fn open(dir: &Path) -> (Arc<dyn MemoryStore>, IndexReadiness) {
    let store = SqliteStore::open(dir, &eager()).unwrap();
    let readiness = store.index_readiness();
    (Arc::new(store), readiness)
}

/// A closed store with memories and a complete index on disk.
async fn closed_store() -> TempDir {
    let dir = folder();
    let (store, _) = open(dir.path());
    for n in 0..COUNT {
        add(&store, &call(), text(&format!("kept number{n}"))).await;
    }
    indexed(dir.path()).await;
    dir
}

/// Removes most of the log, as happens to a store that has been written to for long.
fn trim(dir: &Path) {
    let trimmed = database(dir)
        .execute(
            "DELETE FROM memory_change WHERE sequence < (SELECT max(sequence) FROM memory_change)",
            [],
        )
        .unwrap();
    assert!(trimmed > 0);
}

async fn search(store: &Arc<dyn MemoryStore>, query: &str) -> Found {
    let search = || Search {
        query: query.to_owned(),
        limit: Some(1_000),
        ..Search::default()
    };
    until("the index", async || {
        match store.search(&call(), search()).await {
            Ok(found) => Some(found),
            Err(error) => {
                assert_eq!(error.code(), "index_not_ready", "{error}");
                None
            }
        }
    })
    .await
}

/// Opens the store; everything is found, and nothing else.
async fn assert_whole(dir: &Path, count: usize) -> u64 {
    let (store, readiness) = open(dir);
    assert_eq!(search(&store, "kept").await.memories.len(), count);
    for n in [0, count / 2, count - 1] {
        let found = search(&store, &format!("number{n}")).await.memories;
        assert_eq!(found.len(), 1, "number{n}");
    }
    // And it is written on.
    let id = add(&store, &call(), text("one more")).await.id;
    let more = search(&store, "more").await.memories;
    assert!(more.iter().any(|hit| hit.memory.id == id));
    indexed(dir).await;
    readiness.check().await.unwrap();
    readiness.rebuilds()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| fs::metadata(path).unwrap().len() > 0)
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_missing_index_is_made_again() {
    let dir = closed_store().await;
    fs::remove_dir_all(index_dir(dir.path())).unwrap();
    // The log is whole: it is read again from its beginning.
    assert_eq!(assert_whole(dir.path(), COUNT).await, 0);
    fs::remove_dir_all(index_dir(dir.path())).unwrap();
    trim(dir.path());
    assert_eq!(assert_whole(dir.path(), COUNT).await, 1);
}

#[tokio::test]
async fn a_sound_index_is_gone_on_with() {
    let dir = closed_store().await;
    trim(dir.path());
    assert_eq!(assert_whole(dir.path(), COUNT).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_index_is_made_again() {
    let dir = closed_store().await;
    trim(dir.path());
    let good = folder();
    copy(&index_dir(dir.path()), &good.path().join("index"));
    let names = files(&good.path().join("index"));
    assert!(names.len() >= 5, "{names:?}");
    type Damage = fn(Vec<u8>) -> Vec<u8>;
    let damages: [Damage; 3] = [
        |_| Vec::new(),
        |bytes| bytes[..bytes.len() / 2].to_vec(),
        |mut bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0xff;
            bytes
        },
    ];
    let mut rebuilds = 0;
    for (number, name) in names.iter().enumerate() {
        let damage = damages[number % damages.len()];
        let index = index_dir(dir.path());
        fs::remove_dir_all(&index).unwrap();
        copy(&good.path().join("index"), &index);
        let file = index.join(name.file_name().unwrap());
        fs::write(&file, damage(fs::read(&file).unwrap())).unwrap();
        let dir = dir.path().to_owned();
        let store = folder();
        fs::copy(dir.join("memory.db"), store.path().join("memory.db")).unwrap();
        copy(&index, &index_dir(store.path()));
        rebuilds += assert_whole(store.path(), COUNT).await;
    }
    // All but the files that say nothing about memories.
    assert!(
        rebuilds + 2 >= names.len() as u64,
        "{rebuilds} rebuilds, {names:?}"
    );
}

#[tokio::test]
async fn an_index_that_is_behind_reads_what_it_missed() {
    let dir = closed_store().await;
    let old = folder();
    copy(&index_dir(dir.path()), &old.path().join("index"));
    for trimmed in [false, true] {
        {
            let (store, _) = open(dir.path());
            let before = search(&store, "kept").await.memories;
            let id = before[3].memory.id.clone();
            let content = before[3].memory.content.clone();
            let delete = mcp_server::memory::Delete { id };
            store.delete(&call(), delete).await.unwrap();
            add(&store, &call(), text(&content)).await;
            indexed(dir.path()).await;
        }
        fs::remove_dir_all(index_dir(dir.path())).unwrap();
        copy(&old.path().join("index"), &index_dir(dir.path()));
        if trimmed {
            trim(dir.path());
        }
        let rebuilds = assert_whole(dir.path(), COUNT).await;
        assert_eq!(rebuilds, u64::from(trimmed));
    }
}

#[tokio::test]
async fn an_index_of_another_history_is_made_again() {
    let dir = closed_store().await;
    let backup = folder();
    fs::copy(
        dir.path().join("memory.db"),
        backup.path().join("memory.db"),
    )
    .unwrap();
    let write = async |what: &str| {
        let (store, _) = open(dir.path());
        for n in 0..3 {
            add(&store, &call(), text(&format!("{what} {n}"))).await;
        }
        indexed(dir.path()).await;
    };
    write("forgotten").await;
    let index = folder();
    copy(&index_dir(dir.path()), &index.path().join("index"));
    // The backup is restored, and as much is written to it, with no index to see it.
    fs::copy(
        backup.path().join("memory.db"),
        dir.path().join("memory.db"),
    )
    .unwrap();
    write("written instead").await;
    fs::remove_dir_all(index_dir(dir.path())).unwrap();
    copy(&index.path().join("index"), &index_dir(dir.path()));

    assert_eq!(assert_whole(dir.path(), COUNT).await, 1);
    let (store, _) = open(dir.path());
    assert_eq!(search(&store, "forgotten").await.memories.len(), 0);
    assert_eq!(search(&store, "instead").await.memories.len(), 3);
}

#[tokio::test]
async fn a_database_of_the_first_version_is_taken_over() {
    let dir = folder();
    database(dir.path())
        .execute_batch(include_str!("version_1.sql"))
        .unwrap();
    assert_eq!(assert_whole(dir.path(), 3).await, 1);
    let database = database(dir.path());
    let words: u32 = database
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'memory_words%'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(words, 0, "the words are kept twice");
}

#[tokio::test]
async fn the_log_does_not_grow_for_ever() {
    let dir = folder();
    let config = SqliteConfig {
        index: IndexConfig {
            lag_max: 10.try_into().unwrap(),
            interval: Duration::from_millis(1),
            ..eager().index
        },
        ..SqliteConfig::default()
    };
    {
        let store: Arc<dyn MemoryStore> = Arc::new(SqliteStore::open(dir.path(), &config).unwrap());
        for n in 0..COUNT {
            add(&store, &call(), text(&format!("kept number{n}"))).await;
        }
        indexed(dir.path()).await;
    }
    // The first write of a life is followed by a sweep.
    {
        let store: Arc<dyn MemoryStore> = Arc::new(SqliteStore::open(dir.path(), &config).unwrap());
        search(&store, "kept").await;
        add(&store, &call(), text("kept number60")).await;
    }
    let entries: usize = database(dir.path())
        .query_row("SELECT count(*) FROM memory_change", [], |row| row.get(0))
        .unwrap();
    assert!((1..=11).contains(&entries), "{entries} entries");
    assert_eq!(assert_whole(dir.path(), COUNT + 1).await, 0);
}
