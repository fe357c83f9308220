//! One connection to an upstream, from its first exchange to its end.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rmcp::{
    RoleClient,
    model::{
        CacheScope, CallToolRequest, CallToolRequestParams, CallToolResponse,
        CancelledNotification, CancelledNotificationParam, ClientNotification, ClientRequest,
        ListToolsRequest, ListToolsResult, PaginatedRequestParams, ProtocolVersion, RequestId,
        RequestMetaObject, ServerResult, SubscriptionFilter,
    },
    service::{Peer, PeerRequestOptions},
};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Connection, Listener, Manifest, RemoteTool, UpstreamError, failure};
use crate::{call::Call, trace::TRACEPARENT};

/// The most pages of a list that are asked for.
const PAGES_MAX: usize = 1_000;
/// The most JSON of a whole list, in bytes: it is held in memory and given to every client.
const LIST_BYTES_MAX: usize = 16 << 20;
/// How long the last words on a connection may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// The least and the longest pause before a stream of news that has ended is opened again.
const LISTEN_AGAIN: Duration = Duration::from_secs(10);
const LISTEN_AGAIN_MAX: Duration = Duration::from_secs(600);

/// A connection that is ready for requests.
pub(super) struct Link {
    peer: Peer<RoleClient>,
    connection: tokio::sync::Mutex<Connection>,
    listener: Listener,
    listed: AtomicBool,
    /// Ends what runs beside the calls.
    ended: CancellationToken,
    tasks: TaskTracker,
}

