//! Who wants to hear of changes, and telling them.

use std::{collections::BTreeMap, sync::Mutex};

use mcp_server::transport::http::SessionSink;
use rmcp::{
    ErrorData, Peer, RoleServer,
    model::{ResourceUpdatedNotification, ResourceUpdatedNotificationParam, ServerNotification},
    service::{RequestContext, SubscriptionContext, SubscriptionSink},
};

use crate::shared::{is_stateless, lock};

/// A bound on what sessions can make the server remember.
const WATCHES_MAX: usize = 1024;

/// Something a client may have cached and should fetch again.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// The set of tools.
    Tools,
    /// The set of prompts.
    Prompts,
    /// One resource, by its URI.
    Resource(String),
}

/// All listeners: open `subscriptions/listen` streams, and the resources that
/// sessions of older revisions watch.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    streams: Mutex<Streams>,
    watches: Mutex<BTreeMap<Watch, Watcher>>,
}

#[derive(Debug, Default)]
struct Streams {
    opened: u64,
    open: BTreeMap<u64, SubscriptionSink>,
}

/// A session (none over stdio) and the URI that it watches.
type Watch = (Option<String>, String);

/// The way to a session. Over HTTP the peer of a request is gone with its answer.
#[derive(Clone, Debug)]
enum Watcher {
    Http(SessionSink),
    Stdio(Peer<RoleServer>),
}

impl Watcher {
    fn of(context: &RequestContext<RoleServer>) -> Self {
        let parts = context.extensions.get::<http::request::Parts>();
        match parts.and_then(|parts| parts.extensions.get::<SessionSink>()) {
            Some(sink) => Self::Http(sink.clone()),
            None => Self::Stdio(context.peer.clone()),
        }
    }

    fn is_gone(&self) -> bool {
        match self {
            Self::Http(sink) => sink.is_closed(),
            Self::Stdio(peer) => peer.is_transport_closed(),
        }
    }

    async fn updated(&self, uri: &str) {
        let update = ResourceUpdatedNotificationParam::new(uri);
        let sent = match self {
            Self::Http(sink) => {
                let notification = ResourceUpdatedNotification::new(update);
                let notification = ServerNotification::ResourceUpdatedNotification(notification);
                sink.notify(notification).map_err(|error| error.to_string())
            }
            Self::Stdio(peer) => peer
                .notify_resource_updated(update)
                .await
                .map_err(|error| error.to_string()),
        };
        if let Err(error) = sent {
            tracing::debug!(error, uri, "not announced");
        }
    }
}

impl Hub {
    /// Keeps a stream informed until its client goes away.
    ///
    /// # Cancel safety
    /// Dropping the future unregisters the stream.
    pub(crate) async fn listen(&self, context: SubscriptionContext) {
        let _registered = self.register(context.sink().clone());
        context.cancelled().await;
    }

    /// Starts telling a session of updates of `uri`.
    ///
    /// # Errors
    /// When the server remembers too many watches already.
    pub(crate) fn watch(
        &self,
        uri: String,
        context: &RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let mut watches = lock(&self.watches);
        watches.retain(|_, watcher| !watcher.is_gone());
        if watches.len() >= WATCHES_MAX {
            return Err(ErrorData::internal_error("too many subscriptions", None));
        }
        watches.insert((session(context), uri), Watcher::of(context));
        Ok(())
    }

    /// Undoes [`watch`](Self::watch).
    pub(crate) fn unwatch(&self, uri: String, context: &RequestContext<RoleServer>) {
        lock(&self.watches).remove(&(session(context), uri));
    }

    /// Tells everyone who listens for `change`, and the session that caused it.
    pub(crate) async fn announce(&self, change: &Change, cause: &RequestContext<RoleServer>) {
        let streams: Vec<_> = lock(&self.streams).open.values().cloned().collect();
        for stream in streams {
            let sent = match change {
                Change::Tools => stream.notify_tool_list_changed().await,
                Change::Prompts => stream.notify_prompt_list_changed().await,
                Change::Resource(uri) => stream.notify_resource_updated(uri).await,
            };
            if let Err(error) = sent {
                // Not wanted on this stream, or its client has just left.
                tracing::debug!(%error, ?change, "not announced");
            }
        }
        let sent = match change {
            Change::Resource(uri) => {
                for watcher in self.watchers(uri) {
                    watcher.updated(uri).await;
                }
                return;
            }
            // Nobody else had to subscribe to a list.
            _ if is_stateless(cause) => return,
            Change::Tools => cause.peer.notify_tool_list_changed().await,
            Change::Prompts => cause.peer.notify_prompt_list_changed().await,
        };
        if let Err(error) = sent {
            tracing::debug!(%error, ?change, "not announced");
        }
    }

    fn register(&self, sink: SubscriptionSink) -> Registered<'_> {
        let mut streams = lock(&self.streams);
        streams.opened += 1;
        let key = streams.opened;
        streams.open.insert(key, sink);
        Registered { hub: self, key }
    }

    /// The sessions of older revisions that watch a resource.
    fn watchers(&self, uri: &str) -> Vec<Watcher> {
        lock(&self.watches)
            .iter()
            .filter(|((_, watched), _)| watched == uri)
            .map(|(_, watcher)| watcher.clone())
            .collect()
    }
}

/// Unregisters a stream when dropped.
struct Registered<'a> {
    hub: &'a Hub,
    key: u64,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        lock(&self.hub.streams).open.remove(&self.key);
    }
}

/// The session that a request belongs to, as its HTTP headers tell.
fn session(context: &RequestContext<RoleServer>) -> Option<String> {
    let parts = context.extensions.get::<http::request::Parts>()?;
    let id = parts.headers.get("mcp-session-id")?;
    id.to_str().ok().map(str::to_owned)
}
