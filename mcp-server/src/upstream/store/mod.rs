//! The connectors that are kept in a file: which there are, and how they did lately.
//!
//! Readers and writers work in memory; what was changed is written in batches. Several processes may
//! change the same file: what is written is each one's changes, laid over what is there.

mod file;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::file::{Identity, Locked};
use super::{ConnectorName, ServerConfig};

/// What is kept of a connector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// How it is reached.
    pub server: ServerConfig,
    /// How it did when it was asked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
}

/// How a connector did when it was asked for its tools.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// When.
    pub at: Timestamp,
    /// How many tools it has, or had when it answered last.
    pub tools: usize,
    /// What went wrong, if anything did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// All records, by name.
pub type Records = BTreeMap<ConnectorName, Record>;

/// Why the file could not be read or written. What was changed is still known, and is written by the
/// next flush.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused.
    #[error("the file of connectors `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// It holds something else.
    #[error("the file of connectors `{}` is broken: {reason}. Mend it or move it away", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// Somebody else could have written it: the commands in it would be run.
    #[error("the file of connectors `{}` {reason}: it names programs to be started", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
}

enum Change {
    Define(Box<ServerConfig>),
    Remove,
    /// Of one that is there: a report brings no connector back that was removed meanwhile.
    Report(Report),
}

impl Change {
    fn apply(&self, name: &ConnectorName, records: &mut Records) {
        match self {
            Self::Define(server) => {
                let report = records.remove(name).and_then(|record| record.report);
                let server = (**server).clone();
                records.insert(name.clone(), Record { server, report });
            }
            Self::Remove => {
                records.remove(name);
            }
            Self::Report(report) => {
                if let Some(record) = records.get_mut(name) {
                    record.report = Some(report.clone());
                }
            }
        }
    }
}

/// The connectors of a data folder.
pub struct Store {
    path: PathBuf,
    state: Mutex<State>,
    /// One flush at a time.
    flushing: Mutex<()>,
}

#[derive(Default)]
struct State {
    records: Records,
    /// Not yet written, in order.
    pending: Vec<(ConnectorName, Change)>,
    /// Of the file that `records` was read from, or written to.
    seen: Option<Identity>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Reads the file, if there is one. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let store = Self {
            path: path.to_owned(),
            state: Mutex::default(),
            flushing: Mutex::default(),
        };
        store.look()?;
        Ok(store)
    }

    /// All connectors as they are now, changes that are not yet written included.
    #[must_use]
    pub fn records(&self) -> Records {
        self.state().records.clone()
    }

    /// Adds a connector, or exchanges its settings.
    pub fn define(&self, name: &ConnectorName, server: ServerConfig) {
        self.change(name, Change::Define(Box::new(server)));
    }

    /// Removes a connector; `false` if there is none of that name.
    pub fn remove(&self, name: &ConnectorName) -> bool {
        let is_there = self.state().records.contains_key(name);
        if is_there {
            self.change(name, Change::Remove);
        }
        is_there
    }

    /// Notes how a connector did, if it is one of these.
    pub fn report(&self, name: &ConnectorName, report: Report) {
        if self.state().records.contains_key(name) {
            self.change(name, Change::Report(report));
        }
    }

    fn change(&self, name: &ConnectorName, change: Change) {
        let mut state = self.state();
        change.apply(name, &mut state.records);
        state.pending.push((name.clone(), change));
    }

    /// Takes over what another process has written since; `true` if there was something. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the records stay as they are then.
    pub fn look(&self) -> Result<bool, StoreError> {
        let identity = file::identity(&self.path)?;
        if identity.is_none() || self.state().seen == identity {
            return Ok(false);
        }
        let _one = self.flushing();
        let (records, identity) = file::read(&self.path)?;
        self.state().take_over(records, identity);
        Ok(true)
    }

    /// Writes what was changed, durably: when it returns, the file holds all changes made before the
    /// call, or is as it was. Changes made meanwhile are for the next flush. Does nothing if nothing
    /// was changed; `true` if the file was written, and what other processes have put into it was
    /// taken over. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn flush(&self) -> Result<bool, StoreError> {
        let _one = self.flushing();
        let taken = std::mem::take(&mut self.state().pending);
        if taken.is_empty() {
            return Ok(false);
        }
        let written = self.write(&taken);
        let mut state = self.state();
        match written {
            Ok((records, identity)) => {
                state.take_over(records, Some(identity));
                Ok(true)
            }
            Err(error) => {
                let later = std::mem::replace(&mut state.pending, taken);
                state.pending.extend(later);
                Err(error)
            }
        }
    }

    fn write(
        &self,
        changes: &[(ConnectorName, Change)],
    ) -> Result<(Records, Identity), StoreError> {
        let locked = Locked::acquire(&self.path)?;
        // Nobody else writes from here on.
        let (mut records, _) = file::read(&self.path)?;
        for (name, change) in changes {
            change.apply(name, &mut records);
        }
        let identity = locked.replace(&records)?;
        Ok((records, identity))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flushing(&self) -> MutexGuard<'_, ()> {
        self.flushing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// `records` are what the file holds; what is not in it yet is laid over them.
    fn take_over(&mut self, mut records: Records, identity: Option<Identity>) {
        for (name, change) in &self.pending {
            change.apply(name, &mut records);
        }
        self.records = records;
        self.seen = identity;
    }
}
