//! One agent of the trace on one connection.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{
    client::{Answer, Client},
    error::BenchError,
    history::{Event, Id, Receipt, Seen, Sighting},
    load::{Called, Outcome, Worker},
    trace::{Kind, Op, Trace, namespace_name},
};

/// Follows one client's calls and keeps what it saw.
#[derive(Debug)]
pub struct Agent {
    client: Client,
    trace: Arc<Trace>,
    number: usize,
    place: usize,
    ids: Arc<[Id]>,
    own: HashMap<u32, Id>,
    clock: Instant,
    history: Vec<Event>,
}

/// The arguments of a tool, or of one operation of a batch.
#[derive(Serialize)]
#[serde(untagged)]
enum Arguments {
    Search {
        query: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
    },
    Add {
        content: String,
        namespace: String,
    },
    One {
        id: String,
    },
    Update {
        id: String,
        content: String,
    },
    Batch {
        operations: Vec<Item>,
    },
}

#[derive(Serialize)]
struct Item {
    #[serde(rename = "type")]
    kind: &'static str,
    data: Arguments,
}

#[derive(Deserialize)]
struct Results {
    results: Vec<ItemResult>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ItemResult {
    Ok(Receipt),
    Error(serde::de::IgnoredAny),
}

impl Agent {
    /// The agent of this number in the trace. Times are counted from `clock` on, which all agents
    /// of a run share.
    #[must_use]
    pub fn new(
        client: Client,
        trace: Arc<Trace>,
        number: usize,
        ids: Arc<[Id]>,
        clock: Instant,
    ) -> Self {
        Self {
            client,
            trace,
            number,
            place: 0,
            ids,
            own: HashMap::new(),
            clock,
            history: Vec::new(),
        }
    }

    /// How many calls of its trace it has made.
    #[must_use]
    pub fn place(&self) -> usize {
        self.place
    }

    /// What it saw.
    #[must_use]
    pub fn into_history(self) -> Vec<Event> {
        self.history
    }

    async fn make(&mut self, op: &Op) -> Result<Option<Called>, BenchError> {
        let Some(arguments) = self.arguments(op) else {
            return Ok(None);
        };
        let kind = op.kind();
        let tool = format!("memory_{}", kind.name());
        let client = &mut self.client;
        let (called, seen) = match kind {
            Kind::Search => finish(kind, client.call(&tool, &arguments).await?, Seen::Found),
            Kind::Get => finish(
                kind,
                client.call::<Sighting>(&tool, &arguments).await?,
                Seen::Memory,
            ),
            Kind::Batch => finish(kind, client.call(&tool, &arguments).await?, receipts),
            _ => finish(kind, client.call(&tool, &arguments).await?, |receipt| {
                Seen::Wrote(Box::new([Some(receipt)]))
            }),
        };
        self.remember(op, &seen);
        self.history.push(Event {
            op: u32::try_from(self.place).unwrap_or(u32::MAX),
            sent: called.sent - self.clock,
            received: called.received - self.clock,
            seen,
        });
        Ok(Some(called))
    }

    /// `None` when it is about a memory that was never stored.
    fn arguments(&self, op: &Op) -> Option<Arguments> {
        Some(match op {
            Op::Search { query } => {
                let query = &self.trace.queries()[*query as usize];
                Arguments::Search {
                    query: query.words.clone(),
                    namespace: query.namespace.map(namespace_name),
                }
            }
            Op::Get { memory } | Op::Delete { memory } => Arguments::One {
                id: self.id(*memory)?,
            },
            Op::Add {
                namespace, content, ..
            } => Arguments::Add {
                content: self.trace.text(*content),
                namespace: namespace_name(*namespace),
            },
            Op::Update { memory, content } => Arguments::Update {
                id: self.id(*memory)?,
                content: self.trace.text(*content),
            },
            Op::Batch(ops) => {
                let item = |op: &Op| {
                    Some(Item {
                        kind: op.kind().name(),
                        data: self.arguments(op)?,
                    })
                };
                Arguments::Batch {
                    operations: ops.iter().map(item).collect::<Option<_>>()?,
                }
            }
        })
    }

    fn id(&self, memory: u32) -> Option<String> {
        let id = self.ids.get(memory as usize);
        id.or_else(|| self.own.get(&memory)).map(Id::to_string)
    }

    /// Keeps the ids of what it added.
    fn remember(&mut self, op: &Op, seen: &Seen) {
        let Seen::Wrote(receipts) = seen else { return };
        let ops = match op {
            Op::Batch(ops) => &**ops,
            op => std::slice::from_ref(op),
        };
        for (op, receipt) in ops.iter().zip(receipts) {
            if let (Op::Add { memory, .. }, Some(receipt)) = (op, receipt) {
                self.own.insert(*memory, receipt.id);
            }
        }
    }
}

impl Worker for Agent {
    async fn call(&mut self) -> Result<Option<Called>, BenchError> {
        let trace = self.trace.clone();
        while let Some(op) = trace.clients()[self.number].get(self.place) {
            let called = self.make(op).await?;
            self.place += 1;
            if called.is_some() {
                return Ok(called);
            }
        }
        Ok(None)
    }
}

fn receipts(results: Results) -> Seen {
    let receipt = |result| match result {
        ItemResult::Ok(receipt) => Some(receipt),
        ItemResult::Error(_) => None,
    };
    Seen::Wrote(results.results.into_iter().map(receipt).collect())
}

fn finish<T>(kind: Kind, answer: Answer<T>, seen: impl FnOnce(T) -> Seen) -> (Called, Seen) {
    let answered = Outcome::Answered {
        cached: answer.cached,
        stale: answer.stale,
    };
    let (outcome, seen) = match answer.result {
        Ok(result) => (answered, seen(result)),
        // An agent may look for what it has deleted.
        Err(code) if kind == Kind::Get && code == "not_found" => (answered, Seen::NotFound),
        Err(code) => (Outcome::Refused(code), Seen::Refused),
    };
    let called = Called {
        kind,
        sent: answer.sent,
        received: answer.received,
        outcome,
    };
    (called, seen)
}
