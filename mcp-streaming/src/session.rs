//! A session: some streams of one client under one limit, with an end.

use crate::{
    EndReason, EventId, ResourceExhausted, ResumeError, Resumed, Rx, Scope, StreamConfig, Tx,
    hub::Hub,
    meter::{Marks, Meter},
    resume::resume,
    stream::{Birth, Siblings, Stream},
    sync::{Mutex, lock},
    wheel::Key,
};
use std::{
    any::Any,
    fmt,
    panic::Location,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::SystemTime,
};
use thiserror::Error;

mod config;
mod id;
mod limits;
mod registry;
mod routes;

pub use config::SessionConfig;
pub use id::{ParseSessionIdError, SessionId};
pub use registry::{OpenError, Sessions, SessionsStats};

use registry::Registry;

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

/// What the sessions of a registry share.
struct Shared {
    hub: Arc<Hub>,
    config: SessionConfig,
    /// The part of it that every stream needs.
    stream: Arc<StreamConfig>,
    /// Of each session's limit.
    marks: Arc<Marks>,
    registry: Weak<Registry>,
}

/// The streams of a session, until it ends.
#[derive(Default)]
struct State {
    streams: Vec<Arc<Stream>>,
    end: Option<EndReason>,
    attachment: Option<Arc<dyn Any + Send + Sync>>,
}

/// One client's session, made by [`Sessions::open`]. It has no task and no
/// timer of its own: the budget's wheel ends it when it is not initialized in
/// time, not used, or too old, and everything it holds goes back.
pub struct StreamingSession {
    id: SessionId,
    /// What its event ids carry; no secret.
    number: u32,
    owner: Arc<str>,
    start_ms: u64,
    meter: Arc<Meter>,
    shared: Arc<Shared>,
    used_ms: AtomicU64,
    is_initialized: AtomicBool,
    state: Mutex<State>,
    timer: Mutex<Option<Key>>,
}

impl StreamingSession {
    fn new(id: SessionId, number: u32, owner: Arc<str>, shared: &Arc<Shared>) -> Arc<Self> {
        let now_ms = shared.hub.now_ms();
        let session = Arc::new(Self {
            id,
            number,
            owner,
            start_ms: now_ms,
            meter: Arc::new(Meter::new(&shared.marks)),
            used_ms: AtomicU64::new(now_ms),
            is_initialized: AtomicBool::new(false),
            state: Mutex::new(State::default()),
            timer: Mutex::new(None),
            shared: Arc::clone(shared),
        });
        shared.hub.set_timer(session.due_ms(now_ms), &session);
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
        self.shared.hub.wall_time(self.start_ms)
    }

    /// Bytes that its streams hold now.
    #[must_use]
    pub fn memory_usage(&self) -> u64 {
        let state = lock(&self.state);
        let used = state.streams.iter().map(|stream| stream.summary().used);
        used.sum()
    }

    /// Bytes that its streams may hold together.
    #[must_use]
    pub fn max_memory(&self) -> u64 {
        self.shared.config.bytes_max
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
            .fetch_max(self.shared.hub.coarse_ms(), Ordering::Relaxed);
    }

    /// Keeps `attachment` with the session, in the place of the one before, until the session
    /// ends: what its user knows of the client. An attachment that holds the session keeps it
    /// from being dropped, not from ending.
    pub fn attach(&self, attachment: Arc<dyn Any + Send + Sync>) {
        let mut state = lock(&self.state);
        let gone = match state.end {
            None => state.attachment.replace(attachment),
            Some(_) => Some(attachment),
        };
        drop(state);
        drop(gone);
    }

    /// What is kept with the session, if it is a `T` and the session has not ended.
    #[must_use]
    pub fn attachment<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let attachment = lock(&self.state).attachment.clone();
        attachment?.downcast().ok()
    }

    /// Whether and why it has ended.
    #[must_use]
    pub fn end(&self) -> Option<EndReason> {
        lock(&self.state).end
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
        let mut state = lock(&self.state);
        if let Some(reason) = state.end {
            return Err(OpenStreamError::Ended(reason));
        }
        let streams = &mut state.streams;
        let mut gone = None;
        if streams.len() >= self.shared.config.streams_max {
            let ended = (streams.iter().map(|stream| stream.summary()).enumerate())
                .filter(|(_, summary)| summary.end.is_some())
                .min_by_key(|(_, summary)| summary.attached);
            let limit = self.shared.config.streams_max;
            let (ended, _) = ended.ok_or(OpenStreamError::TooManyStreams { limit })?;
            gone = Some(streams.remove(ended));
        }
        if streams.capacity() == 0 {
            // Most clients have one stream at a time.
            streams.reserve_exact(1);
        }
        let stream = Stream::new(&self.shared.hub, &self.shared.stream, birth);
        streams.push(Arc::clone(&stream));
        drop(state);
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
        if (last.origin.epoch, last.origin.session) != (self.shared.hub.epoch, self.number) {
            return Err(ResumeError::Foreign);
        }
        let state = lock(&self.state);
        let mut streams = state.streams.iter();
        let stream = streams.find(|stream| stream.origin == last.origin);
        let stream = Arc::clone(stream.ok_or(ResumeError::UnknownStream)?);
        drop(state);
        resume(&stream, last.seq)
    }

    /// Ends the session: its readers are told, its writers get errors, what it
    /// holds goes back.
    pub fn close(&self) {
        self.end_with(EndReason::Closed);
    }

    fn end_with(&self, reason: EndReason) {
        let (streams, attachment) = {
            let mut state = lock(&self.state);
            if state.end.is_some() {
                return;
            }
            state.end = Some(reason);
            (std::mem::take(&mut state.streams), state.attachment.take())
        };
        drop(attachment);
        for stream in &streams {
            stream.end(reason);
        }
        drop(streams);
        let key = lock(&self.timer).take();
        self.shared.hub.remove_timer(key);
        if let Some(registry) = self.shared.registry.upgrade() {
            registry.forget(&self.id, reason);
        }
        self.shared
            .hub
            .tell(|observer| observer.on_session_ended(reason));
    }
}

impl routes::Owned for Arc<StreamingSession> {
    fn owner(&self) -> &Arc<str> {
        &self.owner
    }
}

/// A stream of the session is short of the session's memory: the others give up
/// what nobody waits for.
impl Siblings for StreamingSession {
    fn streams(&self) -> Vec<Arc<Stream>> {
        lock(&self.state).streams.clone()
    }

    fn make_room(&self) {
        let streams = self.streams();
        let shed = streams.iter().map(|stream| stream.shed()).sum();
        self.shared.hub.tell_shed(shed);
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
            .field("start_time", &self.start_time())
            .field("memory_usage", &self.memory_usage())
            .field("max_memory", &self.max_memory())
            .field("end", &self.end())
            .finish_non_exhaustive()
    }
}
