//! Room that is kept for one event.

use crate::{EVENT_OVERHEAD_BYTES, EventId, SendError, Tx, core::plain};
use bytes::Bytes;

/// Room for one event. Dropping it gives the room back.
#[derive(Debug)]
#[must_use = "a permit that is dropped gives its room back"]
pub struct Permit<'a> {
    tx: &'a Tx,
    weight: u64,
    /// The room was there, and was not used yet.
    is_granted: bool,
}

impl<'a> Permit<'a> {
    pub(crate) fn new(tx: &'a Tx, len: usize) -> Self {
        Self {
            tx,
            weight: (len as u64).saturating_add(EVENT_OVERHEAD_BYTES),
            is_granted: false,
        }
    }

    pub(crate) fn weight(&self) -> u64 {
        self.weight
    }

    pub(crate) fn granted(mut self) -> Self {
        self.is_granted = true;
        self
    }

    /// Sends the event. What it does not need of its room goes back.
    ///
    /// # Errors
    /// The stream has ended, or the event is larger than its room
    /// ([`SendError::TooLarge`]).
    pub fn send(mut self, data: impl Into<Bytes>) -> Result<EventId, SendError> {
        let slot = plain(data.into());
        if slot.weight() > self.weight {
            return Err(SendError::TooLarge {
                weight: slot.weight(),
                limit: self.weight,
            });
        }
        self.is_granted = false;
        let stream = &self.tx.stream;
        let pushed =
            stream.with(|core, cx, after| core.push_reserved(self.weight, slot, cx, after));
        pushed.map(|seq| stream.event_id(seq))
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.is_granted {
            let stream = &self.tx.stream;
            stream.with(|core, cx, after| core.release(self.weight, cx, after));
        }
    }
}
