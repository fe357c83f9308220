//! A session: some streams of one client under one limit, with an end.

use crate::{
    EndReason, EventId, ResourceExhausted, ResumeError, Resumed, Rx, Scope, Tx,
    hub::{Expire, Hub},
    meter::{Marks, Meter},
    pressure::millis,
    resume::resume,
    stream::{Birth, Siblings, Stream},
    sync::{Mutex, lock},
    wheel::Key,
};
use std::{
    fmt,
    panic::Location,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};
use thiserror::Error;

mod config;
mod id;
mod registry;
mod routes;

pub use config::SessionConfig;
pub use id::{ParseSessionIdError, SessionId};
pub use registry::{OpenError, Sessions, SessionsStats};

use registry::Registry;

/// How long a stream that ended is kept for a reader that comes back.
const ENDED_KEEP_MS: u64 = 60_000;

/// What a session uses of its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryUsage {
    /// Bytes that its streams hold.
    pub used: u64,
    /// Bytes that they may hold together.
    pub limit: u64,
}

/// Why a session has no stream to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenStreamError {
    /// It has as many live streams as it may have.
    #[error("resource exhausted: the session has {limit} live streams")]
    TooManyStreams {
        /// How many.
        limit: usize,
    },
    /// It has ended.
    #[error("the session has ended: {0}")]
    Ended(EndReason),
}

impl OpenStreamError {
    /// Whether it may go another time.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::TooManyStreams { .. })
    }
}

/// One client's session, made by [`Sessions::open`]. It has no task and no
/// timer of its own: the budget's wheel ends it when it is not initialized in
/// time, not used, or too old, and everything it holds goes back.
pub struct StreamingSession {
    id: SessionId,
    /// What its event ids carry; no secret.
    number: u32,
    owner: Arc<str>,
    start_time: SystemTime,
    start_ms: u64,
    meter: Arc<Meter>,
    hub: Arc<Hub>,
    registry: Weak<Registry>,
    config: Arc<SessionConfig>,
    used_ms: AtomicU64,
    is_initialized: AtomicBool,
    streams: Mutex<Vec<Arc<Stream>>>,
    end: Mutex<Option<EndReason>>,
    timer: Mutex<Option<Key>>,
}

impl StreamingSession {
    fn new(id: SessionId, number: u32, owner: Arc<str>, registry: &Arc<Registry>) -> Arc<Self> {
        let (hub, config) = (Arc::clone(registry.hub()), Arc::clone(registry.config()));
        let now_ms = hub.now_ms();
        let marks = Marks::new(
            config.bytes_max,
            hub.config.high_watermark,
            hub.config.low_watermark,
        );
        let session = Arc::new(Self {
            id,
            number,
            owner,
            start_time: SystemTime::now(),
            start_ms: now_ms,
            meter: Arc::new(Meter::new(marks)),
            registry: Arc::downgrade(registry),
            used_ms: AtomicU64::new(now_ms),
            is_initialized: AtomicBool::new(false),
            streams: Mutex::new(Vec::new()),
            end: Mutex::new(None),
            timer: Mutex::new(None),
            hub,
            config,
        });
        session.hub.set_timer(session.due_ms(now_ms), &session);
        session
    }

    /// Its id: 128 bits of the operating system's randomness.
    #[must_use]
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// Whose it is.
    #[must_use]
    pub fn owner(&self) -> &Arc<str> {
        &self.owner
    }

    /// When it was opened.
    #[must_use]
    pub fn start_time(&self) -> SystemTime {
        self.start_time
    }

    /// Bytes that its streams hold now.
    #[must_use]
    pub fn memory_usage(&self) -> u64 {
        let streams = lock(&self.streams);
        streams.iter().map(|stream| stream.summary().used).sum()
    }

    /// Bytes that its streams may hold together.
    #[must_use]
    pub fn max_memory(&self) -> u64 {
        self.config.bytes_max
    }

