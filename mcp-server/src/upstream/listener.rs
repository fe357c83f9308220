//! What an upstream tells without being asked.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rmcp::{
    ClientHandler, RoleClient,
    model::{
        ClientCapabilities, ClientConfig, Implementation, ProgressNotificationParam, ProgressToken,
    },
    service::NotificationContext,
};
use tokio::sync::mpsc;

use super::Changes;
use crate::call::Progress;

/// Hears what one upstream says of its own accord, and passes it to whom it concerns. Clones share
/// it.
#[derive(Debug, Clone, Default)]
pub struct Listener(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Calls that want to hear how far they are, by the token that this connection gave them.
    progress: Mutex<HashMap<ProgressToken, mpsc::Sender<Progress>>>,
    /// Whether its list of tools is another one.
    changes: Arc<Changes>,
}

impl Listener {
    /// One that tells `changes` when the upstream's list of tools is another one.
    #[must_use]
    pub fn new(changes: Arc<Changes>) -> Self {
        Self(Arc::new(Shared {
            progress: Mutex::default(),
            changes,
        }))
    }

    /// What is known of the upstream's tools.
    pub(super) fn changes(&self) -> &Changes {
        &self.0.changes
    }

    /// Has `to` hear of the progress of the call with this token, until what is returned is dropped.
    pub(super) fn route(&self, token: ProgressToken, to: mpsc::Sender<Progress>) -> Route {
        self.progress().insert(token.clone(), to);
        Route {
            listener: self.clone(),
            token,
        }
    }

    fn progress(&self) -> MutexGuard<'_, HashMap<ProgressToken, mpsc::Sender<Progress>>> {
        self.0
            .progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that hears of its progress.
#[derive(Debug)]
pub(super) struct Route {
    listener: Listener,
    token: ProgressToken,
}

impl Drop for Route {
    fn drop(&mut self) {
        self.listener.progress().remove(&self.token);
    }
}

impl ClientHandler for Listener {
    /// Declares nothing: what a client of ours can do goes along with its requests, where the
    /// protocol allows that.
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(
            ClientCapabilities::default(),
            Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
        )
    }

    async fn on_tool_list_changed(&self, _context: NotificationContext<RoleClient>) {
        self.0.changes.told();
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        let to = self.progress().get(&params.progress_token).cloned();
        if let Some(to) = to {
            // News that nobody has taken yet make the next ones superfluous.
            let _ = to.try_send(Progress {
                progress: params.progress,
                total: params.total,
                message: params.message,
            });
        }
    }
}
