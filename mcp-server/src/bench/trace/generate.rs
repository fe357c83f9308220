//! The agents.

use super::{
    About, BURST_LEN, Content, Kind, Laws, NAMESPACES, Op, QUERIES_PER_NAMESPACE, TraceSettings,
    WORKING_SET, query_number,
};
use crate::bench::random::{Random, Zipf};

/// A burst, before it is shuffled: 70 % searches, 15 % gets, 10 % adds, 5 % of the others.
const BURST: [Option<Kind>; BURST_LEN] = {
    let mut burst = [Some(Kind::Search); BURST_LEN];
    let mut place = 14;
    while place < 17 {
        burst[place] = Some(Kind::Get);
        place += 1;
    }
    burst[17] = Some(Kind::Add);
    burst[18] = Some(Kind::Add);
    burst[19] = None;
    burst
};
/// Of the others, in percent: updates, and deletes; the rest are batches.
const UPDATE_PERCENT: u32 = 60;
const DELETE_PERCENT: u32 = 20;
/// Adds in a batch; one update follows them.
const BATCH_ADDS: usize = 4;
/// One of so many gets reads what the agent wrote itself, one what it deleted.
const OWN_GET_EVERY: u32 = 10;
const GONE_GET_EVERY: u32 = 40;
/// How far back an agent remembers what it wrote.
const OWN_LEN_MAX: usize = 32;
/// The most times that a text holds the words of what it is about.
const TIMES_MAX: u32 = 4;

/// The calls of every agent.
pub(super) fn clients(settings: &TraceSettings) -> Vec<Vec<Op>> {
    let places = (settings.memories / NAMESPACES).clamp(1, WORKING_SET);
    let laws = Laws {
        namespaces: Zipf::new(NAMESPACES),
        queries: Zipf::new(QUERIES_PER_NAMESPACE),
        memories: Zipf::new(places),
    };
    let clients = settings.clients.max(1);
    let bursts = (settings.calls as usize)
        .div_ceil(clients as usize)
        .div_ceil(BURST_LEN);
    (0..clients)
        .map(|client| Agent::new(settings, client, &laws).work(bursts))
        .collect()
}

struct Agent<'a> {
    settings: &'a TraceSettings,
    laws: &'a Laws,
    random: Random,
    namespace: u32,
    /// What it added and did not delete, newest last.
    own: Vec<u32>,
    gone: Option<u32>,
    next_memory: u32,
    next_content: u32,
}

impl<'a> Agent<'a> {
    fn new(settings: &'a TraceSettings, client: u32, laws: &'a Laws) -> Self {
        let next = settings.memories + client;
        Self {
            settings,
            laws,
            random: Random::stream(settings.seed, u64::from(client)),
            namespace: 0,
            own: Vec::new(),
            gone: None,
            next_memory: next,
            next_content: next,
        }
    }

    fn work(mut self, bursts: usize) -> Vec<Op> {
        let mut ops = Vec::with_capacity(bursts * BURST_LEN);
        for _ in 0..bursts {
            self.namespace = self.laws.namespaces.draw(&mut self.random);
            let mut burst = BURST;
            self.random.shuffle(&mut burst);
            ops.extend(burst.map(|kind| self.op(kind)));
        }
        ops
    }

    fn op(&mut self, kind: Option<Kind>) -> Op {
        match kind {
            Some(Kind::Search) => Op::Search {
                query: self.query(),
            },
            Some(Kind::Get) => self.get(),
            Some(_) => self.add(),
            None => match self.random.below(100) {
                0..UPDATE_PERCENT => self.update(),
                percent if percent < UPDATE_PERCENT + DELETE_PERCENT => self.delete(),
                _ => self.batch(),
            },
        }
    }

    fn query(&mut self) -> u32 {
        query_number(self.namespace, self.laws.queries.draw(&mut self.random))
    }

    fn get(&mut self) -> Op {
        let memory = match self.random.below(OWN_GET_EVERY * GONE_GET_EVERY) {
            draw if draw % OWN_GET_EVERY == 0 => self.own.last().copied(),
            draw if draw % GONE_GET_EVERY == 1 => self.gone,
            _ => None,
        };
        let memory = memory.unwrap_or_else(|| self.shared());
        Op::Get { memory }
    }

    fn add(&mut self) -> Op {
        let memory = self.next_memory;
        self.next_memory += self.settings.clients;
        if self.own.len() == OWN_LEN_MAX {
            self.own.remove(0);
        }
        self.own.push(memory);
        Op::Add {
            memory,
            namespace: self.namespace,
            content: self.content(self.namespace),
        }
    }

    fn update(&mut self) -> Op {
        let memory = self.shared();
        Op::Update {
            memory,
            content: self.content(memory % NAMESPACES),
        }
    }

    fn delete(&mut self) -> Op {
        if self.own.is_empty() {
            return self.update();
        }
        let count = u32::try_from(self.own.len()).unwrap_or(u32::MAX);
        let memory = self.own.remove(self.random.below(count) as usize);
        self.gone = Some(memory);
        Op::Delete { memory }
    }

    fn batch(&mut self) -> Op {
        let mut ops: Vec<_> = (0..BATCH_ADDS).map(|_| self.add()).collect();
        ops.push(self.update());
        Op::Batch(ops.into())
    }

    /// One of the memories that all agents on the project read.
    fn shared(&mut self) -> u32 {
        let memory = self.laws.memories.draw(&mut self.random) * NAMESPACES + self.namespace;
        memory.min(self.settings.memories.saturating_sub(1))
    }

    /// A text that no other memory has.
    fn content(&mut self, namespace: u32) -> Content {
        let number = self.next_content;
        self.next_content += self.settings.clients;
        let about = (self.random.below(2) == 0).then(|| About {
            query: query_number(namespace, self.laws.queries.draw(&mut self.random)),
            times: u8::try_from(1 + self.random.below(TIMES_MAX)).unwrap_or(1),
        });
        Content { number, about }
    }
}
