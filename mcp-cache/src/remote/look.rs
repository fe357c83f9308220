//! One look into the second tier.

use super::{
    mirror::Verdict,
    node::Node,
    record::{Record, Unreadable},
    scope::Mark,
    store::{RemoteError, Stamped},
};
use crate::RemoteEvent;
use bytes::Bytes;
use tokio::time::timeout;

/// What a look found.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// The records that may be served, in the order of the keys.
    pub(crate) records: Vec<Option<Record>>,
    /// What a load that begins now is born at; `None` if that is not known.
    pub(crate) born: Option<u64>,
    /// Whether every invalidation up to a moment after the call is known here, so
    /// that the first tier is as good as the second.
    pub(crate) current: bool,
}

/// A record that is there, and what it is invalidated by.
struct Candidate {
    at: usize,
    record: Record,
    marks: Vec<Mark>,
}

impl Node {
    /// Looks for `keys`, all of one cache; never fails, and takes no longer than
    /// the deadline.
    pub(crate) async fn look(&self, cache: Mark, keys: &[Bytes]) -> Looked {
        let Some(pass) = self.guard.admit() else {
            self.counters.refused.add_one();
            return self.nothing(keys.len());
        };
        let limit = self.config.deadline;
        let error = match timeout(limit, self.ask(cache, keys)).await {
            Ok(Ok(looked)) => {
                pass.succeeded();
                return looked;
            }
            Ok(Err(error)) => {
                self.counters.errors.add_one();
                match error {
                    RemoteError::Refused { .. } | RemoteError::WentBack => pass.succeeded(),
                    _ => pass.failed(),
                }
                error
            }
            Err(_) => {
                self.counters.timeouts.add_one();
                pass.failed();
                RemoteError::DeadlineExceeded { limit }
            }
        };
        self.report(RemoteEvent::LookFailed(&error));
        self.nothing(keys.len())
    }

    /// What a load that begins now is born at, as far as this process has heard.
    pub(crate) fn born(&self) -> Option<u64> {
        Some(self.mirror.applied()).filter(|applied| *applied > 0)
    }

    fn nothing(&self, len: usize) -> Looked {
        Looked {
            records: vec![None; len],
            born: self.born(),
            current: false,
        }
    }

    async fn ask(&self, cache: Mark, keys: &[Bytes]) -> Result<Looked, RemoteError> {
        let before = self.mirror.applied();
        let asked_ms = self.clock.now_ms();
        let found = self.store.get(keys).await?;
        let Some(epoch) = found.epoch.filter(|epoch| *epoch >= before && *epoch > 0) else {
            self.doubt.notify_one();
            return Err(RemoteError::WentBack);
        };
        let current = self.mirror.is_current(epoch);
        if current {
            self.lease.confirm(asked_ms);
        }
        let mut looked = Looked {
            records: vec![None; keys.len()],
            born: Some(epoch),
            current,
        };
        let mut unknown = Vec::new();
        for (at, bytes) in found.records.into_iter().enumerate().take(keys.len()) {
            let Some(candidate) = self.candidate(at, &keys[at], bytes, cache) else {
                continue;
            };
            let marks = candidate.marks.iter().copied();
            match self.mirror.judge(epoch, candidate.record.born, marks) {
                Verdict::Live => self.serve(&mut looked, candidate),
                Verdict::Dead => self.counters.dead.add_one(),
                Verdict::Unknown => unknown.push(candidate),
            }
        }
        if !unknown.is_empty() {
            self.ask_stamps(&mut looked, unknown).await?;
        }
        Ok(looked)
    }

    fn candidate(
        &self,
        at: usize,
        key: &Bytes,
        bytes: Option<Bytes>,
        cache: Mark,
    ) -> Option<Candidate> {
        let Some(bytes) = bytes else {
            self.counters.misses.add_one();
            return None;
        };
        let record = match Record::decode(key, &bytes, self.config.value_bytes_max) {
            Ok(record) => record,
            Err(Unreadable::Newer) => {
                self.counters.unreadable.add_one();
                return None;
            }
            Err(Unreadable::Corrupt) => {
                self.counters.corrupt.add_one();
                self.report(RemoteEvent::Corrupt(key));
                return None;
            }
        };
        let marks: Vec<Mark> = record.marks(key, cache).collect();
        // Before the mirror is asked: what leaves the pending ones is there.
        if self.pending.concerns(marks.iter().copied()) {
            self.counters.dead.add_one();
            return None;
        }
        Some(Candidate { at, record, marks })
    }

    fn serve(&self, looked: &mut Looked, candidate: Candidate) {
        self.counters.hits.add_one();
        looked.records[candidate.at] = Some(candidate.record);
    }

    /// One round trip more, for all records that the mirror cannot judge.
    async fn ask_stamps(
        &self,
        looked: &mut Looked,
        unknown: Vec<Candidate>,
    ) -> Result<(), RemoteError> {
        self.counters.second_trips.add_one();
        let marks = unknown.iter().flat_map(|candidate| &candidate.marks);
        let slots: Vec<u32> = marks.flat_map(|mark| mark.slots()).collect();
        let Stamped { base, stamps } = self.store.stamps(&slots).await?;
        let Some(base) = base.filter(|_| stamps.len() == slots.len()) else {
            self.doubt.notify_one();
            return Err(RemoteError::WentBack);
        };
        let mut rows = stamps.chunks_exact(2);
        for candidate in unknown {
            let born = candidate.record.born;
            let own = rows.by_ref().take(candidate.marks.len());
            // All of them, so that the next one's come next.
            let dead = own
                .filter(|row| row.iter().all(|stamp| *stamp > born))
                .count()
                > 0;
            match dead || born < base {
                true => self.counters.dead.add_one(),
                false => self.serve(looked, candidate),
            }
        }
        Ok(())
    }
}
