//! What was called and what was seen, in order: what a run is judged by.

use std::{
    collections::hash_map::DefaultHasher,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use uuid::Uuid;

use super::trace::Trace;

/// Everything that happened in a run.
#[derive(Debug, Clone)]
pub struct History {
    /// What was called.
    pub trace: Arc<Trace>,
    /// The ids of the memories that were there at first, by number.
    pub ids: Arc<[Id]>,
    /// What each client saw, in order.
    pub clients: Vec<Vec<Event>>,
}

/// One call of a client's trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Which of the client's calls.
    pub op: u32,
    /// When it began to be sent, on a clock that all clients share.
    pub sent: Duration,
    /// When its answer was there.
    pub received: Duration,
    /// What the answer said.
    pub seen: Seen,
}

/// What an answer said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A search's.
    Found(Found),
    /// A get's.
    Memory(Sighting),
    /// A get's, of a memory that is not there.
    NotFound,
    /// A write's; of a batch, one for each operation. `None` was refused.
    Wrote(Box<[Option<Receipt>]>),
    /// The call was refused. What was to be written may have been.
    Refused,
}

/// The matches of a search.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Found {
    /// The memories, best match first.
    pub memories: Box<[Sighting]>,
    /// Whether there was no room for more.
    #[serde(default)]
    pub truncated: bool,
}

/// A memory as an answer showed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Sighting {
    /// Which.
    pub id: Id,
    /// Its version.
    pub version: u64,
    /// Its text.
    pub content: TextHash,
}

/// The receipt of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Receipt {
    /// Of which memory.
    pub id: Id,
    /// Its version from then on; none after a delete.
    #[serde(default)]
    pub version: Option<u64>,
}

/// A memory's id, which is a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id(pub u128);

/// Stands for a text that need not be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextHash(u64);

impl TextHash {
    /// Of this text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_u128(self.0).fmt(f)
    }
}

/// Makes something of a string without keeping it.
struct FromText<T>(fn(&str) -> Option<T>);

impl<T> Visitor<'_> for FromText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id or a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).ok_or_else(|| E::custom(format!("`{text}` is no UUID")))
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parse = |text: &str| Some(Self(Uuid::parse_str(text).ok()?.as_u128()));
        deserializer.deserialize_str(FromText(parse))
    }
}

impl<'de> Deserialize<'de> for TextHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(FromText(|text| Some(Self::of(text))))
    }
}