    /// What it uses of its memory, if there is some left. Nobody has to ask:
    /// the limit holds in any case, and
    /// [`Observer::on_high`](crate::Observer::on_high) hears of the high
    /// watermark at the moment it is crossed.
    ///
    /// # Errors
    /// The limit is reached: nothing is left, or writers wait.
    pub fn check_memory_limit(&self) -> Result<MemoryUsage, ResourceExhausted> {
        let (used, limit) = (self.memory_usage(), self.max_memory());
        if used < limit && !self.meter.is_waited_for() {
            return Ok(MemoryUsage { used, limit });
        }
        let scope = Scope::Session;
        Err(ResourceExhausted { scope, used, limit })
    }

    /// The client is there: the session is not ended by its `init_timeout` any
    /// more.
    pub fn initialized(&self) {
        self.is_initialized.store(true, Ordering::Relaxed);
        self.touch();
    }

    /// Notes that the session is used.
    pub fn touch(&self) {
        self.used_ms
            .fetch_max(self.hub.coarse_ms(), Ordering::Relaxed);
    }

    /// Whether and why it has ended.
    #[must_use]
    pub fn end(&self) -> Option<EndReason> {
        *lock(&self.end)
    }

    /// Opens a stream. One that has ended makes room for it if there are too
    /// many: one without a reader first, and a reader that has not read all gets
    /// [`EndReason::Evicted`].
    ///
    /// # Errors
    /// The session has ended, or has as many live streams as it may have.
    #[track_caller]
    pub fn open_stream(self: &Arc<Self>) -> Result<(Tx, Rx), OpenStreamError> {
        self.touch();
        let siblings: Weak<dyn Siblings> = Arc::downgrade(&(Arc::clone(self) as Arc<dyn Siblings>));
        let birth = Birth {
            session: Some((self.number, Arc::clone(&self.meter), siblings)),
            origin: None,
            first_id: 1,
            created_at: Location::caller(),
        };
        let mut streams = lock(&self.streams);
        // An end takes the streams under the same lock.
        if let Some(reason) = self.end() {
            return Err(OpenStreamError::Ended(reason));
        }
        let mut gone = None;
        if streams.len() >= self.config.streams_max {
            let ended = (streams.iter().map(|stream| stream.summary()).enumerate())
                .filter(|(_, summary)| summary.end.is_some())
                .min_by_key(|(_, summary)| summary.attached);
            let limit = self.config.streams_max;
            let (ended, _) = ended.ok_or(OpenStreamError::TooManyStreams { limit })?;
            gone = Some(streams.remove(ended));
        }
        let stream = Stream::new(&self.hub, self.config.stream, birth);
        streams.push(Arc::clone(&stream));
        drop(streams);
        if let Some(gone) = gone {
            // Its reader may live on; what it holds goes with the session's place.
            gone.end(EndReason::Evicted);
        }
        Ok((Tx::first(&stream), Rx::first(stream)))
    }

    /// A reader that goes on behind the event `last` in the stream it is of.
    ///
    /// # Errors
    /// The event is not of this session, or its stream is gone.
    pub fn resume(&self, last: &EventId) -> Result<Resumed, ResumeError> {
        self.touch();
        if (last.origin.epoch, last.origin.session) != (self.hub.epoch, self.number) {
            return Err(ResumeError::Foreign);
        }
        let streams = lock(&self.streams);
        let stream = streams.iter().find(|stream| stream.origin == last.origin);
        let stream = Arc::clone(stream.ok_or(ResumeError::UnknownStream)?);
        drop(streams);
        resume(&stream, last.seq)
    }

    /// Ends the session: its readers are told, its writers get errors, what it
    /// holds goes back.
    pub fn close(&self) {
        self.end_with(EndReason::Closed);
    }

    fn end_with(&self, reason: EndReason) {
        let streams = {
            let mut streams = lock(&self.streams);
            let mut end = lock(&self.end);
            if end.is_some() {
                return;
            }
            *end = Some(reason);
            std::mem::take(&mut *streams)
        };
        for stream in &streams {
            stream.end(reason);
        }
        drop(streams);
        let key = lock(&self.timer).take();
        self.hub.remove_timer(key);
        if let Some(registry) = self.registry.upgrade() {
            registry.forget(&self.id, reason);
        }
        self.hub.tell(|observer| observer.on_session_ended(reason));
    }

