//! Stores values in the second tier, behind the callers' backs.

use super::{node::Node, store::RemoteError};
use crate::{
    RemoteEvent,
    sync::{AtomicU64, Ordering},
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, mpsc},
    time::Instant,
};

/// A record's key, itself, and its time to live.
pub(crate) type Write = (Bytes, Bytes, Duration);

/// Values of one round trip, and the bytes at which it takes no more.
const BATCH_MAX: usize = 64;
const BATCH_BYTES: usize = 1 << 20;

/// Values that wait to be stored.
pub(super) struct Writes {
    sender: mpsc::Sender<Write>,
    receiver: Mutex<mpsc::Receiver<Write>>,
    bytes_max: u64,
    /// Of those that wait or are on their way.
    bytes: AtomicU64,
}

impl Writes {
    pub(super) fn new(len_max: usize, bytes_max: usize) -> Self {
        let (sender, receiver) = mpsc::channel(len_max);
        Self {
            sender,
            receiver: Mutex::new(receiver),
            bytes_max: bytes_max as u64,
            bytes: AtomicU64::new(0),
        }
    }

    /// Whether there is room for it.
    pub(super) fn offer(&self, write: Write) -> bool {
        let bytes = bytes(&write);
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let taken = before + bytes <= self.bytes_max && self.sender.try_send(write).is_ok();
        if !taken {
            self.release(bytes);
        }
        taken
    }

    fn release(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

fn bytes((key, record, _): &Write) -> u64 {
    (key.len() + record.len()) as u64
}

/// What was taken out of the queue; its bytes are free once it is dropped.
struct Batch<'a> {
    writes: &'a Writes,
    records: Vec<Write>,
    bytes: u64,
}

impl Batch<'_> {
    fn add(&mut self, write: Write) {
        self.bytes += bytes(&write);
        self.records.push(write);
    }

    fn has_room(&self) -> bool {
        self.records.len() < BATCH_MAX && self.bytes < BATCH_BYTES as u64
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.writes.release(self.bytes);
    }
}

pub(super) async fn run(node: Arc<Node>) {
    let mut receiver = node.writes.receiver.lock().await;
    while let Some(first) = receiver.recv().await {
        let mut batch = Batch {
            writes: &node.writes,
            records: Vec::new(),
            bytes: 0,
        };
        batch.add(first);
        while batch.has_room()
            && let Ok(next) = receiver.try_recv()
        {
            batch.add(next);
        }
        let stored = store(&node, &batch.records).await;
        for _ in &batch.records {
            match stored {
                true => node.counters.writes.add_one(),
                false => node.counters.writes_lost.add_one(),
            }
        }
    }
}

async fn store(node: &Node, batch: &[Write]) -> bool {
    let Some(pass) = node.guard.admit() else {
        return false;
    };
    let began = Instant::now();
    let error = match node.within(node.store.set(batch)).await {
        Ok(()) => {
            // Later, and a look would have failed: the guard hears neither.
            if began.elapsed() <= node.config.deadline {
                pass.succeeded();
            }
            return true;
        }
        Err(error) => error,
    };
    match error {
        // It answers, which is what the guard asks.
        RemoteError::Refused { .. } => pass.succeeded(),
        _ => pass.failed(),
    }
    node.report(RemoteEvent::StoreFailed(&error));
    false
}
