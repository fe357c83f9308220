//! A service as the traits want it, in memory, and the ways in which one process
//! finds it wanting.

use async_trait::async_trait;
use bytes::Bytes;
use mcp_cache::{
    RemoteError,
    remote::{Backplane, Feed, Found, Joined, RemoteStore, Stamped},
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

/// What all processes share.
#[derive(Default)]
pub(super) struct Service(Mutex<State>);

#[derive(Default)]
struct State {
    epoch: u64,
    base: u64,
    stamps: HashMap<u32, u64>,
    records: HashMap<Bytes, Bytes>,
    ears: Vec<mpsc::Sender<(u64, Bytes)>>,
}

/// How a call ends that was not held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Mood {
    #[default]
    Well,
    Fails,
    /// Answers after this long.
    Slow(Duration),
    Hangs,
}

/// Holds whoever comes while it is closed.
pub(super) struct Gate(watch::Sender<bool>);

/// One process's way to the service.
pub(super) struct End {
    service: Arc<Service>,
    mood: Mutex<Mood>,
    /// Before what a look found is given back.
    pub(super) answers: Gate,
    /// Before a base is asked for.
    pub(super) joins: Gate,
    /// Before a message is handed on.
    pub(super) messages: Gate,
    /// Looks that the service has answered.
    pub(super) looks: AtomicU64,
    calls: Arc<()>,
}

impl Gate {
    fn open_one() -> Self {
        Self(watch::Sender::new(true))
    }

    pub(super) fn close(&self) {
        self.0.send_replace(false);
    }

    pub(super) fn open(&self) {
        self.0.send_replace(true);
    }

    async fn pass(&self) {
        // The sender lives as long as this.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

impl Service {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics here")
    }

    pub(super) fn records(&self) -> usize {
        self.lock().records.len()
    }

    pub(super) fn base(&self) -> u64 {
        self.lock().base
    }

    /// As if it had been restarted without what it held.
    pub(super) fn lose_everything(&self) {
        *self.lock() = State::default();
    }
}

impl State {
    fn tell(&mut self, number: u64, body: &[u8]) {
        let message = (number, Bytes::copy_from_slice(body));
        self.ears
            .retain(|ear| ear.try_send(message.clone()).is_ok());
    }
}

impl End {
    pub(super) fn new(service: &Arc<Service>) -> Arc<Self> {
        Arc::new(Self {
            service: Arc::clone(service),
            mood: Mutex::default(),
            answers: Gate::open_one(),
            joins: Gate::open_one(),
            messages: Gate::open_one(),
            looks: AtomicU64::new(0),
            calls: Arc::default(),
        })
    }

    pub(super) fn mood(&self, mood: Mood) {
        *self.mood.lock().expect("nothing panics here") = mood;
    }

    /// Calls that were begun and are neither over nor dropped.
    pub(super) fn in_flight(&self) -> usize {
        Arc::strong_count(&self.calls) - 1
    }

    async fn call<T>(&self, work: impl FnOnce(&mut State) -> T) -> Result<T, RemoteError> {
        let _call = Arc::clone(&self.calls);
        tokio::task::yield_now().await;
        let mood = *self.mood.lock().expect("nothing panics here");
        match mood {
            Mood::Well => {}
            Mood::Slow(span) => sleep(span).await,
            Mood::Hangs => std::future::pending().await,
            Mood::Fails => {
                let reason = "it was told to fail".to_owned();
                return Err(RemoteError::Unreachable { reason });
            }
        }
        Ok(work(&mut self.service.lock()))
    }
}

#[async_trait]
impl RemoteStore for End {
    async fn get(&self, keys: &[Bytes]) -> Result<Found, RemoteError> {
        let look = |state: &mut State| Found {
            records: keys
                .iter()
                .map(|key| state.records.get(key).cloned())
                .collect(),
            epoch: Some(state.epoch).filter(|epoch| *epoch > 0),
        };
        let found = self.call(look).await?;
        self.looks.fetch_add(1, Ordering::Relaxed);
        self.answers.pass().await;
        Ok(found)
    }

    async fn stamps(&self, slots: &[u32]) -> Result<Stamped, RemoteError> {
        let read = |state: &mut State| Stamped {
            base: Some(state.base).filter(|base| *base > 0),
            stamps: slots
                .iter()
                .map(|slot| state.stamps.get(slot).copied().unwrap_or(0))
                .collect(),
        };
        self.call(read).await
    }

    async fn set(&self, records: &[(Bytes, Bytes, Duration)]) -> Result<(), RemoteError> {
        let store = |state: &mut State| {
            for (key, record, _) in records {
                state.records.insert(key.clone(), record.clone());
            }
        };
        self.call(store).await
    }
}

#[async_trait]
impl Backplane for End {
    async fn join(&self, known: u64, force: bool, forget: &[u8]) -> Result<Joined, RemoteError> {
        self.joins.pass().await;
        let join = |state: &mut State| {
            if force || state.base == 0 || state.epoch < known {
                state.epoch = state.epoch.max(known) + 1_000;
                state.base = state.epoch;
                state.stamps.clear();
                state.tell(state.epoch, forget);
            }
            Joined {
                epoch: state.epoch,
                base: state.base,
            }
        };
        self.call(join).await
    }

    async fn publish(&self, slots: &[u32], body: &[u8]) -> Result<Option<u64>, RemoteError> {
        let publish = |state: &mut State| {
            if state.base == 0 {
                return None;
            }
            state.epoch += 1;
            let number = state.epoch;
            for slot in slots {
                state.stamps.insert(*slot, number);
            }
            state.tell(number, body);
            Some(number)
        };
        self.call(publish).await
    }

    async fn subscribe(&self) -> Result<Box<dyn Feed>, RemoteError> {
        let (ear, heard) = mpsc::channel(1_024);
        self.call(|state| state.ears.push(ear)).await?;
        let gate = self.messages.0.subscribe();
        Ok(Box::new(Heard(heard, gate)))
    }
}

struct Heard(mpsc::Receiver<(u64, Bytes)>, watch::Receiver<bool>);

#[async_trait]
impl Feed for Heard {
    async fn next(&mut self) -> Option<(u64, Bytes)> {
        let message = self.0.recv().await;
        let _ = self.1.wait_for(|open| *open).await;
        message
    }
}
