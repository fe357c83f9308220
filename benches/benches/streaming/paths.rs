//! The paths of an event from a writer to a reader: ours, and the best that can
//! be put together from channels and semaphores.

use bytes::Bytes;
use mcp_streaming::{Budget, BudgetConfig, Event, Rx, SessionConfig, Sessions, StreamConfig, Tx};
use std::future::Future;

pub(crate) const SESSION_BYTES: usize = 4 << 20;
pub(crate) const GLOBAL_BYTES: usize = 256 << 20;

/// A way from a writer to a reader, both tasks of one thread.
pub(crate) trait Path {
    type Tx: Write + 'static;
    type Rx: Read + 'static;
    fn open(&self) -> impl Future<Output = (Self::Tx, Self::Rx)>;
}

pub(crate) trait Write {
    fn send(&mut self, data: Bytes) -> impl Future<Output = ()>;
}

pub(crate) trait Read {
    fn recv(&mut self) -> impl Future<Output = ()>;
}

/// A stream of a session: its own budget, the session's, the global one; with
/// replay or without.
pub(crate) struct Ours {
    pub(crate) budget: Budget,
    pub(crate) sessions: Sessions,
}

impl Ours {
    pub(crate) fn new(replay_bytes_max: u64) -> Self {
        Self::with(replay_bytes_max, &SessionConfig::default())
    }

    pub(crate) fn with(replay_bytes_max: u64, config: &SessionConfig) -> Self {
        let budget = Budget::new(&BudgetConfig {
            bytes_max: GLOBAL_BYTES as u64,
            ..BudgetConfig::default()
        });
        let budget = budget.expect("a valid configuration");
        let config = SessionConfig {
            bytes_max: SESSION_BYTES as u64,
            stream: StreamConfig {
                replay_bytes_max,
                ..StreamConfig::default()
            },
            ..config.clone()
        };
        let sessions = Sessions::new(&budget, &config).expect("a valid configuration");
        Self { budget, sessions }
    }
}

impl Path for Ours {
    type Tx = Tx;
    type Rx = Rx;

    async fn open(&self) -> (Tx, Rx) {
        let session = self.sessions.open("bench").expect("room");
        session.open_stream().expect("room")
    }
}

impl Write for Tx {
    async fn send(&mut self, data: Bytes) {
        Tx::send(self, data).await.expect("room comes");
    }
}

impl Read for Rx {
    async fn recv(&mut self) {
        let event = self.next().await;
        assert!(matches!(event, Some(Event::Message { .. })), "{event:?}");
    }
}

/// tokio's channel, which bounds a count.
pub(crate) struct Mpsc(pub(crate) usize);

impl Path for Mpsc {
    type Tx = tokio::sync::mpsc::Sender<Bytes>;
    type Rx = tokio::sync::mpsc::Receiver<Bytes>;

    async fn open(&self) -> (Self::Tx, Self::Rx) {
        tokio::sync::mpsc::channel(self.0)
    }
}

impl Write for tokio::sync::mpsc::Sender<Bytes> {
    async fn send(&mut self, data: Bytes) {
        tokio::sync::mpsc::Sender::send(self, data)
            .await
            .expect("a reader");
    }
}

impl Read for tokio::sync::mpsc::Receiver<Bytes> {
    async fn recv(&mut self) {
        tokio::sync::mpsc::Receiver::recv(self)
            .await
            .expect("a writer");
    }
}
