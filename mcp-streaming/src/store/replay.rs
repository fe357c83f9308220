//! Reading a stream of another instance out of the store.

use super::{EventStore, Page, RecordError, StreamKey};
use crate::{EventId, Tx};
use std::sync::Arc;

/// About how much is in memory at a time, besides the stream that it goes to.
const PAGE_BYTES: u64 = 64 << 10;

/// A replay that has begun: it is known whether anything is missing.
#[derive(Debug)]
#[must_use = "a replay sends nothing before it is told to"]
pub struct Replay {
    store: Arc<dyn EventStore>,
    key: StreamKey,
    page: Page,
    next_seq: u64,
}

impl Replay {
    /// Looks what the store has behind the number `after`.
    ///
    /// # Errors
    /// The store failed, or has no such stream for this owner.
    pub async fn begin(
        store: Arc<dyn EventStore>,
        key: StreamKey,
        after: u64,
    ) -> Result<Self, RecordError> {
        let page = store.read_after(&key, after, PAGE_BYTES).await?;
        let page = page.ok_or(RecordError::Unknown)?;
        let next_seq = after.saturating_add(page.missed).saturating_add(1);
        Ok(Self {
            store,
            key,
            page,
            next_seq,
        })
    }

    /// How many events are gone. Tell the client: a replay never hides a gap.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.page.missed
    }

    /// The id before that of the first event that will be sent. Make the stream
    /// behind it ([`Budget::stream_behind`](crate::Budget::stream_behind)), and
    /// events keep their ids.
    #[must_use]
    pub fn position(&self) -> EventId {
        EventId {
            origin: self.key.origin,
            seq: self.next_seq - 1,
        }
    }

    /// Sends everything, with the stream's back-pressure; says how many events
    /// that were. The stream is not finished by this: what comes next may follow.
    ///
    /// # Errors
    /// The store failed, events vanished meanwhile, or the stream did not take
    /// an event.
    ///
    /// # Cancel safety
    /// What was sent stays sent; the rest is not.
    pub async fn send_to(mut self, tx: &Tx) -> Result<u64, RecordError> {
        let mut sent = 0;
        loop {
            for (seq, data) in self.page.events.drain(..) {
                tx.send(data).await?;
                self.next_seq = seq + 1;
                sent += 1;
            }
            if self.page.is_last {
                return Ok(sent);
            }
            let after = self.next_seq - 1;
            let page = self.store.read_after(&self.key, after, PAGE_BYTES).await?;
            self.page = page.ok_or(RecordError::Vanished { missed: 0 })?;
            if self.page.missed > 0 {
                let missed = self.page.missed;
                return Err(RecordError::Vanished { missed });
            }
        }
    }
}
