//! Tools of upstreams, which come and go while the server runs.

use std::{collections::HashMap, sync::Arc};

use arc_swap::{ArcSwap, Guard};
use rmcp::model::Tool as Description;
use tokio::{sync::watch, time::Instant};

use super::DynTool;

/// How good a list of tools is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Freshness {
    /// Until when it is known to be right; `None`: as long as nobody says otherwise.
    pub until: Option<Instant>,
    /// Whether some of it is meant for one client only.
    pub private: bool,
    /// The upstreams whose tools are from earlier, since they do not answer now, and from when they
    /// are.
    pub stale_since: Vec<(String, Instant)>,
}

/// The tools of all upstreams at one moment.
#[derive(Default)]
pub struct RemoteTools {
    tools: Vec<Arc<dyn DynTool>>,
    by_name: HashMap<String, usize>,
    /// Another one after each change of what clients are told.
    pub generation: u64,
    /// How good the list is.
    pub freshness: Freshness,
}

impl std::fmt::Debug for RemoteTools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.descriptions().map(|description| &description.name);
        f.debug_list().entries(names).finish()
    }
}

impl RemoteTools {
    /// What clients are told about them.
    pub fn descriptions(&self) -> impl Iterator<Item = &Description> {
        self.tools.iter().map(|tool| tool.description())
    }

    /// Whether one of them has this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }
}

/// The tools of upstreams, exchanged as a whole.
pub(super) struct Remote {
    tools: ArcSwap<RemoteTools>,
    changes: watch::Sender<u64>,
}

impl Default for Remote {
    fn default() -> Self {
        Self {
            tools: ArcSwap::default(),
            changes: watch::Sender::new(0),
        }
    }
}

impl Remote {
    pub(super) fn load(&self) -> Guard<Arc<RemoteTools>> {
        self.tools.load()
    }

    pub(super) fn by_name(&self, name: &str) -> Option<Arc<dyn DynTool>> {
        let remote = self.tools.load();
        let index = remote.by_name.get(name)?;
        Some(remote.tools[*index].clone())
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn set(&self, tools: Vec<Arc<dyn DynTool>>, freshness: Freshness) {
        let by_name = tools
            .iter()
            .enumerate()
            .map(|(index, tool)| (tool.description().name.to_string(), index))
            .collect();
        // Whoever exchanges them meanwhile waits here for the order to be kept.
        self.changes.send_if_modified(|generation| {
            let before = self.tools.load();
            let same = before
                .descriptions()
                .eq(tools.iter().map(|tool| tool.description()));
            if !same {
                *generation += 1;
            }
            self.tools.store(Arc::new(RemoteTools {
                tools,
                by_name,
                generation: *generation,
                freshness,
            }));
            !same
        });
    }
}
