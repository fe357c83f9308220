//! One agent that deletes what it adds.

use std::{collections::VecDeque, sync::Arc};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::bench::{
    client::Client,
    corpus::Corpus,
    error::BenchError,
    history::{Found, Id, Receipt, Sighting},
    load::{Called, Outcome, Worker},
    random::Random,
    server::Server,
    trace::{Kind, TEXT_BYTES, WORDS},
};

/// What is asked for, again and again; each agent has its own.
const QUERIES: u32 = 50;
const QUERY_WORDS: usize = 3;
/// Memories of the server that are read and updated.
const WORKING_SET: u32 = 1_000;
/// Memories of its own that it leaves there.
const OWN: usize = 20;
/// What it does, over and over: 70 % searches, 15 % gets, as many deletes as adds.
const CYCLE: [Kind; 20] = {
    use Kind::{Add, Delete, Get, Search, Update};
    [
        Search, Search, Search, Get, Search, Search, Add, Search, Search, Search, Get, Search,
        Search, Update, Search, Search, Get, Search, Search, Delete,
    ]
};

/// Works for ever on memories that do not become more.
pub(super) struct Keeper {
    client: Client,
    ids: Arc<[Id]>,
    own: VecDeque<Id>,
    queries: Vec<String>,
    random: Random,
    corpus: Corpus,
    step: usize,
}

impl Keeper {
    /// So many of them, each on a connection of its own.
    pub(super) async fn all(
        server: &Server,
        count: u32,
        ids: &Arc<[Id]>,
        seed: u64,
    ) -> Result<Vec<Self>, BenchError> {
        let mut keepers = Vec::new();
        for number in 0..count {
            let random = Random::stream(seed, 5 << 32 | u64::from(number));
            let mut corpus = Corpus::new(WORDS, seed).with(random.clone());
            keepers.push(Self {
                client: Client::connect(server.address, "soak").await?,
                ids: ids.clone(),
                own: VecDeque::new(),
                queries: (0..QUERIES).map(|_| corpus.words(QUERY_WORDS)).collect(),
                random,
                corpus,
                step: 0,
            });
        }
        Ok(keepers)
    }

    fn known(&mut self) -> String {
        let most = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        let place = self.random.below(WORKING_SET.min(most));
        // There are a hundred memories at least.
        self.ids[place as usize].to_string()
    }

    async fn make<T: DeserializeOwned>(
        &mut self,
        kind: Kind,
        arguments: Value,
    ) -> Result<(Called, Option<T>), BenchError> {
        let tool = format!("memory_{}", kind.name());
        let answer = self.client.call::<T>(&tool, &arguments).await?;
        let (outcome, result) = match answer.result {
            Ok(result) => {
                let (cached, stale) = (answer.cached, answer.stale);
                (Outcome::Answered { cached, stale }, Some(result))
            }
            Err(code) => (Outcome::Refused(code), None),
        };
        let called = Called {
            kind,
            sent: answer.sent,
            received: answer.received,
            outcome,
        };
        Ok((called, result))
    }
}

impl Worker for Keeper {
    async fn call(&mut self) -> Result<Option<Called>, BenchError> {
        let mut kind = CYCLE[self.step % CYCLE.len()];
        self.step += 1;
        if kind == Kind::Delete && self.own.len() <= OWN {
            kind = Kind::Add;
        }
        let called = match kind {
            Kind::Get => {
                let arguments = json!({"id": self.known()});
                self.make::<Sighting>(kind, arguments).await?.0
            }
            Kind::Add => {
                let arguments = json!({"content": self.corpus.text(TEXT_BYTES)});
                let (called, added) = self.make::<Receipt>(kind, arguments).await?;
                self.own.extend(added.map(|added| added.id));
                called
            }
            Kind::Update => {
                let text = self.corpus.text(TEXT_BYTES);
                let arguments = json!({"id": self.known(), "content": text});
                self.make::<Receipt>(kind, arguments).await?.0
            }
            Kind::Delete => {
                let Some(id) = self.own.pop_front() else {
                    return Ok(None);
                };
                let arguments = json!({"id": id.to_string()});
                self.make::<Receipt>(kind, arguments).await?.0
            }
            Kind::Search | Kind::Batch => {
                let place = self.random.below(QUERIES) as usize;
                let arguments = json!({"query": self.queries[place]});
                self.make::<Found>(Kind::Search, arguments).await?.0
            }
        };
        Ok(Some(called))
    }
}
