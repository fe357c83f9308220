//! One stream behind one lock: the ring, what is leased for it, its reader and
//! its writers. Every method is one step; what it leaves to be done outside of
//! the lock is in [`After`].

use crate::{
    after::After,
    config::{SlowConsumer, StreamConfig},
    error::{EndReason, ResourceExhausted, Scope, SendError},
    line::{Line, Ticket},
    purse::{Places, Purse},
    ring::{Ring, Slot},
};
use bytes::Bytes;
use std::task::{Poll, Waker};

#[cfg(all(test, mcp_loom))]
mod loom_models;
mod reading;
mod room;

use room::check_weight;

pub(crate) use reading::{Got, Pulled, Sought, Summary};

/// What a step has to know of the world.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) config: &'a StreamConfig,
    pub(crate) purse: &'a Purse,
    pub(crate) now_ms: u64,
}

#[derive(Debug)]
pub(crate) struct Core {
    ring: Ring,
    /// The weight of permits that were not used yet.
    reserved: u64,
    /// Since when there have been such permits.
    reserved_ms: u64,
    /// Bytes taken from the purse; never below what is used, nor above the
    /// stream's limit.
    leased: u64,
    /// How much was last taken at once.
    chunk: u64,
    writers: u32,
    /// The writers that wait; the first of them may have places in the lines of
    /// the limits.
    line: Line,
    places: Places,
    reader: reading::Reader,
    end: Option<EndReason>,
    coalesced: u64,
    dropped: u64,
}

impl Core {
    /// A stream with one writer and one reader, the generation 0.
    pub(crate) fn new(first_id: u64, now_ms: u64) -> Self {
        Self {
            ring: Ring::new(first_id),
            reserved: 0,
            reserved_ms: now_ms,
            leased: 0,
            chunk: 0,
            writers: 1,
            line: Line::default(),
            places: Places::default(),
            reader: reading::Reader::new(now_ms),
            end: None,
            coalesced: 0,
            dropped: 0,
        }
    }

    /// Takes the event in if all that it needs is leased already: nothing has to
    /// make room, nobody is before it, and no event gives its place to it. That is
    /// the common case, and leaves nothing but the reader to be woken.
    #[inline]
    pub(crate) fn push_leased(
        &mut self,
        event: &mut Option<Slot>,
        now_ms: u64,
    ) -> Option<(u64, Option<Waker>)> {
        let slot = event.as_ref()?;
        let is_leased = self.used() + slot.weight() <= self.leased;
        let is_plain = slot.key.is_none() && self.line.is_empty() && self.end.is_none();
        if !(is_leased && is_plain) {
            return None;
        }
        let was_idle = self.is_idle();
        Some(self.append(event.take()?, was_idle, now_ms))
    }

    /// Takes the event in, or says why not; then it stays where it is.
    pub(crate) fn try_push(
        &mut self,
        event: &mut Option<Slot>,
        cx: Context<'_>,
        after: &mut After,
    ) -> Result<u64, SendError> {
        self.step(event, None, cx, after)
    }

    /// Takes the event in as soon as there is room and the writer's turn has
    /// come.
    pub(crate) fn poll_push(
        &mut self,
        event: &mut Option<Slot>,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
        cx: Context<'_>,
        after: &mut After,
    ) -> Poll<Result<u64, SendError>> {
        self.poll(ticket, waker, cx, after, |core, ticket, after| {
            core.step(event, ticket, cx, after)
        })
    }

    /// Keeps `weight` bytes for an event to come.
    pub(crate) fn try_reserve(
        &mut self,
        weight: u64,
        cx: Context<'_>,
        after: &mut After,
    ) -> Result<(), SendError> {
        self.reserve(weight, None, cx, after)
    }

    /// Keeps `weight` bytes for an event to come, as soon as they are there and
    /// the writer's turn has come.
    pub(crate) fn poll_reserve(
        &mut self,
        weight: u64,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
        cx: Context<'_>,
        after: &mut After,
    ) -> Poll<Result<(), SendError>> {
        self.poll(ticket, waker, cx, after, |core, ticket, after| {
            core.reserve(weight, ticket, cx, after)
        })
    }

    /// Takes an event in for which `reserved` bytes were kept. It weighs no
    /// more.
    pub(crate) fn push_reserved(
        &mut self,
        reserved: u64,
        event: Slot,
        cx: Context<'_>,
        after: &mut After,
    ) -> Result<u64, SendError> {
        self.reserved -= reserved;
        if let Some(reason) = self.end {
            after.discard(event);
            self.give_spare(cx, after);
            return Err(SendError::Ended(reason));
        }
        let (id, reader) = self.append(event, self.is_idle(), cx.now_ms);
        after.wake(reader);
        self.room_came(cx, after);
        Ok(id)
    }

    /// A permit was dropped.
    pub(crate) fn release(&mut self, reserved: u64, cx: Context<'_>, after: &mut After) {
        self.reserved -= reserved;
        self.room_came(cx, after);
    }

    /// A writer does not wait any more.
    pub(crate) fn leave(&mut self, ticket: Ticket, cx: Context<'_>, after: &mut After) {
        let left = self.line.leave(ticket);
        after.retire(left.old);
        if left.was_first {
            cx.purse.leave(&mut self.places, after);
            after.wake(self.line.first());
        }
    }

