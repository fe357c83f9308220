//! What was written when, memory by memory.

use std::{collections::HashMap, time::Duration};

use super::Span;
use crate::bench::{
    history::{Event, History, Id, Receipt, Seen, Sighting},
    trace::{Content, Op},
};

/// All writes of a history.
#[derive(Default)]
pub(super) struct Writes {
    memories: HashMap<Id, u32>,
    of: HashMap<u32, Memory>,
    /// Texts about a query: when each was acknowledged, and of which memory and version it is.
    about: HashMap<u32, Vec<(Duration, u32, u64)>>,
}

/// The writes of one memory.
struct Memory {
    namespace: u32,
    writes: Vec<Write>,
}

struct Write {
    sent: Duration,
    /// When it was acknowledged; `MAX` if it never was.
    received: Duration,
    /// `MAX` for a delete; unknown where it was not acknowledged.
    version: Option<u64>,
    /// None for a delete.
    content: Option<Content>,
}

impl Writes {
    pub(super) fn of(history: &History) -> Self {
        let mut writes = Self::default();
        for (memory, id) in (0..).zip(history.ids.iter()) {
            let (namespace, content) = history.trace.seeded(memory);
            let op = Op::Add {
                memory,
                namespace,
                content,
            };
            let receipt = Receipt {
                id: *id,
                version: Some(1),
            };
            let before = Span {
                sent: Duration::ZERO,
                received: Duration::ZERO,
            };
            writes.write(&op, Some(receipt), before);
        }
        for (ops, events) in history.trace.clients().iter().zip(&history.clients) {
            for event in events {
                writes.follow(&ops[event.op as usize], event);
            }
        }
        for about in writes.about.values_mut() {
            about.sort_unstable();
        }
        writes
    }

    fn follow(&mut self, op: &Op, event: &Event) {
        let span = Span {
            sent: event.sent,
            received: event.received,
        };
        let ops = match op {
            Op::Batch(ops) => &**ops,
            op => std::slice::from_ref(op),
        };
        let receipts: &[_] = match &event.seen {
            Seen::Wrote(receipts) => receipts,
            _ => &[],
        };
        for (place, op) in ops.iter().enumerate() {
            self.write(op, receipts.get(place).copied().flatten(), span);
        }
    }

    fn write(&mut self, op: &Op, receipt: Option<Receipt>, span: Span) {
        let (memory, namespace, content) = match op {
            Op::Add {
                memory,
                namespace,
                content,
            } => (*memory, Some(*namespace), Some(*content)),
            Op::Update { memory, content } => (*memory, None, Some(*content)),
            Op::Delete { memory } => (*memory, None, None),
            Op::Search { .. } | Op::Get { .. } | Op::Batch(_) => return,
        };
        let version = receipt.map(|receipt| receipt.version.unwrap_or(u64::MAX));
        let received = receipt.map_or(Duration::MAX, |_| span.received);
        if let (Some(receipt), Some(_)) = (receipt, namespace) {
            self.memories.insert(receipt.id, memory);
        }
        if let (Some(about), Some(version)) = (content.and_then(|text| text.about), version) {
            let about = self.about.entry(about.query).or_default();
            about.push((received, memory, version));
        }
        let known = self.of.entry(memory).or_insert_with(|| Memory {
            namespace: namespace.unwrap_or_default(),
            writes: Vec::new(),
        });
        known.writes.push(Write {
            sent: span.sent,
            received,
            version,
            content,
        });
    }

    /// The memory that was acknowledged with this id.
    pub(super) fn memory(&self, id: Id) -> Option<u32> {
        self.memories.get(&id).copied()
    }

    pub(super) fn namespace(&self, memory: u32) -> Option<u32> {
        self.of.get(&memory).map(|memory| memory.namespace)
    }

    /// The write that a sighting shows, if it had begun by then.
    pub(super) fn origin(
        &self,
        sighting: &Sighting,
        span: Span,
        mut is_text: impl FnMut(Content) -> bool,
    ) -> Option<(u32, Content)> {
        let mut shows = |write: &Write| {
            let begun = write.sent < span.received;
            let version = write.version.is_none_or(|it| it == sighting.version);
            write
                .content
                .filter(|content| begun && version && is_text(*content))
        };
        if let Some(memory) = self.memory(sighting.id) {
            let writes = self.of.get(&memory)?.writes.iter();
            return writes
                .rev()
                .find_map(shows)
                .map(|content| (memory, content));
        }
        // An add that was never acknowledged may have been done, with an id that nobody was told.
        self.of.iter().find_map(|(memory, known)| {
            let unknown = known.writes.iter().filter(|write| write.version.is_none());
            unknown
                .filter_map(&mut shows)
                .next()
                .map(|content| (*memory, content))
        })
    }

    /// Whether something newer had been acknowledged before a read began.
    pub(super) fn is_outdated(&self, memory: u32, version: u64, span: Span) -> bool {
        self.writes(memory)
            .any(|write| write.received < span.sent && write.version > Some(version))
    }

    /// Whether a read may have come too late, or too early, to find the memory.
    pub(super) fn may_be_gone(&self, memory: u32, span: Span) -> bool {
        let deleted = |write: &Write| write.content.is_none() && write.sent < span.received;
        let stored = |write: &Write| write.content.is_some() && write.received < span.sent;
        self.writes(memory).any(deleted) || !self.writes(memory).any(stored)
    }

    /// The last texts about a query that had been acknowledged before a read began, and that nobody
    /// had begun to replace before it ended.
    pub(super) fn live_about(&self, query: u32, span: Span, len_max: usize) -> Vec<(u32, Content)> {
        let about: &[_] = self.about.get(&query).map_or(&[], Vec::as_slice);
        let end = about.partition_point(|(received, ..)| *received < span.sent);
        let recent = about[..end].iter().rev().take(len_max);
        recent
            .filter_map(|(_, memory, version)| Some((*memory, self.live(*memory, *version, span)?)))
            .collect()
    }

    fn live(&self, memory: u32, version: u64, span: Span) -> Option<Content> {
        let replaced = |write: &Write| {
            let newer = write.version.is_none_or(|it| it > version);
            newer && write.sent < span.received
        };
        if self.writes(memory).any(replaced) {
            return None;
        }
        let mut writes = self.writes(memory);
        writes.find(|write| write.version == Some(version))?.content
    }

    fn writes(&self, memory: u32) -> impl Iterator<Item = &Write> {
        self.of
            .get(&memory)
            .into_iter()
            .flat_map(|memory| &memory.writes)
    }
}
