//! Looks that travel together.
//!
//! Whoever asks while few others do goes at once, by itself. Those who come while
//! these are away are taken along by a carrier, all that wait in one command, so
//! that a busy tier costs less for each and an idle one costs no step more.

use super::{look::look, pool::Pool};
use crate::{
    RemoteError,
    remote::Found,
    sync::{AtomicU64, Mutex, Ordering, lock},
};
use bytes::Bytes;
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    sync::{self, mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

/// Looks that are away by themselves at once.
const ALONE_MAX: u64 = 2;
/// Commands that carry others' looks at once.
const CARRIERS: usize = 2;
/// Looks in one command.
const CARRIED_MAX: usize = 64;
/// Looks that wait for a carrier; a further one goes by itself.
const WAITING_MAX: usize = 1_024;
/// Keys of a look that others travel with.
const KEYS_MAX: usize = 16;
/// How long a carrier waits for its answer. Whoever it carries has left by then.
const LIMIT: Duration = Duration::from_secs(1);

pub(super) struct Gather {
    alone: AtomicU64,
    /// Begun with the first look that waits, when there is a runtime.
    queue: OnceLock<mpsc::Sender<Look>>,
    carriers: Mutex<JoinSet<()>>,
}

struct Look {
    keys: Vec<Bytes>,
    answer: oneshot::Sender<Result<Found, RemoteError>>,
}

/// One look's place among those that are away by themselves.
struct Alone<'a>(&'a AtomicU64);

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gather {
    pub(super) fn new() -> Self {
        Self {
            alone: AtomicU64::new(0),
            queue: OnceLock::new(),
            carriers: Mutex::new(JoinSet::new()),
        }
    }

    pub(super) async fn look(
        &self,
        pool: &Arc<Pool>,
        keys: &[Bytes],
    ) -> Result<Found, RemoteError> {
        let alone = Alone(&self.alone);
        let away = self.alone.fetch_add(1, Ordering::Relaxed);
        if away < ALONE_MAX || keys.len() > KEYS_MAX || !pool.shared().endpoint.is_whole() {
            return look(pool, keys).await;
        }
        drop(alone);
        let (answer, answered) = oneshot::channel();
        let keys = keys.to_vec();
        if let Err(refused) = self.queue(pool).try_send(Look { keys, answer }) {
            return look(pool, &refused.into_inner().keys).await;
        }
        let reason = || "it was not carried to its end".to_owned();
        let ended = |_| Err(RemoteError::Unreachable { reason: reason() });
        answered.await.unwrap_or_else(ended)
    }

    fn queue(&self, pool: &Arc<Pool>) -> &mpsc::Sender<Look> {
        self.queue.get_or_init(|| {
            let (sender, receiver) = mpsc::channel(WAITING_MAX);
            let receiver = Arc::new(sync::Mutex::new(receiver));
            let mut carriers = lock(&self.carriers);
            for _ in 0..CARRIERS {
                carriers.spawn(carry(Arc::clone(pool), Arc::clone(&receiver)));
            }
            sender
        })
    }
}

async fn carry(pool: Arc<Pool>, queue: Arc<sync::Mutex<mpsc::Receiver<Look>>>) {
    let mut looks = Vec::with_capacity(CARRIED_MAX);
    loop {
        if queue.lock().await.recv_many(&mut looks, CARRIED_MAX).await == 0 {
            return;
        }
        looks.retain(|look: &Look| !look.answer.is_closed());
        let keys: Vec<Bytes> = looks.iter().flat_map(|look| look.keys.clone()).collect();
        if keys.is_empty() {
            continue;
        }
        let found = timeout(LIMIT, look(&pool, &keys)).await;
        let found = found.unwrap_or(Err(RemoteError::DeadlineExceeded { limit: LIMIT }));
        hand_out(found, &mut looks);
    }
}

fn hand_out(found: Result<Found, RemoteError>, looks: &mut Vec<Look>) {
    let (mut records, epoch) = match found {
        Ok(found) => (found.records.into_iter(), found.epoch),
        Err(error) => {
            for look in looks.drain(..) {
                // Whoever asked may be gone.
                let _ = look.answer.send(Err(error.clone()));
            }
            return;
        }
    };
    for look in looks.drain(..) {
        let records = records.by_ref().take(look.keys.len()).collect();
        let _ = look.answer.send(Ok(Found { records, epoch }));
    }
}