impl Link {
    pub(super) fn new(connection: Connection, listener: Listener) -> Self {
        let link = Self {
            peer: connection.peer().clone(),
            connection: tokio::sync::Mutex::new(connection),
            listener,
            listed: AtomicBool::new(false),
            ended: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        if link.is_modern() && link.announces_changes() {
            let news = news(link.peer.clone(), link.listener.clone());
            let ended = link.ended.clone();
            link.tasks
                .spawn(async move { ended.run_until_cancelled(news).await });
        }
        link
    }

    pub(super) fn is_open(&self) -> bool {
        !self.peer.is_transport_closed()
    }

    /// Whether the client of this connection has heard of the tools.
    pub(super) fn has_listed(&self) -> bool {
        self.listed.load(Ordering::Acquire)
    }

    /// Says good-bye, and ends what runs beside the calls.
    pub(super) async fn close(&self) {
        self.ended.cancel();
        self.tasks.close();
        let mut connection = self.connection.lock().await;
        // One that does not answer even that is left: dropping it ends it.
        let _ = connection.close_with_timeout(CLOSE_TIMEOUT).await;
        self.tasks.wait().await;
    }

    /// All tools, up to `tools_max`.
    pub(super) async fn list(&self, tools_max: usize) -> Result<Manifest, UpstreamError> {
        let asked_at = Instant::now();
        let mut manifest = self.empty_manifest(asked_at);
        let mut names = HashSet::new();
        let mut cursors = HashSet::new();
        let mut cursor = None;
        let mut bytes = 0;
        for _ in 0..PAGES_MAX {
            let page = self.page(cursor.take()).await?;
            if let Some(ttl) = page.ttl_ms.map(Duration::from_millis) {
                manifest.ttl = Some(manifest.ttl.map_or(ttl, |least| least.min(ttl)));
            }
            if page.cache_scope == Some(CacheScope::Private) {
                manifest.scope = CacheScope::Private;
            }
            for tool in page.tools {
                if manifest.tools.len() == tools_max {
                    tracing::warn!(
                        server = manifest.server,
                        tools_max,
                        "it has more tools than connectors.tools_max: the others are left out"
                    );
                    self.listed.store(true, Ordering::Release);
                    return Ok(manifest);
                }
                bytes += serde_json::to_vec(&tool).map_or(0, |json| json.len());
                if bytes > LIST_BYTES_MAX {
                    return Err(UpstreamError::Protocol {
                        reason: format!("its list of tools has more than {LIST_BYTES_MAX} bytes"),
                    });
                }
                if names.insert(tool.name.clone()) {
                    manifest.tools.push(Arc::new(RemoteTool::new(tool)));
                }
            }
            let Some(next) = page.next_cursor else {
                self.listed.store(true, Ordering::Release);
                return Ok(manifest);
            };
            if !cursors.insert(next.clone()) {
                break;
            }
            cursor = Some(next);
        }
        Err(UpstreamError::Protocol {
            reason: "its list of tools has no end".to_owned(),
        })
    }

    async fn page(&self, cursor: Option<String>) -> Result<ListToolsResult, UpstreamError> {
        let mut request = ListToolsRequest::default();
        if let Some(cursor) = cursor {
            request.params = Some(PaginatedRequestParams::default().with_cursor(Some(cursor)));
        }
        let request = ClientRequest::ListToolsRequest(request);
        match self.peer.send_request(request).await {
            Ok(ServerResult::ListToolsResult(page)) => Ok(page),
            Ok(_) => Err(UpstreamError::Protocol {
                reason: "what it sent is no list of tools".to_owned(),
            }),
            Err(error) => Err(failure::of_request(error)),
        }
    }

    fn empty_manifest(&self, asked_at: Instant) -> Manifest {
        let info = self.peer.peer_info();
        let name = info.as_ref().map(|info| info.server_info.clone());
        let version = info.as_ref().map(|info| info.protocol_version.clone());
        Manifest {
            server: name
                .flatten()
                .map(|server| failure::shortened(&format!("{} {}", server.name, server.version)))
                .unwrap_or_default(),
            protocol: version
                .map(|version| version.to_string())
                .unwrap_or_default(),
            tools: Vec::new(),
            ttl: None,
            scope: CacheScope::Public,
            asked_at,
        }
    }

    /// Calls a tool. When the future is dropped, the upstream is told that nobody waits.
    pub(super) async fn call(
        &self,
        call: &Call,
        mut params: CallToolRequestParams,
    ) -> Result<CallToolResponse, UpstreamError> {
        let mut options = PeerRequestOptions::no_options();
        let exchange = call.exchange.as_deref();
        let mut meta = RequestMetaObject::default();
        if let Some(child) = call.trace.and_then(|trace| trace.child()) {
            meta.insert(TRACEPARENT.to_owned(), child.to_string().into());
        }
        if let Some(exchange) = exchange {
            params.input_responses.clone_from(&exchange.input_responses);
            params.request_state.clone_from(&exchange.request_state);
            if let Some(capabilities) = &exchange.capabilities
                && self.is_modern()
            {
                let mut carried = capabilities.clone();
                // What they allow, such as tasks, is not carried through.
                carried.extensions = None;
                carried.experimental = None;
                meta.set_client_capabilities(carried);
            }
        }
        if !meta.is_empty() {
            options = options.with_meta(meta);
        }
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let sent = self.peer.send_request_with_option(request, options).await;
        let handle = sent.map_err(|_| UpstreamError::Unavailable {
            reason: "the connection was closed".to_owned(),
            unsent: true,
        })?;
        let progress = exchange.and_then(|exchange| exchange.progress.clone());
        let token = handle.progress_token.clone();
        let _route = progress.map(|to| self.listener.route(token, to));
        let mut unanswered = Unanswered::new(self, handle.id.clone());
        let answered = handle.await_response().await;
        unanswered.id = None;
        match answered.map_err(failure::of_request)? {
            ServerResult::CallToolResult(result) => Ok(CallToolResponse::Complete(result)),
            ServerResult::InputRequiredResult(result) => {
                Ok(CallToolResponse::InputRequired(result))
            }
            _ => Err(UpstreamError::Protocol {
                reason: "what it sent is no result of a tool".to_owned(),
            }),
        }
    }

    fn is_modern(&self) -> bool {
        let info = self.peer.peer_info();
        info.is_some_and(|info| info.protocol_version >= ProtocolVersion::V_2026_07_28)
    }

    fn announces_changes(&self) -> bool {
        let info = self.peer.peer_info();
        let tools = info.and_then(|info| info.capabilities.tools.clone());
        tools.is_some_and(|tools| tools.list_changed == Some(true))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

/// Has `listener` hear when the tools change, over a stream that is opened again whenever it ends.
async fn news(peer: Peer<RoleClient>, listener: Listener) {
    let mut pause = LISTEN_AGAIN;
    loop {
        let began = Instant::now();
        let filter = SubscriptionFilter::builder().tools_list_changed().build();
        match peer.listen(filter).await {
            Ok(mut subscription) => {
                while let Ok(Some(_)) = subscription.next().await {
                    listener.changes().told();
                }
            }
            Err(error) => tracing::debug!(%error, "an upstream has no stream of news"),
        }
        if peer.is_transport_closed() {
            return;
        }
        // One that never lasts is not worth much.
        pause = match began.elapsed() > pause {
            true => LISTEN_AGAIN,
            false => (2 * pause).min(LISTEN_AGAIN_MAX),
        };
        tokio::time::sleep(pause).await;
        // What was said meanwhile was not heard.
        listener.changes().missed();
    }
}

/// A request that is cancelled when its caller goes away before it is answered.
struct Unanswered<'a> {
    link: &'a Link,
    id: Option<RequestId>,
}

impl<'a> Unanswered<'a> {
    fn new(link: &'a Link, id: RequestId) -> Self {
        Self { link, id: Some(id) }
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else {
            return;
        };
        if self.link.ended.is_cancelled() || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let peer = self.link.peer.clone();
        let ended = self.link.ended.clone();
        self.link.tasks.spawn(async move {
            let reason = Some("nobody waits for the answer".to_owned());
            let params = CancelledNotificationParam::new(Some(id), reason);
            let notification =
                ClientNotification::CancelledNotification(CancelledNotification::new(params));
            ended
                .run_until_cancelled(peer.send_notification(notification))
                .await
        });
    }
}
