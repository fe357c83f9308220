//! State changes as a bounded, lossy broadcast.

use crate::{State, trip::Cause};
use serde::Serialize;
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};

/// One change of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state after; equal to `from` only when a closed breaker was reset.
    pub to: State,
    /// Why.
    pub cause: Cause,
    /// The number of the life that begins, modulo 2^29; one more than the
    /// generation of the transition before.
    pub generation: u32,
    /// When `to` is open: the delay until the first probe.
    pub reopens_in: Option<Duration>,
}

/// The sending side; never blocks, and forgets the oldest event when full.
#[derive(Debug)]
pub(crate) struct EventSender {
    /// Made for the first subscriber: it takes its whole capacity at once,
    /// which is more than all the rest of a breaker.
    channel: OnceLock<broadcast::Sender<Transition>>,
    capacity: usize,
    lost: Arc<AtomicU64>,
}

impl EventSender {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            channel: OnceLock::new(),
            capacity,
            lost: Arc::default(),
        }
    }

    pub(crate) fn send(&self, transition: Transition) {
        if let Some(channel) = self.channel.get() {
            // An error means that nobody listens, which is not one here.
            let _ = channel.send(transition);
        }
    }

    pub(crate) fn subscribe(&self) -> Events {
        let channel = self
            .channel
            .get_or_init(|| broadcast::Sender::new(self.capacity));
        Events {
            channel: channel.subscribe(),
            missed: 0,
            lost: Arc::clone(&self.lost),
        }
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// A subscription to a breaker's state changes, in their order.
///
/// A slow subscriber never slows the breaker: once `events_capacity` events
/// wait, the oldest is dropped and counted in [`missed`](Self::missed).
#[derive(Debug)]
pub struct Events {
    channel: broadcast::Receiver<Transition>,
    missed: u64,
    lost: Arc<AtomicU64>,
}

impl Events {
    /// Waits for the next change; `None` once the breaker is gone.
    ///
    /// # Cancel safety
    /// No event is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Transition> {
        loop {
            match self.channel.recv().await {
                Ok(transition) => return Some(transition),
                Err(RecvError::Lagged(missed)) => self.count_missed(missed),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The next change if one is waiting.
    pub fn try_next(&mut self) -> Option<Transition> {
        loop {
            match self.channel.try_recv() {
                Ok(transition) => return Some(transition),
                Err(TryRecvError::Lagged(missed)) => self.count_missed(missed),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }

    /// Events that were dropped before this subscriber read them.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }

    fn count_missed(&mut self, missed: u64) {
        self.missed += missed;
        self.lost.fetch_add(missed, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_no_memory_before_somebody_listens() {
        let sender = EventSender::new(1 << 16);
        let transition = Transition {
            from: State::Closed,
            to: State::Open,
            cause: Cause::Forced,
            generation: 1,
            reopens_in: None,
        };
        sender.send(transition);
        assert!(sender.channel.get().is_none());
        let mut events = sender.subscribe();
        sender.send(transition);
        assert_eq!(events.try_next(), Some(transition));
    }
}
