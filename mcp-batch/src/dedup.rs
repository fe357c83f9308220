//! Equal items of one batch, given to the function once.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
};

/// How to tell equal items, and how to share a result.
#[derive(Debug)]
pub(crate) struct Dedup<T, O, E> {
    state: RandomState,
    hash: fn(&RandomState, &T) -> u64,
    same: fn(&T, &T) -> bool,
    copy: fn(&Result<O, E>) -> Result<O, E>,
}

impl<T: Hash + Eq, O: Clone, E: Clone> Dedup<T, O, E> {
    pub(crate) fn new() -> Self {
        Self {
            state: RandomState::new(),
            hash: |state, item| state.hash_one(item),
            same: T::eq,
            copy: Result::clone,
        }
    }
}

impl<T, O, E> Dedup<T, O, E> {
    /// The first of each kind of item, and which of them each item equals.
    pub(crate) fn split(&self, items: Vec<T>) -> (Vec<T>, Vec<usize>) {
        let mut firsts: Vec<T> = Vec::with_capacity(items.len());
        let mut by_hash: HashMap<u64, Vec<usize>> = HashMap::new();
        let mut which = Vec::with_capacity(items.len());
        for item in items {
            let seen = by_hash.entry((self.hash)(&self.state, &item)).or_default();
            let equal = seen
                .iter()
                .copied()
                .find(|index| (self.same)(&firsts[*index], &item));
            which.push(equal.unwrap_or(firsts.len()));
            if equal.is_none() {
                seen.push(firsts.len());
                firsts.push(item);
            }
        }
        (firsts, which)
    }

    /// One result for each item again. The last item of each kind gets the
    /// result itself, those before it copies.
    pub(crate) fn spread(&self, results: Vec<Result<O, E>>, which: &[usize]) -> Vec<Result<O, E>> {
        let mut uses = vec![0_usize; results.len()];
        for index in which {
            uses[*index] += 1;
        }
        let mut results: Vec<_> = results.into_iter().map(Some).collect();
        let give = |index: &usize| {
            uses[*index] -= 1;
            if uses[*index] == 0 {
                return results[*index].take();
            }
            results[*index].as_ref().map(self.copy)
        };
        which.iter().filter_map(give).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_gets_the_result_of_its_equal() {
        let dedup = Dedup::<&str, usize, ()>::new();
        let (firsts, which) = dedup.split(vec!["a", "b", "a", "c", "b"]);
        assert_eq!(firsts, ["a", "b", "c"]);
        let results = dedup.spread(vec![Ok(1), Err(()), Ok(3)], &which);
        assert_eq!(results, [Ok(1), Err(()), Ok(1), Ok(3), Err(())]);
    }
}