    /// Whether a newer session may not take its place: it was used just now, or
    /// is being read.
    fn is_busy(&self, now_ms: u64) -> bool {
        let quiet_ms = now_ms.saturating_sub(self.used_ms.load(Ordering::Relaxed));
        let busy_for = self.config.busy_for;
        let is_read = |stream: &Arc<Stream>| {
            let summary = stream.summary();
            summary.attached && stream.unread_for(&summary) < busy_for
        };
        self.is_initialized.load(Ordering::Relaxed)
            && (quiet_ms < millis(busy_for) || lock(&self.streams).iter().any(is_read))
    }

    /// Lets go of streams that ended long ago, and finds out whether one of the
    /// others is read.
    fn sweep(&self, now_ms: u64) -> bool {
        let idle = self.config.idle_timeout;
        let mut is_read = false;
        let gone: Vec<Arc<Stream>> = lock(&self.streams)
            .extract_if(.., |stream| {
                let summary = stream.summary();
                is_read |= summary.attached && stream.unread_for(&summary) < idle;
                let kept_ms = now_ms.saturating_sub(summary.moved_ms);
                summary.end.is_some() && !summary.attached && kept_ms >= ENDED_KEEP_MS
            })
            .collect();
        drop(gone);
        is_read
    }

    fn limit_reached(&self, now_ms: u64) -> Option<EndReason> {
        let over =
            |since_ms: u64, limit: Duration| now_ms >= since_ms.saturating_add(millis(limit));
        let used_ms = self.used_ms.load(Ordering::Relaxed);
        if self
            .config
            .life_time
            .is_some_and(|limit| over(self.start_ms, limit))
        {
            Some(EndReason::LifeTime)
        } else if !self.is_initialized.load(Ordering::Relaxed) {
            over(self.start_ms, self.config.init_timeout).then_some(EndReason::NotInitialized)
        } else {
            over(used_ms, self.config.idle_timeout).then_some(EndReason::Idle)
        }
    }

    /// When the next limit may be reached, or streams that ended may go.
    fn due_ms(&self, now_ms: u64) -> u64 {
        let after = |since_ms: u64, limit: Duration| since_ms.saturating_add(millis(limit));
        let next = if self.is_initialized.load(Ordering::Relaxed) {
            after(
                self.used_ms.load(Ordering::Relaxed),
                self.config.idle_timeout,
            )
        } else {
            after(self.start_ms, self.config.init_timeout)
        };
        let life = self
            .config
            .life_time
            .map(|limit| after(self.start_ms, limit));
        next.min(life.unwrap_or(u64::MAX))
            .min(now_ms + ENDED_KEEP_MS)
    }
}

impl Expire for StreamingSession {
    fn expire(&self, now_ms: u64) -> Option<u64> {
        if self.sweep(now_ms) {
            self.used_ms.fetch_max(now_ms, Ordering::Relaxed);
        }
        if self.end().is_some() {
            return None;
        }
        if let Some(reason) = self.limit_reached(now_ms) {
            self.end_with(reason);
            return None;
        }
        Some(self.due_ms(now_ms))
    }

    fn is_over(&self) -> bool {
        self.end().is_some()
    }

    fn timer(&self) -> &Mutex<Option<Key>> {
        &self.timer
    }
}

/// A stream of the session is short of the session's memory: the others give up
/// what nobody waits for.
impl Siblings for StreamingSession {
    fn streams(&self) -> Vec<Arc<Stream>> {
        lock(&self.streams).clone()
    }

    fn make_room(&self) {
        let streams = self.streams();
        let shed = streams.iter().map(|stream| stream.shed()).sum();
        self.hub.tell_shed(shed);
    }
}

impl Drop for StreamingSession {
    fn drop(&mut self) {
        self.end_with(EndReason::Closed);
    }
}

impl fmt::Debug for StreamingSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamingSession")
            .field("id", &self.id)
            .field("start_time", &self.start_time)
            .field("memory_usage", &self.memory_usage())
            .field("max_memory", &self.max_memory())
            .field("end", &self.end())
            .finish_non_exhaustive()
    }
}
