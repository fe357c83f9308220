//! Whether what was seen can be true, judged after a run by what had been acknowledged.
//!
//! A read that began after a write was acknowledged must show it or something newer. For a get, and
//! for every memory that a search shows, that is a matter of versions. A memory that a search does
//! not show may only rank too low, and the ranking depends on all other memories; but whatever they
//! are, a memory that holds every word of the query at least as often as one that is shown, one of
//! them more often, in a text that is no longer, ranks higher than that one. So it must be shown,
//! too, and so must every match when there was room for more.

mod texts;
mod writes;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::{texts::Texts, writes::Writes};
use super::{
    history::{Event, Found, History, Seen, Sighting},
    trace::Op,
};

/// Matches of a search that is not told how many to find.
const RESULTS: usize = 10;
/// How many of the last writes about a query must be found by it: a search that is out of date
/// misses those.
const RECENT: usize = 16;
/// How many findings are told in words.
const EXAMPLES: usize = 5;

/// What the reads of a run were worth.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Searches and gets that were judged.
    pub reads: u64,
    /// Reads that did not show what had been acknowledged before they began.
    pub stale: u64,
    /// Reads that showed what nobody ever wrote, or did not ask for.
    pub wrong: u64,
    /// The first of those.
    pub examples: Vec<String>,
}

/// What is wrong with a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    /// A memory in an older version than had been acknowledged, or that had been deleted.
    Outdated,
    /// A memory is not found, although its write had been acknowledged and nobody deleted it.
    Lost,
    /// A memory or a text that nobody wrote by then.
    Invented,
    /// A match of another namespace, or without any of the words.
    NoMatch,
}

impl Finding {
    fn is_stale(self) -> bool {
        matches!(self, Self::Outdated | Self::Lost)
    }
}

/// Judges every read of a history.
#[must_use]
pub fn verify(history: &History) -> Verdict {
    let mut judge = Judge {
        history,
        writes: Writes::of(history),
        texts: Texts::new(&history.trace),
    };
    let mut verdict = Verdict::default();
    for (client, events) in history.clients.iter().enumerate() {
        for event in events {
            let op = &history.trace.clients()[client][event.op as usize];
            let Some(finding) = judge.read(op, event) else {
                continue;
            };
            verdict.reads += 1;
            let Some(finding) = finding else { continue };
            match finding.is_stale() {
                true => verdict.stale += 1,
                false => verdict.wrong += 1,
            }
            if verdict.examples.len() < EXAMPLES {
                let call = event.op;
                let example = format!("{finding:?}: client {client}, call {call}, {op:?}");
                verdict.examples.push(example);
            }
        }
    }
    verdict
}

struct Judge<'a> {
    history: &'a History,
    writes: Writes,
    texts: Texts<'a>,
}

/// From sending to receiving.
#[derive(Debug, Clone, Copy)]
struct Span {
    sent: Duration,
    received: Duration,
}

impl Judge<'_> {
    /// `None` for what is no read that was answered.
    fn read(&mut self, op: &Op, event: &Event) -> Option<Option<Finding>> {
        let span = Span {
            sent: event.sent,
            received: event.received,
        };
        match (op, &event.seen) {
            (Op::Get { memory }, Seen::Memory(sighting)) => {
                let other = self.writes.memory(sighting.id) != Some(*memory);
                let invented = other.then_some(Finding::Invented);
                Some(invented.or_else(|| self.sighting(sighting, span).err()))
            }
            (Op::Get { memory }, Seen::NotFound) => {
                let gone = self.writes.may_be_gone(*memory, span);
                Some((!gone).then_some(Finding::Lost))
            }
            (Op::Search { query }, Seen::Found(found)) => {
                Some(self.search(*query, found, span).err())
            }
            _ => None,
        }
    }

    fn search(&mut self, query: u32, found: &Found, span: Span) -> Result<(), Finding> {
        let scope = self.history.trace.queries()[query as usize].namespace;
        let mut shown = Vec::with_capacity(found.memories.len());
        for sighting in &found.memories {
            let (memory, content) = self.sighting(sighting, span)?;
            let fit = self.texts.fit(content, query);
            let namespace = self.writes.namespace(memory);
            let elsewhere = scope.is_some_and(|scope| namespace != Some(scope));
            if elsewhere || !fit.is_match() {
                return Err(Finding::NoMatch);
            }
            shown.push((memory, fit));
        }
        let room = found.memories.len() < RESULTS && !found.truncated;
        for (memory, content) in self.writes.live_about(query, span, RECENT) {
            if shown.iter().any(|(shown, _)| *shown == memory) {
                continue;
            }
            let fit = self.texts.fit(content, query);
            if room || shown.iter().any(|(_, shown)| fit.ranks_above(shown)) {
                return Err(Finding::Lost);
            }
        }
        Ok(())
    }

    /// Which memory it is, with which text.
    fn sighting(
        &mut self,
        sighting: &Sighting,
        span: Span,
    ) -> Result<(u32, super::trace::Content), Finding> {
        let texts = &mut self.texts;
        let is_text = |content| texts.hash(content) == sighting.content;
        let (memory, content) = self
            .writes
            .origin(sighting, span, is_text)
            .ok_or(Finding::Invented)?;
        match self.writes.is_outdated(memory, sighting.version, span) {
            true => Err(Finding::Outdated),
            false => Ok((memory, content)),
        }
    }
}

#[cfg(test)]
mod tests;
