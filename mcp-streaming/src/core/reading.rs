//! The reader's side of a stream.

use super::{Context, Core};
use crate::{after::After, error::EndReason};
use bytes::Bytes;
use std::{collections::VecDeque, task::Waker};

/// The most events that a reader takes at once, and their weight; one event is
/// always taken. What is taken is held until the reader comes back.
const TAKE_LEN_MAX: usize = 4;
const TAKE_BYTES_MAX: u64 = 64 << 10;

#[derive(Debug)]
pub(super) struct Reader {
    /// Raised with each reader, so that a replaced one knows.
    generation: u32,
    attached: bool,
    waker: Option<Waker>,
    /// When a reader last came, went, or had something new to come for.
    moved_ms: u64,
}

impl Reader {
    pub(super) fn new(now_ms: u64) -> Self {
        Self {
            generation: 0,
            attached: true,
            waker: None,
            moved_ms: now_ms,
        }
    }

    pub(super) fn is_attached(&self) -> bool {
        self.attached
    }

    pub(super) fn moved_ms(&self) -> u64 {
        self.moved_ms
    }

    pub(super) fn take_waker(&mut self) -> Option<Waker> {
        self.waker.take()
    }

    /// From here on the reader can be late.
    pub(super) fn note_work(&mut self, now_ms: u64) {
        self.moved_ms = now_ms;
    }
}

/// What a reader gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Got {
    Message { seq: u64, data: Bytes },
    Gap { missed: u64 },
}

/// How a pull went.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pulled {
    /// There is something to read.
    Some,
    /// The waker will be called.
    Pending,
    /// Nothing more will come.
    Ended(EndReason),
}

/// How a reader is set on a stream that had one before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sought {
    /// The reader's generation, and how many events it misses.
    Found { generation: u32, missed: u64 },
    /// The stream never had the event that it names.
    Unknown,
}

/// What is told of a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    pub(crate) used: u64,
    /// The part of it that permits keep, and since when there have been any.
    pub(crate) reserved: u64,
    pub(crate) reserved_ms: u64,
    pub(crate) leased: u64,
    pub(crate) history: u64,
    pub(crate) unread: u64,
    pub(crate) unread_len: u64,
    /// What ending the stream does not give back: in readers' hands, or reserved.
    pub(crate) pinned: u64,
    pub(crate) next_id: u64,
    pub(crate) coalesced: u64,
    pub(crate) dropped: u64,
    pub(crate) attached: bool,
    pub(crate) writers: u32,
    pub(crate) moved_ms: u64,
    pub(crate) end: Option<EndReason>,
}

impl Core {
    /// The reader is done with what it took before, and takes more.
    pub(crate) fn pull(
        &mut self,
        generation: u32,
        out: &mut VecDeque<Got>,
        waker: &Waker,
        cx: Context<'_>,
        after: &mut After,
    ) -> Pulled {
        if generation != self.reader.generation {
            self.let_go(generation, cx, after);
            return Pulled::Ended(EndReason::Replaced);
        }
        self.acknowledge(cx, after);
        if let Some(missed) = self.ring.pass_gap() {
            out.push_back(Got::Gap { missed });
        }
        self.ring.take(TAKE_LEN_MAX, TAKE_BYTES_MAX, |seq, data| {
            out.push_back(Got::Message { seq, data });
        });
        if !out.is_empty() {
            self.reader.moved_ms = cx.now_ms;
            return Pulled::Some;
        }
        if let Some(reason) = self.end {
            return Pulled::Ended(reason);
        }
        let known = self.reader.waker.as_ref();
        if !known.is_some_and(|known| known.will_wake(waker)) {
            after.retire(self.reader.waker.replace(waker.clone()));
        }
        Pulled::Pending
    }

    /// A new reader takes over and goes on where the last one was.
    pub(crate) fn attach(&mut self, cx: Context<'_>, after: &mut After) -> u32 {
        after.wake(self.reader.take_waker());
        self.ring.hand_over(self.reader.generation);
        self.reader.attached = true;
        self.reader.moved_ms = cx.now_ms;
        self.reader.generation = self.reader.generation.wrapping_add(1);
        self.room_came(cx, after);
        self.reader.generation
    }

    /// A new reader takes over and goes on behind the event `after_id`.
    pub(crate) fn attach_behind(
        &mut self,
        after_id: u64,
        cx: Context<'_>,
        after: &mut After,
    ) -> Sought {
        if after_id >= self.ring.next_id() {
            return Sought::Unknown;
        }
        let missed = self.ring.missed_after(after_id);
        let generation = self.attach(cx, after);
        self.ring.seek(after_id);
        Sought::Found { generation, missed }
    }

    /// The newest reader.
    pub(crate) fn generation(&self) -> u32 {
        self.reader.generation
    }

    /// The reader is gone.
    pub(crate) fn detach(&mut self, generation: u32, cx: Context<'_>, after: &mut After) {
        if generation != self.reader.generation {
            self.let_go(generation, cx, after);
            return;
        }
        self.reader.attached = false;
        after.retire(self.reader.take_waker());
        self.reader.moved_ms = cx.now_ms;
        self.ring.rewind();
        self.ring.leave(generation);
        if cx.config.replay_bytes_max == 0 {
            self.end(EndReason::ReaderLost, cx, after);
        }
        self.room_came(cx, after);
    }

    /// The id of the last event that the reader took, or had before.
    #[cfg(feature = "sse")]
    pub(crate) fn position(&self) -> u64 {
        self.ring.position()
    }

    /// A replaced reader holds nothing any more.
    fn let_go(&mut self, generation: u32, cx: Context<'_>, after: &mut After) {
        if self.ring.leave(generation) {
            self.room_came(cx, after);
        }
    }

    fn acknowledge(&mut self, cx: Context<'_>, after: &mut After) {
        let has_left = self.ring.leave(self.reader.generation);
        if !self.ring.ack() && !has_left {
            return;
        }
        while self.ring.history() > cx.config.replay_bytes_max {
            let Some(slot) = self.ring.evict(false) else {
                break;
            };
            after.discard(slot);
        }
        self.room_came(cx, after);
    }

    pub(crate) fn summary(&self) -> Summary {
        Summary {
            used: self.used(),
            reserved: self.reserved,
            reserved_ms: self.reserved_ms,
            leased: self.leased,
            history: self.ring.history(),
            unread: self.ring.unread(),
            unread_len: self.ring.unread_len(),
            pinned: self.ring.in_hands() + self.reserved,
            next_id: self.ring.next_id(),
            coalesced: self.coalesced,
            dropped: self.dropped,
            attached: self.reader.attached,
            writers: self.writers,
            moved_ms: self.reader.moved_ms,
            end: self.end,
        }
    }
}
