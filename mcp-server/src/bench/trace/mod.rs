//! What agents at work ask of their memory: one trace, the same for equal settings.
//!
//! An agent works in bursts of 20 calls on one project (a namespace): 14 searches, 3 gets, 2 adds,
//! and one update, delete or batch, in any order. Which project, which query and which memory
//! follow Zipf's law: agents ask again and again for what the task at hand is about. What they
//! write is spread over the same projects; every second text is about something that is asked for
//! there, so that a write changes what searches must answer.
//!
//! The trace fixes everything but the ids, which the server gives: memories have numbers here.

mod generate;
mod reach;

pub use reach::{Reach, reach};

use super::{
    corpus::Corpus,
    random::{Random, Zipf},
};

/// Projects that agents work on.
pub const NAMESPACES: u32 = 16;
/// Distinct queries in one project.
pub const QUERIES_PER_NAMESPACE: u32 = 50;
/// One of so many queries searches all projects.
const EVERYWHERE_EVERY: u32 = 8;
/// Memories of a project, among those there are at first, that are read and updated.
pub const WORKING_SET: u32 = 100;
/// Calls in one burst.
pub const BURST_LEN: usize = 20;
/// About the length of a memory.
pub const TEXT_BYTES: usize = 250;
/// Distinct words in all texts.
pub(super) const WORDS: u32 = 20_000;
/// Words of a query.
const QUERY_WORDS: usize = 3;

/// What a trace is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceSettings {
    /// Chance.
    pub seed: u64,
    /// Agents at work.
    pub clients: u32,
    /// Memories that are there at first.
    pub memories: u32,
    /// Calls of all agents together, rounded up to whole bursts of each.
    pub calls: u32,
}

/// What every agent calls, in order.
#[derive(Debug, Clone)]
pub struct Trace {
    settings: TraceSettings,
    corpus: Corpus,
    queries: Vec<Query>,
    clients: Vec<Vec<Op>>,
}

/// Something that is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Where; everywhere when absent.
    pub namespace: Option<u32>,
    /// The words.
    pub words: String,
}

/// The text of a memory, by number; equal numbers have equal texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Content {
    /// Which of all texts.
    pub number: u32,
    /// What it is about, if about anything that is asked for.
    pub about: Option<About>,
}

/// What a text is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct About {
    /// The query that it answers.
    pub query: u32,
    /// How often it holds that query's words, at least.
    pub times: u8,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Searches.
    Search {
        /// For this.
        query: u32,
    },
    /// Reads a memory.
    Get {
        /// Which.
        memory: u32,
    },
    /// Stores a memory.
    Add {
        /// Its number, from then on.
        memory: u32,
        /// Where.
        namespace: u32,
        /// Its text.
        content: Content,
    },
    /// Gives a memory another text.
    Update {
        /// Which.
        memory: u32,
        /// The new text.
        content: Content,
    },
    /// Deletes a memory, which the agent added itself.
    Delete {
        /// Which.
        memory: u32,
    },
    /// Several adds and an update in one call.
    Batch(Box<[Op]>),
}

/// What kind of call it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `memory_search`
    Search,
    /// `memory_get`
    Get,
    /// `memory_add`
    Add,
    /// `memory_update`
    Update,
    /// `memory_delete`
    Delete,
    /// `memory_batch`
    Batch,
}

impl Kind {
    /// Every kind, most frequent first.
    pub const ALL: [Self; 6] = [
        Self::Search,
        Self::Get,
        Self::Add,
        Self::Update,
        Self::Delete,
        Self::Batch,
    ];

    /// The name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Get => "get",
            Self::Add => "add",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Batch => "batch",
        }
    }
}

impl Op {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Search { .. } => Kind::Search,
            Self::Get { .. } => Kind::Get,
            Self::Add { .. } => Kind::Add,
            Self::Update { .. } => Kind::Update,
            Self::Delete { .. } => Kind::Delete,
            Self::Batch(_) => Kind::Batch,
        }
    }
}

impl Trace {
    /// The trace of these settings.
    #[must_use]
    pub fn new(settings: TraceSettings) -> Self {
        let corpus = Corpus::new(WORDS, settings.seed);
        let queries = (0..NAMESPACES * QUERIES_PER_NAMESPACE)
            .map(|number| query(&corpus, settings.seed, number))
            .collect();
        Self {
            clients: generate::clients(&settings),
            settings,
            corpus,
            queries,
        }
    }

    /// What it was made from.
    #[must_use]
    pub fn settings(&self) -> &TraceSettings {
        &self.settings
    }

    /// Every query there is.
    #[must_use]
    pub fn queries(&self) -> &[Query] {
        &self.queries
    }

    /// The calls of each agent.
    #[must_use]
    pub fn clients(&self) -> &[Vec<Op>] {
        &self.clients
    }

    /// A memory that is there at first: where, and with what text.
    #[must_use]
    pub fn seeded(&self, memory: u32) -> (u32, Content) {
        let namespace = memory % NAMESPACES;
        let place = memory / NAMESPACES;
        let about = (place < WORKING_SET).then_some(About {
            query: query_number(namespace, place % QUERIES_PER_NAMESPACE),
            times: 1,
        });
        let number = memory;
        (namespace, Content { number, about })
    }

    /// The text itself.
    #[must_use]
    pub fn text(&self, content: Content) -> String {
        let mut beginning = String::new();
        if let Some(About { query, times }) = content.about {
            let words = &self.queries[query as usize].words;
            beginning = vec![words.as_str(); usize::from(times)].join(" ");
        }
        let random = Random::stream(self.settings.seed, 1 << 32 | u64::from(content.number));
        self.corpus.with(random).text_after(beginning, TEXT_BYTES)
    }
}

/// The name of a namespace on the wire.
#[must_use]
pub fn namespace_name(namespace: u32) -> String {
    format!("project-{namespace}")
}

/// The queries of a project lie side by side, the most frequent first.
fn query_number(namespace: u32, rank: u32) -> u32 {
    namespace * QUERIES_PER_NAMESPACE + rank
}

fn query(corpus: &Corpus, seed: u64, number: u32) -> Query {
    let random = Random::stream(seed, 2 << 32 | u64::from(number));
    let everywhere = number % EVERYWHERE_EVERY == EVERYWHERE_EVERY - 1;
    Query {
        namespace: (!everywhere).then_some(number / QUERIES_PER_NAMESPACE),
        words: corpus.with(random).words(QUERY_WORDS),
    }
}

/// The laws by which agents choose.
struct Laws {
    namespaces: Zipf,
    queries: Zipf,
    memories: Zipf,
}

#[cfg(test)]
mod tests;
