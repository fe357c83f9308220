//! One stream as its handles share it: the core behind its lock, and what the
//! core needs of the world.

use crate::{
    after::After,
    config::StreamConfig,
    core::{Context, Core, Summary},
    error::{EndReason, Scope, SendError},
    hub::{Expire, Hub},
    id::{EventId, Origin},
    meter::Meter,
    pressure::millis,
    purse::Purse,
    ring::Slot,
    stats::StreamStats,
    sync::{Mutex, lock},
    wheel::Key,
};
use std::{
    fmt,
    panic::Location,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// The other streams of a session.
pub(crate) trait Siblings: Send + Sync {
    /// Gives up what nobody waits for.
    fn make_room(&self);
    fn streams(&self) -> Vec<Arc<Stream>>;
}

pub(crate) struct Stream {
    core: Mutex<Core>,
    pub(crate) config: Arc<StreamConfig>,
    pub(crate) purse: Purse,
    /// Its number in the budget.
    pub(crate) number: u64,
    /// Its name in event ids, which is that of the stream that it goes on with.
    pub(crate) origin: Origin,
    pub(crate) hub: Arc<Hub>,
    pub(crate) created_at: &'static Location<'static>,
    pub(crate) created_ms: u64,
    siblings: Option<Weak<dyn Siblings>>,
    timer: Mutex<Option<Key>>,
    /// The newest reader, so that an older one knows without the lock.
    reader: AtomicU32,
}

/// Where a stream belongs, and who made it.
pub(crate) struct Birth {
    /// The session's number and limit, and the session.
    pub(crate) session: Option<(u32, Arc<Meter>, Weak<dyn Siblings>)>,
    /// The name of the stream that it goes on with, if it does.
    pub(crate) origin: Option<Origin>,
    pub(crate) first_id: u64,
    pub(crate) created_at: &'static Location<'static>,
}

impl Stream {
    pub(crate) fn new(hub: &Arc<Hub>, config: &Arc<StreamConfig>, birth: Birth) -> Arc<Self> {
        let now_ms = hub.now_ms();
        let (session, meter, siblings) = match birth.session {
            Some((number, meter, siblings)) => (number, Some(meter), Some(siblings)),
            None => (0, None, None),
        };
        let in_session = siblings.is_some();
        let number = hub.next_stream();
        let own = Origin {
            epoch: hub.epoch,
            session,
            stream: number,
        };
        let stream = Arc::new(Self {
            core: Mutex::new(Core::new(birth.first_id, now_ms)),
            config: Arc::clone(config),
            purse: Purse::new(meter, Arc::clone(&hub.meter)),
            number,
            origin: birth.origin.unwrap_or(own),
            hub: Arc::clone(hub),
            created_at: birth.created_at,
            created_ms: now_ms,
            siblings,
            timer: Mutex::new(None),
            reader: AtomicU32::new(0),
        });
        let is_first = stream.purse.enter() == 0;
        let weak = Arc::downgrade(&stream);
        hub.streams().insert(stream.number, weak);
        match config.idle_timeout.filter(|_| !in_session) {
            Some(idle) => hub.set_timer(now_ms.saturating_add(millis(idle)), &stream),
            // The clock has to go on.
            None if is_first => hub.ring(),
            None => {}
        }
        stream
    }

    /// Takes the event in, or says why not; then it stays where it is.
    #[inline]
    pub(crate) fn try_push(&self, event: &mut Option<Slot>) -> Result<u64, SendError> {
        let pushed = lock(&self.core).push_leased(event, self.hub.coarse_ms());
        if let Some((seq, reader)) = pushed {
            if let Some(reader) = reader {
                reader.wake();
            }
            return Ok(seq);
        }
        self.with(|core, cx, after| core.try_push(event, cx, after))
    }

    /// One step under the lock; what it leaves is done outside.
    pub(crate) fn with<T>(&self, step: impl FnOnce(&mut Core, Context<'_>, &mut After) -> T) -> T {
        let mut after = After::default();
        let cx = self.context();
        let out = step(&mut lock(&self.core), cx, &mut after);
        self.tell(&after);
        out
    }

    fn context(&self) -> Context<'_> {
        Context {
            config: &self.config,
            purse: &self.purse,
            now_ms: self.hub.coarse_ms(),
        }
    }

    #[inline]
    fn tell(&self, after: &After) {
        if after.crossed != [None, None] || after.short_of.is_some() || after.ended.is_some() {
            self.tell_rare(after);
        }
    }

    #[cold]
    fn tell_rare(&self, after: &After) {
        for scope in after.crossed.iter().copied().flatten() {
            let use_of = self.purse.exhausted(scope);
            self.hub.tell_high(scope, use_of.used, use_of.limit);
        }
        if let Some(reason) = after.ended {
            self.hub.tell_ended(self.number, reason);
        }
        if let Some(scope) = after.short_of {
            let use_of = self.purse.exhausted(scope);
            self.hub.tell_full(scope, use_of.used, use_of.limit);
        }
        if after.short_of == Some(Scope::Session) {
            if let Some(siblings) = self.siblings.as_ref().and_then(Weak::upgrade) {
                siblings.make_room();
            }
            self.watch_session();
        } else if after.short_of.is_some() || after.crossed[1].is_some() {
            self.hub.ring();
        }
    }

    /// Has the keeper look after the session, if somebody waits for it.
    fn watch_session(&self) {
        if let (Some(meter), Some(session)) = (self.purse.session(), &self.siblings)
            && meter.is_waited_for()
        {
            self.hub.watch(meter, session);
        }
    }

    pub(crate) fn event_id(&self, seq: u64) -> EventId {
        EventId {
            origin: self.origin,
            seq,
        }
    }

    /// A new reader takes over, by `attach`.
    pub(crate) fn take_over<T>(
        &self,
        attach: impl FnOnce(&mut Core, Context<'_>, &mut After) -> T,
    ) -> T {
        self.with(|core, cx, after| {
            let out = attach(core, cx, after);
            self.reader.store(core.generation(), Ordering::Release);
            out
        })
    }

    /// Whether a newer reader has taken over.
    pub(crate) fn is_replaced(&self, generation: u32) -> bool {
        self.reader.load(Ordering::Acquire) != generation
    }

    pub(crate) fn end(&self, reason: EndReason) -> bool {
        self.with(|core, cx, after| core.end(reason, cx, after))
    }

    /// Ends the stream if its reader has not moved since `moved_ms`.
    pub(crate) fn end_unmoved(&self, reason: EndReason, moved_ms: u64) -> bool {
        self.with(|core, cx, after| core.end_unmoved(reason, moved_ms, cx, after))
    }

    /// Gives up the history and what is leased and unused.
    pub(crate) fn shed(&self) -> u64 {
        self.with(|core, cx, after| core.shed(cx, after))
    }

    pub(crate) fn core(&self) -> &Mutex<Core> {
        &self.core
    }

    pub(crate) fn summary(&self) -> Summary {
        lock(&self.core).summary()
    }

    /// For how long the reader has not moved although something waits for it or
    /// is in its hands, or since when there is none.
    pub(crate) fn unread_for(&self, summary: &Summary) -> Duration {
        let is_read = summary.used - summary.reserved == summary.history;
        if summary.attached && is_read {
            return Duration::ZERO;
        }
        self.since(summary.moved_ms)
    }

    /// The same, or for how long permits have kept room, whichever is longer.
    pub(crate) fn stood_still(&self, summary: &Summary) -> Duration {
        let reserved_for = match summary.reserved {
            0 => Duration::ZERO,
            _ => self.since(summary.reserved_ms),
        };
        self.unread_for(summary).max(reserved_for)
    }

    fn since(&self, then_ms: u64) -> Duration {
        Duration::from_millis(self.hub.coarse_ms().saturating_sub(then_ms))
    }

    pub(crate) fn stats(&self) -> StreamStats {
        let summary = self.summary();
        StreamStats {
            next_id: self.event_id(summary.next_id),
            bytes_held: summary.used,
            bytes_leased: summary.leased,
            bytes_history: summary.history,
            unread: summary.unread_len,
            coalesced: summary.coalesced,
            dropped: summary.dropped,
            has_reader: summary.attached,
            writers: summary.writers,
            end: summary.end,
            stood_still: self.stood_still(&summary),
        }
    }
}

/// A stream outside of a session that has had no reader for its idle time ends.
impl Expire for Stream {
    fn expire(&self, now_ms: u64) -> Option<u64> {
        let idle_ms = millis(self.config.idle_timeout?);
        let summary = self.summary();
        let since_ms = if summary.attached {
            now_ms
        } else {
            summary.moved_ms
        };
        let due_ms = since_ms.saturating_add(idle_ms);
        if due_ms > now_ms {
            return Some(due_ms);
        }
        match self.end_unmoved(EndReason::Idle, summary.moved_ms) || summary.end.is_some() {
            true => None,
            // A reader came just now.
            false => Some(now_ms.saturating_add(idle_ms)),
        }
    }

    fn is_over(&self) -> bool {
        false
    }

    fn timer(&self) -> &Mutex<Option<Key>> {
        &self.timer
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let key = lock(&self.timer).take();
        self.hub.remove_timer(key);
        let mut after = After::default();
        let cx = self.context();
        // Under the lock of the list, so that an audit sees the stream with its
        // bytes or neither.
        let mut streams = self.hub.streams();
        streams.remove(&self.number);
        if streams.len() < streams.capacity() / 4 {
            streams.shrink_to_fit();
        }
        lock(&self.core).dissolve(cx, &mut after);
        self.purse.exit();
        drop(streams);
    }
}
