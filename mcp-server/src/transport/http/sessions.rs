//! Sessions of clients from before revision 2026-07-28: how many, which one makes room, and which
//! way of opening streams each of them can bear.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{Full, combinators::BoxBody};
use rmcp::{
    ServerHandler,
    model::ProtocolVersion,
    transport::streamable_http_server::{
        SessionId, SessionManager, StreamableHttpServerConfig, StreamableHttpService,
        session::local::{LocalSessionManager, SessionConfig},
    },
};
use serde::Deserialize;
use tokio::time::Instant;

use crate::{
    call::Lane,
    client::{Client, Clients, Transport},
    config::HttpConfig,
    live::Live,
    memory::Owner,
};

/// The header that names a session.
pub(super) const SESSION_ID: &str = "mcp-session-id";
/// A session that was used this recently does not make room for a new one.
const BUSY: Duration = Duration::from_secs(60);
/// How long a client should wait before it resumes a stream that broke.
const RETRY: Duration = Duration::from_secs(3);

pub(super) type RmcpResponse = Response<BoxBody<Bytes, Infallible>>;

/// rmcp's side of the endpoint, and what it does not keep: a bound and the time of last use.
pub(super) struct Sessions<H> {
    /// For revision 2025-11-25 and later: streams begin with an event that carries only an id.
    primed: Half<H>,
    /// For older clients, which take such an event for a broken message.
    plain: Half<H>,
    config: Live<HttpConfig>,
    opening: AtomicUsize,
    used: Mutex<HashMap<SessionId, Used>>,
    clients: Clients,
}

/// What is kept of a session.
struct Used {
    last: Instant,
    client: Client,
}

struct Half<H> {
    service: StreamableHttpService<H, LocalSessionManager>,
    manager: Arc<LocalSessionManager>,
}

/// All sessions are in use.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoRoom {
    pub(super) open: usize,
}

impl<H: ServerHandler + Clone> Sessions<H> {
    pub(super) fn new(
        handler: &H,
        rmcp_config: &StreamableHttpServerConfig,
        config: Live<HttpConfig>,
        clients: Clients,
    ) -> Self {
        let idle_timeout = config.load().session_idle_timeout;
        let half = |retry| Half::new(handler.clone(), rmcp_config.clone(), idle_timeout, retry);
        Self {
            primed: half(Some(RETRY)),
            plain: half(None),
            config,
            opening: AtomicUsize::new(0),
            used: Mutex::default(),
            clients,
        }
    }

    /// Hands a request that opens no session to rmcp.
    pub(super) async fn handle<B>(&self, request: Request<B>) -> RmcpResponse
    where
        B: http_body::Body + Send + 'static,
        B::Error: std::fmt::Display,
    {
        let Some(id) = session_id(request.headers()) else {
            return self.primed.service.handle(request).await;
        };
        if let Some(used) = self.used().get_mut(&id) {
            used.last = Instant::now();
        }
        match self.plain.has(&id).await {
            true => self.plain.service.handle(request).await,
            false => self.primed.service.handle(request).await,
        }
    }

    /// The lane of the session that a call belongs to, if it belongs to one. Counts the call.
    pub(super) fn lane_of_call(&self, headers: &HeaderMap) -> Option<Lane> {
        let used = self.used();
        let client = &used.get(&session_id(headers)?)?.client;
        client.count_call();
        Some(client.lane())
    }

    /// Whose session the request names, if it names one.
    pub(super) fn owner_of(&self, headers: &HeaderMap) -> Option<Owner> {
        let id = session_id(headers)?;
        Some(self.used().get(&id)?.client.owner().clone())
    }

    /// Opens a session of `owner` with an `initialize` request of a client of `lane`, if there is room or an
    /// idle session makes some.
    pub(super) async fn open(
        &self,
        request: Request<Full<Bytes>>,
        body: &[u8],
        lane: Lane,
        owner: Owner,
    ) -> Result<RmcpResponse, NoRoom> {
        let _opening = Opening::start(&self.opening);
        self.make_room().await?;
        let half = match wants_priming(body) {
            true => &self.primed,
            false => &self.plain,
        };
        let response = half.service.handle(request).await;
        if let Some(id) = session_id(response.headers()) {
            let used = Used {
                last: Instant::now(),
                client: self.clients.connect(owner, lane, Transport::Http),
            };
            self.used().insert(id, used);
        }
        Ok(response)
    }

    /// Whether the request names a session that is there.
    pub(super) async fn has(&self, headers: &HeaderMap) -> bool {
        match session_id(headers) {
            Some(id) => self.plain.has(&id).await || self.primed.has(&id).await,
            None => false,
        }
    }

    /// Forgets a session that its client has ended.
    pub(super) fn forget(&self, headers: &HeaderMap) {
        if let Some(id) = session_id(headers) {
            self.used().remove(&id);
        }
    }

    /// Closes sessions, the longest idle first, until one more fits.
    async fn make_room(&self) -> Result<(), NoRoom> {
        let max = self.config.load().sessions_max;
        loop {
            let open = self.forget_closed().await;
            let known = self.used().len();
            // A session may be counted as open and as being opened: the bound errs on its safe side.
            if open.max(known) + self.opening.load(Ordering::Relaxed) <= max {
                return Ok(());
            }
            let longest_idle = self
                .used()
                .iter()
                .min_by_key(|(_, used)| used.last)
                .filter(|(_, used)| used.last.elapsed() >= BUSY)
                .map(|(id, _)| id.clone());
            let Some(id) = longest_idle else {
                return Err(NoRoom { open });
            };
            self.used().remove(&id);
            for half in [&self.plain, &self.primed] {
                if let Err(error) = half.manager.close_session(&id).await {
                    tracing::debug!(%error, "an idle session did not close");
                }
            }
            tracing::info!("closed the longest idle session to make room for a new one");
        }
    }

