//! Writing to a stream and a store at once.

use super::{EventStore, RecordError, StreamKey, next_seq};
use crate::{EndReason, EventId, Tx};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Sends events that are stored first: what a reader has seen, another instance
/// can go on from.
#[derive(Debug)]
pub struct Recorder {
    tx: Tx,
    key: StreamKey,
    store: Arc<dyn EventStore>,
    turn: Mutex<()>,
}

impl Recorder {
    /// Records what is sent to a stream. It has to be the only writer.
    #[must_use]
    pub fn new(tx: Tx, key: StreamKey, store: Arc<dyn EventStore>) -> Self {
        let turn = Mutex::new(());
        Self {
            tx,
            key,
            store,
            turn,
        }
    }

    /// Keeps room, stores the event, and sends it. Events go one by one, so that
    /// the store knows no later event without the earlier ones.
    ///
    /// # Errors
    /// There is no room, or the store failed; the event is not sent then, though
    /// a store that failed may know it until the next event takes its number. If
    /// somebody else writes to the stream meanwhile, it is ended.
    ///
    /// # Cancel safety
    /// As with an error of the store.
    pub async fn send(&self, data: impl Into<Bytes>) -> Result<EventId, RecordError> {
        let data = data.into();
        let _turn = self.turn.lock().await;
        let permit = self.tx.reserve(data.len()).await?;
        let seq = next_seq(&self.tx)?;
        self.store.append(&self.key, seq, data.clone()).await?;
        let id = permit.send(data)?;
        if id.seq() != seq {
            // Whoever resumed it elsewhere would read other events as these.
            self.tx.stream.end(EndReason::WriterLost);
            return Err(RecordError::Overtaken {
                stored: seq,
                sent: id.seq(),
            });
        }
        Ok(id)
    }

    /// The stream is whole; see [`Tx::finish`].
    pub fn finish(&self) {
        self.tx.finish();
    }

    /// The writer's end, to resume from or to ask for its counters. A clone of
    /// it makes further events fail, and so does writing to it.
    pub fn tx(&self) -> &Tx {
        &self.tx
    }
}
