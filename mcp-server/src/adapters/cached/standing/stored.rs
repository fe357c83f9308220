//! A kept search in a form that another process can go on with.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Held, Kept, Match, Query, Standing, Statistics};
use crate::memory::Memory;

/// All of a [`Standing`] but what its query is, which whoever asks knows, and until when it is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Stored {
    upto: i64,
    /// In the order of the counts.
    words: Vec<String>,
    ranked_by: Statistics,
    counts: Statistics,
    held: Vec<(Match, Arc<Memory>)>,
    bound: Option<Match>,
}

impl Stored {
    /// The last change that the search has seen.
    pub(in super::super) fn upto(&self) -> i64 {
        self.upto
    }
}

impl Standing {
    pub(in super::super) fn stored(&self) -> Stored {
        let held = self.held.iter();
        Stored {
            upto: self.upto,
            words: self.query.words().to_vec(),
            ranked_by: (*self.ranked_by).clone(),
            counts: self.counts.clone(),
            held: held
                .map(|held| (held.found, held.kept.memory.clone()))
                .collect(),
            bound: self.bound,
        }
    }

    /// The search `query` as it was stored, to be run again at `until`. `None` if it is of other words.
    pub(in super::super) fn restored(
        stored: Stored,
        query: Arc<Query>,
        until: Instant,
    ) -> Option<Self> {
        let own = |counts: &Statistics| counts.reordered(&stored.words, query.words());
        let (ranked_by, counts) = (own(&stored.ranked_by)?, own(&stored.counts)?);
        let held = stored.held.into_iter().map(|(found, memory)| Held {
            found,
            kept: Kept::new(memory),
        });
        Some(Self {
            upto: stored.upto,
            ranked_by: Arc::new(ranked_by),
            counts,
            held: held.collect(),
            bound: stored.bound,
            until,
            form: Arc::default(),
            offered: Some(stored.upto),
            query,
        })
    }
}