    /// Forgets when sessions were used that have ended, and counts the others.
    async fn forget_closed(&self) -> usize {
        let plain = self.plain.manager.sessions.read().await;
        let primed = self.primed.manager.sessions.read().await;
        let open = plain.len() + primed.len();
        self.used()
            .retain(|id, _| plain.contains_key(id) || primed.contains_key(id));
        open
    }

    fn used(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Used>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H: ServerHandler + Clone> Half<H> {
    fn new(
        handler: H,
        rmcp_config: StreamableHttpServerConfig,
        idle_timeout: Duration,
        retry: Option<Duration>,
    ) -> Self {
        let mut session_config = SessionConfig::default();
        session_config.keep_alive = Some(idle_timeout);
        session_config.sse_retry = retry;
        let mut manager = LocalSessionManager::default();
        manager.session_config = session_config;
        let manager = Arc::new(manager);
        let service = StreamableHttpService::new(
            move || Ok(handler.clone()),
            manager.clone(),
            rmcp_config.with_sse_retry(retry),
        );
        Self { service, manager }
    }
}

impl<H> Half<H> {
    async fn has(&self, id: &SessionId) -> bool {
        self.manager.sessions.read().await.contains_key(id)
    }
}

/// Counts a session that is being opened, until it is open or refused.
struct Opening<'a>(&'a AtomicUsize);

impl<'a> Opening<'a> {
    fn start(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn session_id(headers: &HeaderMap) -> Option<SessionId> {
    let id = headers.get(SESSION_ID)?.to_str().ok()?;
    Some(id.to_owned().into())
}

/// Whether the client asks for a revision that knows events without a message.
fn wants_priming(initialize: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Initialize<'a> {
        #[serde(borrow)]
        params: Params<'a>,
    }
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow, rename = "protocolVersion")]
        protocol_version: std::borrow::Cow<'a, str>,
    }
    serde_json::from_slice::<Initialize<'_>>(initialize).is_ok_and(|initialize| {
        // Revisions are dates: they compare as text.
        *initialize.params.protocol_version >= *ProtocolVersion::V_2025_11_25.as_str()
    })
}

#[cfg(test)]
mod tests {
    use rmcp::model::ServerConfig;

    use super::*;

    #[derive(Debug, Clone)]
    struct Nothing;

    impl ServerHandler for Nothing {
        fn get_info(&self) -> ServerConfig {
            ServerConfig::default()
        }
    }

    fn sessions(sessions_max: usize) -> Sessions<Nothing> {
        let config = HttpConfig {
            sessions_max,
            ..HttpConfig::default()
        };
        let rmcp_config = StreamableHttpServerConfig::default();
        Sessions::new(&Nothing, &rmcp_config, config.into(), Clients::default())
    }

    async fn open(sessions: &Sessions<Nothing>, version: &str) -> Result<HeaderMap, NoRoom> {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"{version}","capabilities":{{}},"clientInfo":{{"name":"x","version":"1"}}}}}}"#
        );
        let request = Request::post("/mcp")
            .header("host", "localhost")
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .body(Full::new(Bytes::from(body.clone())))
            .unwrap();
        let response = sessions
            .open(request, body.as_bytes(), Lane::Other, Owner::local())
            .await?;
        let mut headers = HeaderMap::new();
        headers.insert(SESSION_ID, response.headers()[SESSION_ID].clone());
        Ok(headers)
    }

    async fn use_again(sessions: &Sessions<Nothing>, session: &HeaderMap) {
        let mut request = Request::post("/mcp").body(Full::new(Bytes::new())).unwrap();
        request.headers_mut().clone_from(session);
        // Refused for its missing headers; it counts as a use all the same.
        sessions.handle(request).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_session_makes_room() {
        let sessions = sessions(2);
        let first = open(&sessions, "2025-11-25").await.unwrap();
        let second = open(&sessions, "2025-06-18").await.unwrap();
        // Both are busy.
        let full = open(&sessions, "2025-11-25").await.unwrap_err();
        assert_eq!(full, NoRoom { open: 2 });

        tokio::time::advance(BUSY).await;
        use_again(&sessions, &first).await;
        let third = open(&sessions, "2025-11-25").await.unwrap();
        assert!(sessions.has(&first).await);
        assert!(!sessions.has(&second).await);
        assert!(sessions.has(&third).await);
        assert!(open(&sessions, "2025-11-25").await.is_err());
    }

    #[test]
    fn only_newer_clients_are_primed() {
        for (version, primed) in [
            ("2024-11-05", false),
            ("2025-06-18", false),
            ("2025-11-25", true),
            ("2026-07-28", true),
        ] {
            let body = format!(r#"{{"params":{{"protocolVersion":"{version}"}}}}"#);
            assert_eq!(wants_priming(body.as_bytes()), primed, "{version}");
        }
        assert!(!wants_priming(b"{}"));
    }
}
