//! The search index: what every layer of it must do, and that it never tells anything but what is
//! in the store.

mod layers;
mod model;
mod recovery;
mod store;

use std::path::Path;

use mcp_server::memory::{
    Owner, Search,
    search::{
        self, Change, DiskView, DiskWriter, Document, Overlay, Query, SearchIndex, Watermark,
    },
};
use tempfile::TempDir;

use crate::support::process::folder;

/// A moment after which nothing has expired but what says so.
const NOW: i64 = 1_000;

fn document(owner: &str, namespace: &str, content: &str) -> Document {
    Document {
        owner: owner.to_owned(),
        namespace: namespace.to_owned(),
        content: content.to_owned(),
        tags: Vec::new(),
        expires_at: None,
    }
}

fn put(row: i64, document: Document) -> Change {
    Change {
        row,
        document: Some(document),
    }
}

fn remove(row: i64) -> Change {
    Change {
        row,
        document: None,
    }
}

/// A layer, and the folder it lives in.
struct Layer {
    index: Box<dyn SearchIndex>,
    _dir: Option<TempDir>,
}

/// Every kind of layer, made of the same changes.
fn every_kind(changes: &[Change]) -> Vec<(&'static str, Layer)> {
    let mut overlay = Overlay::default();
    for change in changes {
        overlay.apply(change.clone());
    }
    let overlay = Layer {
        index: Box::new(overlay),
        _dir: None,
    };
    // As one commit, and as a commit for each change.
    let (disk, dir) = on_disk(changes, usize::MAX);
    let once = Layer {
        index: Box::new(disk),
        _dir: Some(dir),
    };
    let (disk, dir) = on_disk(changes, 1);
    let often = Layer {
        index: Box::new(disk),
        _dir: Some(dir),
    };
    vec![
        ("memory", overlay),
        ("disk", once),
        ("disk, many commits", often),
    ]
}

fn on_disk(changes: &[Change], commit_len: usize) -> (DiskView, TempDir) {
    let dir = folder();
    let mut writer = DiskWriter::create(&dir.path().join("search")).unwrap();
    for (number, change) in changes.iter().enumerate() {
        writer.apply(change).unwrap();
        if (number + 1).is_multiple_of(commit_len) {
            writer.commit(mark(number)).unwrap();
        }
    }
    writer.commit(mark(changes.len())).unwrap();
    (writer.view().unwrap(), dir)
}

fn mark(sequence: usize) -> Watermark {
    Watermark {
        sequence: i64::try_from(sequence).unwrap(),
        stamp: 42,
    }
}

fn query(owner: &str, namespace: Option<&str>, words: &str, tags: &[&str], limit: u32) -> Query {
    let search = Search {
        query: words.to_owned(),
        namespace: namespace.map(str::to_owned),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        limit: Some(limit),
    };
    Query::new(&Owner::new(owner), &search, NOW).unwrap()
}

/// The rows that are found, best first.
fn rows(layers: &[&dyn SearchIndex], query: &Query) -> Vec<i64> {
    let matches = search::search(layers, query, &|| false).unwrap();
    assert!(
        matches.is_sorted_by(|a, b| a.score >= b.score),
        "{matches:?}"
    );
    assert!(matches.iter().all(|found| found.score > 0.0), "{matches:?}");
    matches.iter().map(|found| found.row).collect()
}

fn sorted(mut rows: Vec<i64>) -> Vec<i64> {
    rows.sort_unstable();
    rows
}

fn index_dir(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join("search")
}
