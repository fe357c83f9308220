//! What the server depends on, and since when that is as it is.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// What a dependency is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DependencyKind {
    /// Where memories are kept.
    Store,
    /// The search index.
    Index,
    /// A Redis server.
    Redis,
    /// A PostgreSQL server.
    Postgres,
    /// Another MCP server.
    Connector,
    /// Something else.
    Other,
}

impl DependencyKind {
    /// The name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Index => "index",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
            Self::Connector => "connector",
            Self::Other => "other",
        }
    }
}

/// How a dependency does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DependencyState {
    /// It does its work.
    Up,
    /// It does part of it.
    Degraded,
    /// It does not.
    Down,
}

impl DependencyState {
    /// The name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// One thing that the server depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Dependency {
    /// Its name: `memory_store`, `search_index`, `redis`, or that of a connector.
    pub name: String,
    /// What it is.
    pub kind: DependencyKind,
    /// How it does.
    pub state: DependencyState,
    /// What is wrong, or empty.
    pub detail: String,
}

/// One thing that the server depends on, and since when it does as it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DependencyStatus {
    /// How it does.
    #[serde(flatten)]
    pub dependency: Dependency,
    /// Since when.
    #[schemars(with = "String")]
    pub since: Timestamp,
}

/// Remembers how the dependencies were. Reads no clock.
#[derive(Debug, Default)]
pub(super) struct Dependencies {
    /// Those that were asked, which is not done for each status.
    asked: Vec<Dependency>,
    since: BTreeMap<(DependencyKind, String), (DependencyState, Timestamp)>,
}

impl Dependencies {
    /// Takes note of those that were asked.
    pub(super) fn asked(&mut self, asked: Vec<Dependency>) {
        self.asked = asked;
    }

    /// Those that were asked last, and those that are `known` now, each with the time since which it
    /// is in its state.
    pub(super) fn note(&mut self, now: Timestamp, known: Vec<Dependency>) -> Vec<DependencyStatus> {
        let mut before = std::mem::take(&mut self.since);
        let mut all = Vec::with_capacity(self.asked.len() + known.len());
        for dependency in self.asked.iter().cloned().chain(known) {
            let key = (dependency.kind, dependency.name.clone());
            let since = match before.remove(&key) {
                Some((state, since)) if state == dependency.state => since,
                _ => now,
            };
            self.since.insert(key, (dependency.state, since));
            all.push(DependencyStatus { dependency, since });
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redis(state: DependencyState) -> Dependency {
        Dependency {
            name: "redis".to_owned(),
            kind: DependencyKind::Redis,
            state,
            detail: String::new(),
        }
    }

    #[test]
    fn a_state_lasts_since_it_began() {
        use DependencyState::{Down, Up};
        let mut dependencies = Dependencies::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut since = |now, state| dependencies.note(at(now), vec![redis(state)])[0].since;
        assert_eq!(since(1, Up), at(1));
        assert_eq!(since(5, Up), at(1));
        assert_eq!(since(9, Down), at(9));
        assert_eq!(since(12, Down), at(9));
        assert_eq!(since(13, Up), at(13));
    }

    #[test]
    fn those_that_were_asked_stay_until_they_are_asked_again() {
        let mut dependencies = Dependencies::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        dependencies.asked(vec![redis(DependencyState::Down)]);
        assert_eq!(dependencies.note(at(1), Vec::new()).len(), 1);
        let later = dependencies.note(at(2), Vec::new());
        assert_eq!((later.len(), later[0].since), (1, at(1)));
        dependencies.asked(Vec::new());
        assert_eq!(dependencies.note(at(3), Vec::new()), []);
    }
}
