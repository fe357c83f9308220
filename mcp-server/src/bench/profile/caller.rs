//! One tool, called again and again.

use std::sync::Arc;

use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::{Value, json};

use crate::bench::{
    client::Client,
    corpus::Corpus,
    error::BenchError,
    history::{Found, Id, Receipt, Sighting},
    load::{Called, Outcome, Worker},
    random::Random,
    trace::{Kind, TEXT_BYTES, WORDS},
};

/// Operations in a batch.
pub(super) const BATCH_LEN: u8 = 50;
/// Words of a query, drawn like those of the texts.
const QUERY_WORDS: usize = 3;

/// In so many texts, at least one of the words of any query is used.
const ALL_WORDS_USED: usize = 10_000;

/// Calls one tool with ever new arguments.
pub(super) struct Caller {
    client: Client,
    kind: Kind,
    ids: Arc<[Id]>,
    /// Where the ids begin that may be deleted, each by one caller only.
    deleted: std::iter::StepBy<std::ops::RangeFrom<usize>>,
    random: Random,
    corpus: Corpus,
}

#[derive(Deserialize)]
struct Results {
    results: Vec<ItemResult>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ItemResult {
    Ok(IgnoredAny),
    Error(IgnoredAny),
}

/// Which of several callers it is.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// From 0.
    pub(super) number: usize,
    /// How many there are.
    pub(super) count: usize,
    /// How many memories earlier callers have deleted.
    pub(super) deleted: usize,
}

impl Place {
    /// All of `count` callers, none of whom deletes.
    pub(super) fn all(count: usize) -> impl Iterator<Item = Self> {
        (0..count).map(move |number| Self {
            number,
            count,
            deleted: 0,
        })
    }
}

impl Caller {
    /// One of several callers. Of all ids, the second half may be deleted.
    pub(super) fn new(client: Client, kind: Kind, ids: Arc<[Id]>, seed: u64, place: Place) -> Self {
        let stream = 3 << 32 | place.number as u64;
        Self {
            client,
            kind,
            deleted: (ids.len() / 2 + place.deleted + place.number..).step_by(place.count),
            ids,
            random: Random::stream(seed, stream),
            corpus: Corpus::new(WORDS, seed).with(Random::stream(seed, stream + (1 << 32))),
        }
    }

    /// One of the memories that nobody deletes.
    fn kept(&mut self) -> Option<Id> {
        let bound = u32::try_from(self.ids.len() / 2).unwrap_or(u32::MAX);
        self.ids.get(self.random.below(bound) as usize).copied()
    }

    fn arguments(&mut self) -> Option<(Option<Id>, Value)> {
        let mut text = || self.corpus.text(TEXT_BYTES);
        Some(match self.kind {
            Kind::Search => (None, json!({"query": self.corpus.words(QUERY_WORDS)})),
            Kind::Add => (None, json!({"content": text()})),
            Kind::Batch => {
                let add = |_| json!({"type": "add", "data": {"content": text()}});
                let operations: Vec<_> = (0..BATCH_LEN).map(add).collect();
                (None, json!({ "operations": operations }))
            }
            Kind::Get => {
                let id = self.kept()?;
                (Some(id), json!({"id": id.to_string()}))
            }
            Kind::Update => {
                let content = text();
                let id = self.kept()?;
                (Some(id), json!({"id": id.to_string(), "content": content}))
            }
            Kind::Delete => {
                let id = *self.ids.get(self.deleted.next()?)?;
                (Some(id), json!({"id": id.to_string()}))
            }
        })
    }

    async fn check<T: DeserializeOwned>(
        &mut self,
        arguments: &Value,
        is_right: impl FnOnce(&T) -> bool,
    ) -> Result<Called, BenchError> {
        let tool = format!("memory_{}", self.kind.name());
        let answer = self.client.call::<T>(&tool, arguments).await?;
        let outcome = match answer.result {
            Ok(result) if is_right(&result) => Outcome::Answered {
                cached: answer.cached,
                stale: answer.stale,
            },
            Ok(_) => {
                let reason = format!("not what {arguments} asks for");
                return Err(BenchError::Answer { tool, reason });
            }
            Err(code) => Outcome::Refused(code),
        };
        Ok(Called {
            kind: self.kind,
            sent: answer.sent,
            received: answer.received,
            outcome,
        })
    }
}

impl Worker for Caller {
    async fn call(&mut self) -> Result<Option<Called>, BenchError> {
        let Some((id, arguments)) = self.arguments() else {
            return Ok(None);
        };
        let arguments = &arguments;
        let called = match self.kind {
            Kind::Search => {
                let least = usize::from(self.ids.len() >= ALL_WORDS_USED);
                let some = |found: &Found| (least..=10).contains(&found.memories.len());
                self.check(arguments, some).await?
            }
            Kind::Get => {
                let same = |memory: &Sighting| Some(memory.id) == id;
                self.check(arguments, same).await?
            }
            Kind::Batch => {
                let all = |results: &Results| {
                    let ok = |item: &&ItemResult| matches!(item, ItemResult::Ok(_));
                    results.results.iter().filter(ok).count() == usize::from(BATCH_LEN)
                };
                self.check(arguments, all).await?
            }
            Kind::Add | Kind::Update | Kind::Delete => {
                let same = |receipt: &Receipt| id.is_none_or(|id| receipt.id == id);
                self.check(arguments, same).await?
            }
        };
        Ok(Some(called))
    }
}
