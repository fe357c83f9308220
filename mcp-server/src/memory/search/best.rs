//! The best matches so far.

use std::{cmp::Ordering, collections::BinaryHeap};

use serde::{Deserialize, Serialize};

/// The low bits of a score that depend on the order in which a layer adds up: they are rounded away,
/// so that equal memories score equally wherever they are found.
const NOISE_BITS: u32 = 4;
/// How many offers pass between two questions whether to go on.
const OFFERS_PER_QUESTION: u32 = 256;

/// A memory that matched.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Match {
    /// How well; above zero.
    pub score: f32,
    /// The memory's row in its store.
    pub row: i64,
}

impl Eq for Match {}

/// The better match is the smaller one: a higher score, then the older memory.
impl Ord for Match {
    fn cmp(&self, other: &Self) -> Ordering {
        let score = other.score.total_cmp(&self.score);
        score.then(self.row.cmp(&other.row))
    }
}

impl PartialOrd for Match {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Keeps the best of the matches that it is offered.
pub struct Best<'a> {
    limit: usize,
    /// The worst one on top.
    heap: BinaryHeap<Match>,
    stop: &'a dyn Fn() -> bool,
    offers: u32,
    stopped: bool,
}

impl std::fmt::Debug for Best<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Best")
            .field("limit", &self.limit)
            .field("heap", &self.heap)
            .finish_non_exhaustive()
    }
}

impl<'a> Best<'a> {
    /// Keeps up to `limit` matches. `stop` says that nobody wants them any more.
    #[must_use]
    pub fn new(limit: usize, stop: &'a dyn Fn() -> bool) -> Self {
        Self {
            limit,
            heap: BinaryHeap::new(),
            stop,
            offers: 0,
            stopped: stop(),
        }
    }

    /// Keeps a match if it is one of the best.
    pub fn offer(&mut self, score: f32, row: i64) {
        self.offers = self.offers.wrapping_add(1);
        if self.offers.is_multiple_of(OFFERS_PER_QUESTION) {
            self.stopped |= (self.stop)();
        }
        let score = rounded(score);
        let offered = Match { score, row };
        if self.heap.len() < self.limit {
            self.heap.push(offered);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && offered < *worst
        {
            *worst = offered;
        }
    }

    /// Matches with this score or less need not be offered.
    #[must_use]
    pub fn threshold(&self) -> f32 {
        match self.heap.peek() {
            _ if self.stopped || self.limit == 0 => f32::INFINITY,
            Some(worst) if self.heap.len() >= self.limit => below(worst.score),
            _ => f32::MIN,
        }
    }

    /// The matches, best first.
    #[must_use]
    pub fn into_sorted(self) -> Vec<Match> {
        self.heap.into_sorted_vec()
    }
}

/// To the nearest score without noise.
pub(super) fn rounded(score: f32) -> f32 {
    let unit = 1 << NOISE_BITS;
    f32::from_bits((score.to_bits() + unit / 2) & !(unit - 1))
}

/// A score that is surely rounded to less than `score`, so that what is rounded to `score` is above
/// it and ties are offered.
fn below(score: f32) -> f32 {
    f32::from_bits(score.to_bits().saturating_sub(1 << NOISE_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_kept_and_ties_go_to_the_older() {
        let mut best = Best::new(3, &|| false);
        let noise = f32::from_bits(2.0_f32.to_bits() + 1);
        for (score, row) in [(1.0, 1), (2.0, 9), (3.0, 5), (noise, 2), (2.0, 7), (0.5, 0)] {
            assert!(score <= best.threshold() || score > 0.0);
            best.offer(score, row);
        }
        assert!(best.threshold() < 2.0);
        let rows: Vec<_> = best.into_sorted().iter().map(|found| found.row).collect();
        assert_eq!(rows, [5, 2, 7]);
    }

    #[test]
    fn nothing_is_wanted_after_a_stop_or_of_no_matches() {
        assert_eq!(Best::new(3, &|| true).threshold(), f32::INFINITY);
        assert_eq!(Best::new(0, &|| false).threshold(), f32::INFINITY);
        assert_eq!(Best::new(1, &|| false).threshold(), f32::MIN);
    }

    #[test]
    fn noise_does_not_tell_scores_apart() {
        for score in [1.0_f32, 0.3, 17.77] {
            let score = rounded(score);
            for ulps in 0..7 {
                assert_eq!(rounded(f32::from_bits(score.to_bits() + ulps)), score);
                assert!(below(score) < f32::from_bits(score.to_bits() - ulps));
            }
        }
    }
}