    /// Whether the stream ended by this. An end that leaves nothing to be read
    /// goes over one that does.
    pub(crate) fn end(&mut self, reason: EndReason, cx: Context<'_>, after: &mut After) -> bool {
        let is_new = match self.end {
            None => true,
            Some(old) => old.drains() && !reason.drains() && self.ring.unread() > 0,
        };
        if is_new {
            self.end = Some(reason);
            after.ended = Some(reason);
            after.wake(self.reader.take_waker());
        }
        if !reason.drains() {
            after.discard_all(self.ring.clear(self.generation()));
        }
        // Those who wait are told when they are polled, which may be late.
        cx.purse.leave(&mut self.places, after);
        for waker in self.line.all() {
            after.wake(Some(waker));
        }
        self.give_spare(cx, after);
        is_new
    }

    /// Ends the stream if its reader has not moved since `moved_ms`.
    pub(crate) fn end_unmoved(
        &mut self,
        reason: EndReason,
        moved_ms: u64,
        cx: Context<'_>,
        after: &mut After,
    ) -> bool {
        self.reader.moved_ms() == moved_ms && self.end(reason, cx, after)
    }

    pub(crate) fn add_writer(&mut self) {
        self.writers += 1;
    }

    pub(crate) fn drop_writer(&mut self, cx: Context<'_>, after: &mut After) {
        self.writers -= 1;
        if self.writers == 0 && self.end.is_none() {
            self.end(EndReason::WriterLost, cx, after);
        }
    }

    /// Gives up the history, and all that is leased and unused. Says how many
    /// bytes went back.
    pub(crate) fn shed(&mut self, cx: Context<'_>, after: &mut After) -> u64 {
        let before = self.leased;
        while let Some(slot) = self.ring.evict(false) {
            after.discard(slot);
        }
        let spare = self.leased - self.used();
        self.return_lease(spare, cx, after);
        before - self.leased
    }

    /// The stream is gone: everything goes back.
    pub(crate) fn dissolve(&mut self, cx: Context<'_>, after: &mut After) {
        self.reserved = 0;
        after.discard_all(self.ring.clear(self.generation()));
        cx.purse.leave(&mut self.places, after);
        self.return_lease(self.leased, cx, after);
    }

    fn poll<T>(
        &mut self,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
        cx: Context<'_>,
        after: &mut After,
        mut step: impl FnMut(&mut Self, Option<Ticket>, &mut After) -> Result<T, SendError>,
    ) -> Poll<Result<T, SendError>> {
        loop {
            let result = step(self, *ticket, after);
            let Err(SendError::Exhausted(ResourceExhausted { scope, .. })) = result else {
                if let Some(ticket) = ticket.take() {
                    self.leave(ticket, cx, after);
                }
                return Poll::Ready(result);
            };
            after.retire(self.line.join(ticket, waker, 0).old);
            let is_first = ticket.is_some_and(|ticket| self.line.is_first(ticket));
            let (places, missing) = (&mut self.places, after.missing);
            if is_first && scope == Scope::Stream {
                cx.purse.leave(places, after);
            } else if is_first && cx.purse.join(places, scope, missing, waker, after) {
                continue;
            }
            return Poll::Pending;
        }
    }

    fn step(
        &mut self,
        event: &mut Option<Slot>,
        ticket: Option<Ticket>,
        cx: Context<'_>,
        after: &mut After,
    ) -> Result<u64, SendError> {
        if let Some(reason) = self.end {
            return Err(SendError::Ended(reason));
        }
        let slot = event.as_ref().expect("not polled after it was ready");
        let weight = slot.weight();
        check_weight(weight, cx)?;
        let was_idle = self.is_idle();
        if let Some((id, old)) = self.predecessor(slot, cx.config) {
            if weight > old {
                self.make_room(weight - old, ticket, cx, after)?;
            }
            // What made room may have been the predecessor itself.
            if self.ring.find_unread_at(id) {
                if let Some(slot) = event.take() {
                    after.discard(self.ring.replace(id, slot));
                }
                self.coalesced += 1;
                self.room_came(cx, after);
                return Ok(id);
            }
        }
        self.make_room(weight, ticket, cx, after)?;
        let slot = event.take().expect("it was there above");
        let (id, reader) = self.append(slot, was_idle, cx.now_ms);
        after.wake(reader);
        Ok(id)
    }

    fn predecessor(&self, slot: &Slot, config: &StreamConfig) -> Option<(u64, u64)> {
        match config.slow_consumer {
            SlowConsumer::Coalesce { .. } => self.ring.find_unread(slot.key.as_deref()?),
            _ => None,
        }
    }

    fn reserve(
        &mut self,
        weight: u64,
        ticket: Option<Ticket>,
        cx: Context<'_>,
        after: &mut After,
    ) -> Result<(), SendError> {
        if let Some(reason) = self.end {
            return Err(SendError::Ended(reason));
        }
        check_weight(weight, cx)?;
        self.make_room(weight, ticket, cx, after)?;
        if self.reserved == 0 {
            self.reserved_ms = cx.now_ms;
        }
        self.reserved += weight;
        Ok(())
    }

    /// Whether there is a reader that has read everything and waits for more.
    fn is_idle(&self) -> bool {
        self.reader.is_attached() && self.ring.held() == self.ring.history()
    }

    /// The event's id, and the reader's waker.
    #[inline]
    fn append(&mut self, slot: Slot, was_idle: bool, now_ms: u64) -> (u64, Option<Waker>) {
        if was_idle {
            self.reader.note_work(now_ms);
        }
        (self.ring.push(slot), self.reader.take_waker())
    }

    /// Bytes of events and permits.
    pub(crate) fn used(&self) -> u64 {
        self.ring.held() + self.reserved
    }

    pub(crate) fn leased(&self) -> u64 {
        self.leased
    }
}

/// An event without a key.
pub(crate) fn plain(data: Bytes) -> Slot {
    Slot { data, key: None }
}
