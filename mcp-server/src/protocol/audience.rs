//! Who is told when the tools change.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use http::request::Parts;
use rmcp::{
    Peer, RoleServer,
    model::{Extensions, ServerNotification, ToolListChangedNotification},
    service::SubscriptionContext,
};
use tokio::sync::watch;

use crate::{tools::Registry, transport::http::SessionSink};

/// The most sessions that are told; those beyond find out when they list the tools again.
const SESSIONS_MAX: usize = 20_000;
/// How long one session may take to be told.
const TELL_TIMEOUT: Duration = Duration::from_secs(1);
/// Changes within this time are told as one.
const GATHER: Duration = Duration::from_millis(100);

/// The sessions that are told when the tools change. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Audience(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    sessions: Mutex<HashMap<Key, Way>>,
    /// Transports of one client so far.
    peers: AtomicU64,
}

/// What tells sessions apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    /// The session's id.
    Session(String),
    /// The number of a transport that carries one client.
    Peer(u64),
}

/// How a session is reached when no request of it is at work.
#[derive(Debug, Clone)]
enum Way {
    /// Over a transport that carries one client.
    Peer(Peer<RoleServer>),
    /// Over HTTP.
    Session(SessionSink),
}

impl Way {
    fn is_closed(&self) -> bool {
        match self {
            Self::Peer(peer) => peer.is_transport_closed(),
            Self::Session(sink) => sink.is_closed(),
        }
    }

    /// Whoever is late, gone or does not listen finds out when it lists the tools.
    async fn tell(&self) {
        match self {
            Self::Peer(peer) => {
                let told = peer.notify_tool_list_changed();
                let _ = tokio::time::timeout(TELL_TIMEOUT, told).await;
            }
            Self::Session(sink) => {
                let changed = ToolListChangedNotification::default();
                let _ = sink.notify(ServerNotification::ToolListChangedNotification(changed));
            }
        }
    }
}

impl Audience {
    /// Tells a session from now on, until it is closed.
    pub(super) fn join(&self, extensions: &Extensions, peer: Peer<RoleServer>) {
        let head = extensions.get::<Parts>();
        let sink = head.and_then(|head| head.extensions.get::<SessionSink>());
        let (key, way) = match (head.and_then(session_id), sink) {
            (Some(id), Some(sink)) => (Key::Session(id), Way::Session(sink.clone())),
            // A request by itself: whoever sent it is not there any more.
            _ if head.is_some() => return,
            _ => {
                let number = self.0.peers.fetch_add(1, Ordering::Relaxed);
                (Key::Peer(number), Way::Peer(peer))
            }
        };
        let mut sessions = self.sessions();
        if sessions.len() >= SESSIONS_MAX || sessions.len().is_power_of_two() {
            sessions.retain(|_, way| !way.is_closed());
        }
        if sessions.len() < SESSIONS_MAX {
            sessions.insert(key, way);
        }
    }

    /// Tells all sessions of each change in `registry`, until it is dropped.
    pub async fn tell(&self, registry: &Registry) {
        let mut changes = registry.changes();
        while next(&mut changes).await {
            let ways: Vec<_> = {
                let mut sessions = self.sessions();
                sessions.retain(|_, way| !way.is_closed());
                sessions.values().cloned().collect()
            };
            join_all(ways.iter().map(Way::tell)).await;
        }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Key, Way>> {
        self.0
            .sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells one stream of each change, until its client goes away.
pub(super) async fn stream(context: &SubscriptionContext, registry: &Registry) {
    let mut changes = registry.changes();
    let tell = async {
        while next(&mut changes).await {
            if context.sink().notify_tool_list_changed().await.is_err() {
                // It did not ask for that, or is about to end.
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = context.cancelled() => {}
        () = tell => {}
    }
}

/// Waits for the next change and those that follow at once; `false`: there are no more.
async fn next(changes: &mut watch::Receiver<u64>) -> bool {
    if changes.changed().await.is_err() {
        return false;
    }
    tokio::time::sleep(GATHER).await;
    changes.mark_unchanged();
    true
}

fn session_id(head: &Parts) -> Option<String> {
    let id = head.headers.get("mcp-session-id")?;
    id.to_str().ok().map(str::to_owned)
}
