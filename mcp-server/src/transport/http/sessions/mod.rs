//! Sessions of clients from before revision 2026-07-28. A session is a record: no service and no task
//! lives between its requests.

mod batch;
mod headers;
mod message;
mod open;
mod record;
mod reply;
mod service;
mod sink;
mod streams;

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use mcp_streaming::{
    Budget, BudgetConfig, ConfigError, SessionConfig, SessionId, SlowConsumer, StreamConfig,
    StreamingSession,
};
use rmcp::{
    ServerHandler,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::record::{Kept, Record};
use crate::{
    call::Lane, client::Clients, config::HttpConfig, live::Live, memory::Owner, monitoring::Parts,
    ports::Observed, protocol::Front,
};

pub use self::sink::{SessionSink, SinkError};
pub(super) use self::{
    batch::Batch,
    headers::{is_of_a_session, refuse},
    message::Message,
    open::NoRoom,
    reply::Reply,
};

/// The header that names a session.
pub(super) const SESSION_ID: &str = "mcp-session-id";
/// A session that was used this recently does not make room for a new one.
const BUSY: Duration = Duration::from_secs(60);
/// How long a client may take from `initialize` to `initialized`.
const INIT_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a stream may be full before who writes to it is told so.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Streams of one session that are open, or can still be resumed.
const STREAMS_MAX: usize = 32;
/// Bytes of a stream that were read and can be sent again.
const REPLAY_BYTES_MAX: u64 = 256 << 10;

pub(super) type RmcpResponse = Response<BoxBody<Bytes, Infallible>>;

/// The sessions, and rmcp for all that is of none.
pub(super) struct Sessions<H> {
    handler: H,
    front: Option<Front>,
    open: mcp_streaming::Sessions,
    budget: Budget,
    stateless: Stateless<H>,
    /// Answers `initialize` without a session of its own.
    opening: Stateless<H>,
    config: Live<HttpConfig>,
    clients: Clients,
    /// Requests at work. Each ends with its session, and those with `streams`.
    work: TaskTracker,
    streams: CancellationToken,
}

type Stateless<H> = StreamableHttpService<H, NeverSessionManager>;

/// A session that is open.
#[derive(Debug, Clone)]
pub(super) struct Open {
    session: Arc<StreamingSession>,
    record: Arc<Record>,
}

impl Open {
    /// The lane of the session's client.
    pub(super) fn lane(&self) -> Lane {
        self.record.client.lane()
    }

    /// Counts a call of the session's client.
    pub(super) fn count_call(&self) {
        self.record.client.count_call();
    }

    /// Whether the client may send several messages at once.
    pub(super) fn has_batches(&self) -> bool {
        self.record.has_batches()
    }
}

impl<H: ServerHandler + Clone> Sessions<H> {
    /// Streams and the work for clients that have left end with `rmcp_config`'s token.
    ///
    /// # Errors
    ///
    /// When the settings of sessions make no sense.
    pub(super) fn new(
        handler: &H,
        front: Option<Front>,
        rmcp_config: &StreamableHttpServerConfig,
        config: Live<HttpConfig>,
        clients: Clients,
    ) -> Result<Self, ConfigError> {
        let streams = rmcp_config.cancellation_token.clone();
        let stateless = |sessions| {
            let handler = handler.clone();
            let rmcp_config = rmcp_config.clone().with_legacy_session_mode(sessions);
            let never = Arc::new(NeverSessionManager::default());
            Stateless::new(move || Ok(handler.clone()), never, rmcp_config)
        };
        let (open, budget) = registry(&config.load())?;
        Ok(Self {
            handler: handler.clone(),
            front,
            open,
            budget,
            stateless: stateless(true),
            opening: stateless(false),
            config,
            clients,
            work: TaskTracker::new(),
            streams,
        })
    }

    /// The registry of sessions, to end them all.
    pub(super) fn registry(&self) -> mcp_streaming::Sessions {
        self.open.clone()
    }

    /// What says how the sessions do.
    pub(super) fn observed(&self) -> Arc<dyn Observed> {
        Arc::new(Held {
            sessions: self.open.clone(),
            budget: self.budget.clone(),
        })
    }

    /// Hands a request that is of no session to rmcp.
    pub(super) async fn stateless<B>(&self, request: Request<B>) -> RmcpResponse
    where
        B: http_body::Body + Send + 'static,
        B::Error: std::fmt::Display,
    {
        self.stateless.handle(request).await
    }

    /// The session of `owner` that a request names, if it is there; it counts as used.
    pub(super) fn find(&self, headers: &HeaderMap, owner: &Owner) -> Option<Open> {
        let id: SessionId = headers.get(SESSION_ID)?.to_str().ok()?.parse().ok()?;
        let session = self.open.get(owner.as_str(), &id)?;
        let record = session.attachment::<Kept>()?.record.clone();
        Some(Open { session, record })
    }

    /// Ends a session; the answer to a DELETE.
    pub(super) fn close(&self, open: &Open) -> Response<Body> {
        let owner = open.record.client.owner();
        self.open.close(owner.as_str(), open.session.id());
        message::status(StatusCode::NO_CONTENT)
    }
}

/// What the sessions hold.
struct Held {
    sessions: mcp_streaming::Sessions,
    budget: Budget,
}

impl Observed for Held {
    fn observe(&self, parts: &mut Parts) {
        parts.sessions = self.sessions.stats().into();
        parts.streams = self.budget.stats().into();
    }
}

fn registry(config: &HttpConfig) -> Result<(mcp_streaming::Sessions, Budget), ConfigError> {
    let budget = Budget::new(&BudgetConfig {
        bytes_max: config.sessions_bytes_max,
        ..BudgetConfig::default()
    })?;
    let session_config = SessionConfig {
        bytes_max: config.session_bytes_max,
        stream: StreamConfig {
            // One stream leaves room for the others.
            bytes_max: config.session_bytes_max / 2,
            replay_bytes_max: REPLAY_BYTES_MAX.min(config.session_bytes_max / 2),
            slow_consumer: SlowConsumer::Coalesce {
                at_most: STALL_TIMEOUT,
            },
            idle_timeout: None,
        },
        streams_max: STREAMS_MAX,
        sessions_max: config.sessions_max.max(1),
        sessions_per_owner_max: config.sessions_per_client_max.max(1),
        busy_for: BUSY.min(config.session_idle_timeout),
        init_timeout: INIT_TIMEOUT,
        idle_timeout: config.session_idle_timeout,
        life_time: None,
    };
    let sessions = mcp_streaming::Sessions::new(&budget, &session_config)?;
    Ok((sessions, budget))
}
