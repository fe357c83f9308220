//! Who is told when the tools change.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

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

/// A session's id; none over standard input and output.
type Session = Option<String>;

/// The sessions that are told when the tools change. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Audience(Arc<Mutex<HashMap<Session, Listener>>>);

#[derive(Debug)]
struct Listener {
    way: Way,
    /// It was told and has not listed the tools since: to tell it again would say nothing new, and
    /// fill up the queue of a client that does not read.
    told: bool,
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
        let sink = extensions.get::<Parts>();
        let sink = sink.and_then(|parts| parts.extensions.get::<SessionSink>());
        let way = sink.map_or(Way::Peer(peer), |sink| Way::Session(sink.clone()));
        let mut sessions = self.sessions();
        if sessions.len() >= SESSIONS_MAX || sessions.len().is_power_of_two() {
            sessions.retain(|_, listener| !listener.way.is_closed());
        }
        if sessions.len() < SESSIONS_MAX {
            sessions.insert(session(extensions), Listener { way, told: false });
        }
    }

    /// A session lists the tools: it wants to hear of the next change again.
    pub(super) fn listed(&self, extensions: &Extensions) {
        if let Some(listener) = self.sessions().get_mut(&session(extensions)) {
            listener.told = false;
        }
    }

    /// Tells all sessions of each change in `registry`, until it is dropped.
    pub async fn tell(&self, registry: &Registry) {
        let mut changes = registry.changes();
        while next(&mut changes).await {
            let ways: Vec<_> = {
                let mut sessions = self.sessions();
                sessions.retain(|_, listener| !listener.way.is_closed());
                let untold = sessions.values_mut().filter(|listener| !listener.told);
                untold
                    .map(|listener| {
                        listener.told = true;
                        listener.way.clone()
                    })
                    .collect()
            };
            for way in ways {
                way.tell().await;
            }
        }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Session, Listener>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

fn session(extensions: &Extensions) -> Session {
    let id = extensions.get::<Parts>()?.headers.get("mcp-session-id")?;
    id.to_str().ok().map(str::to_owned)
}
