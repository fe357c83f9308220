//! One upstream, reached over a connection that is made when it is needed.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use rmcp::model::{CallToolRequestParams, CallToolResponse, JsonObject};
use tokio::{
    sync::{Mutex as AsyncMutex, Notify, Semaphore},
    time::{Instant, timeout},
};

use super::{
    Attempts, Dial, Listed, Listener, Manifest, RemoteTool, Until, UpstreamError, link::Link,
    random::chance,
};
use crate::{
    call::{Call, Elsewhere},
    monitoring::Parts,
    ports::Upstream,
};

/// The bounds of a session.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// How long a connection may take to be ready.
    pub connect_timeout: Duration,
    /// How long a call may take, the connection included.
    pub call_timeout: Duration,
    /// Calls at work at once.
    pub in_flight_max: usize,
    /// Tools that are taken from a list.
    pub tools_max: usize,
    /// How long a list is fresh if the upstream does not say.
    pub ttl: Duration,
}

/// The longest that a list is taken for fresh, whatever the upstream says.
const TTL_MAX: Duration = Duration::from_secs(24 * 3_600);

/// An upstream behind one connection at a time, over which many calls go at once. It is opened by
/// the first who needs it, and again when it broke; how often that is tried is bounded.
pub struct Session {
    dial: Box<dyn Dial>,
    bounds: Bounds,
    link: ArcSwapOption<Link>,
    /// One attempt at a time; the others wait for what comes of it.
    connecting: AsyncMutex<()>,
    attempts: Mutex<Attempts>,
    /// Whether `attempts` has anything to forget.
    troubled: AtomicBool,
    in_flight: Semaphore,
    changed: Arc<Notify>,
    closed: AtomicBool,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// An upstream that `dial` connects to, as often as `attempts` lets it. `changed` is told when
    /// its list of tools is another one.
    #[must_use]
    pub fn new(
        dial: Box<dyn Dial>,
        bounds: Bounds,
        attempts: Attempts,
        changed: Arc<Notify>,
    ) -> Self {
        Self {
            in_flight: Semaphore::new(bounds.in_flight_max.min(Semaphore::MAX_PERMITS)),
            dial,
            bounds,
            link: ArcSwapOption::empty(),
            connecting: AsyncMutex::new(()),
            attempts: Mutex::new(attempts),
            troubled: AtomicBool::new(false),
            changed,
            closed: AtomicBool::new(false),
        }
    }

    /// The connection, or a new one if there is none that works.
    async fn link(&self) -> Result<Arc<Link>, UpstreamError> {
        if let Some(link) = self.open_link() {
            return Ok(link);
        }
        let _one = self.connecting.lock().await;
        if let Some(link) = self.open_link() {
            return Ok(link);
        }
        if self.closed.load(Ordering::Acquire) {
            return Err(UpstreamError::Removed);
        }
        self.may_try()?;
        if let Some(broken) = self.link.swap(None) {
            broken.close().await;
        }
        let limit = self.bounds.connect_timeout;
        let listener = Listener::new(self.changed.clone());
        let dialled = timeout(limit, self.dial.dial(listener.clone())).await;
        match dialled.unwrap_or(Err(UpstreamError::Timeout { limit })) {
            Ok(connection) => {
                let link = Arc::new(Link::new(connection, listener));
                self.link.store(Some(link.clone()));
                Ok(link)
            }
            Err(error) => {
                self.failed(&error);
                Err(error)
            }
        }
    }

    fn open_link(&self) -> Option<Arc<Link>> {
        let link = self.link.load_full()?;
        link.is_open().then_some(link)
    }

    fn may_try(&self) -> Result<(), UpstreamError> {
        let now = Instant::now();
        let until = match self.attempts().may_try(now) {
            Ok(()) => return Ok(()),
            Err(until) => until,
        };
        let reason = match until {
            Until::Moment(until) => {
                let seconds = until.saturating_duration_since(now).as_secs() + 1;
                format!("the next attempt is in {seconds} s")
            }
            Until::Asked => "it refused these credentials: correct them, then call \
                             connector_refresh"
                .to_owned(),
        };
        Err(UpstreamError::LeftAlone { reason })
    }

    fn failed(&self, error: &UpstreamError) {
        self.troubled.store(true, Ordering::Release);
        self.attempts().failed(error, Instant::now(), chance());
    }

    fn succeeded(&self) {
        if self.troubled.swap(false, Ordering::AcqRel) {
            self.attempts().succeeded();
        }
    }

    async fn list(&self, link: &Link) -> Result<Manifest, UpstreamError> {
        let limit = self.bounds.connect_timeout;
        let listed = timeout(limit, link.list(self.bounds.tools_max)).await;
        listed.unwrap_or(Err(UpstreamError::Timeout { limit }))
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Upstream for Session {
    async fn tools(&self, _anew: bool) -> Result<Listed, UpstreamError> {
        let link = self.link().await?;
        match self.list(&link).await {
            Ok(manifest) => {
                self.succeeded();
                let ttl = manifest.ttl.unwrap_or(self.bounds.ttl).min(TTL_MAX);
                Ok(Listed {
                    fresh_until: manifest.asked_at + ttl,
                    manifest: Arc::new(manifest),
                    stale: None,
                })
            }
            Err(error) => {
                self.failed(&error);
                // Whatever it says next on this connection would be no better.
                self.link.store(None);
                link.close().await;
                Err(error)
            }
        }
    }

    async fn call(
        &self,
        call: &Call,
        tool: &RemoteTool,
        arguments: JsonObject,
    ) -> Result<CallToolResponse, UpstreamError> {
        let limit = self.bounds.in_flight_max;
        let Ok(_permit) = self.in_flight.try_acquire() else {
            return Err(UpstreamError::Overloaded { limit });
        };
        let limit = self.bounds.call_timeout;
        let elsewhere = Elsewhere::begin(&call.notes);
        let called = async {
            let link = self.link().await?;
            if tool.repeats_arguments && !link.has_listed() {
                self.list(&link).await?;
            }
            let name = tool.description.name.clone();
            let params = CallToolRequestParams::new(name).with_arguments(arguments);
            link.call(call, params).await
        };
        let called = timeout(limit, called).await;
        drop(elsewhere);
        let called = called.unwrap_or(Err(UpstreamError::Timeout { limit }));
        if called.is_ok() {
            self.succeeded();
        }
        called
    }

    fn pause(&self) -> Option<Until> {
        self.attempts().may_try(Instant::now()).err()
    }

    fn asked(&self) {
        self.attempts().asked();
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let _one = self.connecting.lock().await;
        if let Some(link) = self.link.swap(None) {
            link.close().await;
        }
        self.dial.close().await;
    }

    fn observe(&self, name: &str, parts: &mut Parts) {
        self.dial.observe(name, parts);
    }
}
