//! Puts the memories of a trace into a server.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    client::Client,
    error::BenchError,
    history::{Id, Receipt},
    trace::{Trace, namespace_name},
};

/// Memories stored by one call.
const BATCH_LEN: u32 = 50;
/// While one batch is written, the next one is made.
const CONNECTIONS: u32 = 2;
/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);
/// How long a refused batch is left alone.
const RETRY_AFTER: Duration = Duration::from_millis(20);

#[derive(Deserialize)]
struct Results {
    results: Vec<ItemResult>,
}

#[derive(Deserialize)]
struct ItemResult {
    ok: Receipt,
}

/// Stores the memories that a trace begins with, and returns their ids by number. Now and then
/// tells how many there are.
///
/// # Errors
///
/// As for a call; a batch that is refused because the server is busy, or not answered in time, is
/// sent again.
pub async fn fill(
    address: SocketAddr,
    trace: &Arc<Trace>,
    mut progress: impl FnMut(usize),
) -> Result<Arc<[Id]>, BenchError> {
    let memories = trace.settings().memories;
    let mut running = JoinSet::new();
    let mut next = 0;
    let mut ids = vec![Id(0); memories as usize];
    let mut told = Instant::now();
    let mut done = 0;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(Client::connect(address, "mcp-server bench").await?);
    }
    loop {
        while next < memories
            && let Some(client) = clients.pop()
        {
            let end = memories.min(next + BATCH_LEN);
            running.spawn(store(client, trace.clone(), next..end));
            next = end;
        }
        let Some(stored) = running.join_next().await else {
            return Ok(ids.into());
        };
        let stored = stored.map_err(std::io::Error::other);
        let (client, first, batch) = stored.map_err(BenchError::io("filling"))??;
        clients.push(client);
        done += batch.len();
        ids[first..first + batch.len()].copy_from_slice(&batch);
        if told.elapsed() >= PROGRESS_EVERY {
            told = Instant::now();
            progress(done);
        }
    }
}

async fn store(
    mut client: Client,
    trace: Arc<Trace>,
    memories: std::ops::Range<u32>,
) -> Result<(Client, usize, Vec<Id>), BenchError> {
    let first = memories.start as usize;
    let operations: Vec<_> = memories
        .map(|memory| {
            let (namespace, content) = trace.seeded(memory);
            let data = json!({
                "content": trace.text(content),
                "namespace": namespace_name(namespace),
            });
            json!({"type": "add", "data": data})
        })
        .collect();
    let arguments = json!({ "operations": operations });
    let tool = "memory_batch";
    loop {
        let answer = client.call::<Results>(tool, &arguments).await?;
        match answer.result {
            Ok(results) => {
                let ids = results.results.iter().map(|item| item.ok.id).collect();
                return Ok((client, first, ids));
            }
            // Of a batch that was stored all the same, nothing is stored again.
            Err(code) if code == "overloaded" || code == "outcome_unknown" => {
                sleep(RETRY_AFTER).await;
            }
            Err(code) => {
                let tool = tool.to_owned();
                return Err(BenchError::Refused { tool, code });
            }
        }
    }
}

/// Copies a data folder whose server is stopped.
///
/// # Errors
///
/// When the disk is full, or the like.
pub async fn copy(from: &Path, to: &Path) -> Result<(), BenchError> {
    let (from, to) = (from.to_owned(), to.to_owned());
    tokio::task::spawn_blocking(move || copy_folder(&from, &to))
        .await
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(BenchError::io("cannot copy the data"))
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_folder(&from, &to)?;
        } else if kind.is_file() {
            std::fs::copy(&from, &to)?;
        }
    }
    Ok(())
}
