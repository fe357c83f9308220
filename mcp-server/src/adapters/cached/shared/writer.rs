//! Stores in the background what was read, so that no call waits for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use super::{
    super::{copies::Copies, follower::Since, standing::Standing},
    Record, Shared, name,
};
use crate::memory::Memory;

/// How long storing may take.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);
/// The most answers that are stored at once.
const LEN_MAX: usize = 64;
/// The most bytes of text that wait.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// An answer that was read from the store.
pub(in super::super) enum Offer {
    /// A memory, and the moment before it was read.
    Memory {
        key: String,
        since: Since,
        memory: Arc<Memory>,
    },
    /// A search, and the moment before it was run.
    Search {
        key: String,
        since: Since,
        standing: Arc<Standing>,
    },
}

impl Offer {
    fn bytes(&self) -> usize {
        match self {
            Self::Memory { memory, .. } => memory.content.len(),
            Self::Search { standing, .. } => standing.bytes(),
        }
    }
}

/// The task that stores, and its owner: it ends when this is dropped.
pub(in super::super) struct Writer {
    queue: mpsc::Sender<Offer>,
    bytes: Arc<AtomicUsize>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Writer {
    /// Begins, on the present runtime.
    pub(in super::super) fn start(
        shared: Arc<Shared>,
        copies: Arc<Copies>,
        queue_len_max: usize,
    ) -> Self {
        let (queue, offers) = mpsc::channel(queue_len_max);
        let bytes = Arc::<AtomicUsize>::default();
        let task = tokio::spawn(write(shared.clone(), copies, offers, bytes.clone()));
        Self {
            queue,
            bytes,
            shared,
            task,
        }
    }

    /// Takes an answer if there is room; nobody waits for it.
    pub(in super::super) fn offer(&self, offer: Offer) {
        let bytes = offer.bytes();
        let waiting = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if waiting + bytes > BYTES_MAX || self.queue.try_send(offer).is_err() {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.shared.counters.dropped(1);
        }
    }
}

async fn write(
    shared: Arc<Shared>,
    copies: Arc<Copies>,
    mut offers: mpsc::Receiver<Offer>,
    bytes: Arc<AtomicUsize>,
) {
    let mut waiting = Vec::with_capacity(LEN_MAX);
    loop {
        // Also at the start: what others have kept is of use only to who knows what came since.
        let known = copies.look_back().await;
        if let Err(error) = &known {
            tracing::debug!(%error, "the changes cannot be read");
        }
        if offers.recv_many(&mut waiting, LEN_MAX).await == 0 {
            return;
        }
        let len = waiting.len() as u64;
        let offered: usize = waiting.iter().map(Offer::bytes).sum();
        bytes.fetch_sub(offered, Ordering::Relaxed);
        // After they were read: so what they hold is known to be no newer than this place.
        let records: Vec<_> = match copies.follow().await {
            Ok(_) => waiting
                .drain(..)
                .filter_map(|offer| shared.record(offer, &copies))
                .collect(),
            Err(_) => Vec::new(),
        };
        waiting.clear();
        shared.counters.dropped(len - records.len() as u64);
        if !records.is_empty() {
            shared.keep(&records).await;
        }
    }
}

impl Shared {
    /// An answer as it is stored, at the place that has been followed to by now. `None` where it has
    /// changed since it was read.
    fn record(&self, offer: Offer, copies: &Copies) -> Option<(Bytes, Bytes, Duration)> {
        let now_ms = Timestamp::now().as_millisecond();
        let until_ms = |left: Duration| {
            now_ms.saturating_add(i64::try_from(left.as_millis()).unwrap_or(i64::MAX))
        };
        let (name, bytes, left) = match offer {
            Offer::Memory { key, since, memory } => {
                // Read between two moments at which it was the same, so it is what it was then.
                let at = copies.follower.with_past(|view| {
                    let same = view.follows(since) && view.past.stands(&memory.id, since.place);
                    same.then_some(view.since.place)
                })?;
                let expires_ms = memory.expires_at.map(|at| at.as_millisecond());
                let lives = expires_ms.map(|at| u64::try_from(at - now_ms).unwrap_or(0));
                let left = lives.map_or(self.ttl, |ms| self.ttl.min(Duration::from_millis(ms)));
                let name = name(&key);
                let record = Record::new(key, at, until_ms(left), memory);
                (name, record.encode()?, left)
            }
            Offer::Search {
                key,
                since,
                standing,
            } => {
                let (at, standing) = copies.follower.with_past(|view| {
                    let standing = match view.follows(since) {
                        true => standing.follow(view.recent, copies.rules)?,
                        false => return None,
                    };
                    Some((view.since.place, standing))
                })?;
                // What was searched is exact at its own place only.
                if standing.upto() != at.sequence {
                    return None;
                }
                let left = standing.until().saturating_duration_since(Instant::now());
                let name = name(&key);
                let record = Record::new(key, at, until_ms(left), standing.stored());
                (name, record.encode()?, left)
            }
        };
        let fits = bytes.len() <= self.value_bytes_max && left >= Duration::from_millis(1);
        fits.then(|| (name, bytes.into(), left))
    }
}
