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

/// What is changed of one connector and not yet written: the last word on it, and the last report.
#[derive(Default)]
struct Change {
    /// Its settings, or `None` inside: it was removed.
    defined: Option<Option<Box<ServerConfig>>>,
    /// Of one that is there: a report brings no connector back that was removed meanwhile.
    report: Option<Report>,
}

impl Change {
    fn define(server: ServerConfig) -> Self {
        Self {
            defined: Some(Some(Box::new(server))),
            report: None,
        }
    }

    fn remove() -> Self {
        Self {
            defined: Some(None),
            report: None,
        }
    }

    fn report(report: Report) -> Self {
        Self {
            defined: None,
            report: Some(report),
        }
    }

    /// This one, and a later one after it.
    fn and(&mut self, later: Self) {
        if matches!(later.defined, Some(None)) {
            self.report = None;
        }
        self.defined = later.defined.or_else(|| self.defined.take());
        self.report = later.report.or_else(|| self.report.take());
    }

    fn apply(&self, name: &ConnectorName, records: &mut Records) {
        match &self.defined {
            Some(Some(server)) => {
                let report = records.remove(name).and_then(|record| record.report);
                let server = (**server).clone();
                records.insert(name.clone(), Record { server, report });
            }
            Some(None) => {
                records.remove(name);
            }
            None => {}
        }
        if let Some(report) = &self.report
            && let Some(record) = records.get_mut(name)
        {
            record.report = Some(report.clone());
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
    /// Not yet written: no more than one for each connector, however long it cannot be.
    pending: BTreeMap<ConnectorName, Change>,
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

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All connectors as they are now, changes that are not yet written included.
    #[must_use]
    pub fn records(&self) -> Records {
        self.state().records.clone()
    }

    /// Adds a connector, or exchanges its settings.
    pub fn define(&self, name: &ConnectorName, server: ServerConfig) {
        self.change(name, Change::define(server));
    }

    /// Removes a connector; `false` if there is none of that name.
    pub fn remove(&self, name: &ConnectorName) -> bool {
        let is_there = self.state().records.contains_key(name);
        if is_there {
            self.change(name, Change::remove());
        }
        is_there
    }

    /// Notes how a connector did, if it is one of these.
    pub fn report(&self, name: &ConnectorName, report: Report) {
        if self.state().records.contains_key(name) {
            self.change(name, Change::report(report));
        }
    }

    fn change(&self, name: &ConnectorName, change: Change) {
        let mut state = self.state();
        change.apply(name, &mut state.records);
        state.pending.entry(name.clone()).or_default().and(change);
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
                for (name, change) in later {
                    state.pending.entry(name).or_default().and(change);
                }
                Err(error)
            }
        }
    }

    fn write(
        &self,
        changes: &BTreeMap<ConnectorName, Change>,
    ) -> Result<(Records, Identity), StoreError> {
        let locked = Locked::acquire(&self.path)?;
        // Nobody else writes from here on.
        let (mut records, identity) = file::read(&self.path)?;
        if identity.is_none() {
            // It was never there, or was moved away: what is known is written as a whole.
            records = self.records();
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> ConnectorName {
        format!("c{number}").parse().unwrap()
    }

    fn report(tools: usize) -> Report {
        Report {
            at: Timestamp::UNIX_EPOCH,
            tools,
            error: None,
        }
    }

    #[test]
    fn what_cannot_be_written_is_kept_within_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("data");
        let store = Store::open(&dir.join("connectors.json")).unwrap();
        // A file in the place of the folder.
        std::fs::write(&dir, "").unwrap();
        for round in 0..1_000 {
            for number in 0..3 {
                if round % 10 == 0 {
                    store.define(&name(number), ServerConfig::command(["run"]));
                }
                store.report(&name(number), report(round));
            }
            assert!(round % 100 != 0 || store.flush().is_err());
        }
        assert!(store.remove(&name(2)));
        assert_eq!(store.state().pending.len(), 3);
        std::fs::remove_file(&dir).unwrap();
        assert!(store.flush().unwrap());
        let again = Store::open(store.path()).unwrap().records();
        assert_eq!(again.len(), 2);
        assert_eq!(again[&name(1)].report, Some(report(999)));
    }

    #[test]
    fn a_file_that_was_moved_away_is_written_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("connectors.json")).unwrap();
        for number in 0..5 {
            store.define(&name(number), ServerConfig::command(["run"]));
        }
        store.flush().unwrap();
        std::fs::rename(store.path(), folder.path().join("elsewhere")).unwrap();
        // A server that runs goes on with what it knows.
        assert!(!store.look().unwrap());
        store.report(&name(1), report(7));
        store.flush().unwrap();
        let again = Store::open(store.path()).unwrap().records();
        assert_eq!((again.len(), &again), (5, &store.records()));
    }
}
