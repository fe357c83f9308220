//! What an index costs besides time.

use std::{fs, io, path::Path, time::Duration};

use mcp_server::memory::search::DiskView;
use rusqlite::Connection;

/// Returns when the index on disk has read all that is in the store.
pub(crate) async fn caught_up(dir: &Path) -> Result<(), super::Failure> {
    let store = Connection::open(dir.join("memory.db"))?;
    let head = "SELECT max(sequence) FROM memory_change";
    let head: i64 = store.query_row(head, [], |row| row.get(0))?;
    loop {
        let upto = DiskView::open(&dir.join("search")).map(|disk| disk.watermark().sequence);
        if upto.is_ok_and(|upto| upto >= head) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The size of all files below `dir`.
pub(crate) fn bytes_below(dir: &Path) -> io::Result<f64> {
    let mut bytes = 0.0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += match metadata.is_dir() {
            true => bytes_below(&entry.path())?,
            false => metadata.len() as f64,
        };
    }
    Ok(bytes)
}

/// The memory this process holds, in MiB, without the files it has mapped.
pub(crate) fn resident() -> io::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    Ok(kib.unwrap_or(f64::NAN) / 1024.0)
}
