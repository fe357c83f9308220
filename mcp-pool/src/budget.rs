//! How many connections all pools of a set may have together, and how many of
//! them are kept for whom. Functions of (state, event); the lock and the
//! waiting are around them, in `set`.

/// What one class of clients may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// Always there for the class, whatever the others do.
    pub(crate) guaranteed: usize,
    pub(crate) max: usize,
}

#[derive(Debug)]
pub(crate) struct Budget {
    max: usize,
    shares: Vec<Share>,
    used: Vec<usize>,
}

impl Budget {
    /// The guaranteed shares fit into `max` together.
    pub(crate) fn new(max: usize, shares: Vec<Share>) -> Self {
        let used = vec![0; shares.len()];
        Self { max, shares, used }
    }

    pub(crate) fn used(&self, class: usize) -> usize {
        self.used[class]
    }

    /// Takes a place for the class, if it may have one: from its own share, or
    /// from what no class is guaranteed.
    pub(crate) fn take(&mut self, class: usize) -> bool {
        let fits = self.fits(class);
        self.used[class] += usize::from(fits);
        fits
    }

    pub(crate) fn put(&mut self, class: usize) {
        self.used[class] -= 1;
    }

    /// Whether a place of `from` would be of use to `class`.
    pub(crate) fn helps(&self, from: usize, class: usize) -> bool {
        if from == class {
            return true;
        }
        let over_share = self.used[from] > self.shares[from].guaranteed;
        over_share && self.used[class] < self.shares[class].max
    }

    fn fits(&self, class: usize) -> bool {
        let share = self.shares[class];
        if self.used[class] >= share.max {
            return false;
        }
        self.used[class] < share.guaranteed || self.common_used() < self.common()
    }

    /// What no class is guaranteed.
    fn common(&self) -> usize {
        let guaranteed: usize = self.shares.iter().map(|share| share.guaranteed).sum();
        self.max - guaranteed
    }

    fn common_used(&self) -> usize {
        let over = self.used.iter().zip(&self.shares);
        over.map(|(used, share)| used.saturating_sub(share.guaranteed))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn budget() -> Budget {
        let share = |guaranteed, max| Share { guaranteed, max };
        Budget::new(10, vec![share(3, 10), share(2, 4), share(0, 10)])
    }

    fn take_all(budget: &mut Budget, class: usize) -> usize {
        std::iter::repeat_with(|| budget.take(class))
            .take_while(|taken| *taken)
            .count()
    }

    #[test]
    fn a_flood_leaves_the_others_their_share() {
        let mut budget = budget();
        assert_eq!(take_all(&mut budget, 2), 5, "what nobody is guaranteed");
        assert_eq!(take_all(&mut budget, 0), 3);
        assert_eq!(take_all(&mut budget, 1), 2);
        assert!(!budget.helps(0, 1) && budget.helps(2, 1) && budget.helps(0, 0));
        budget.put(2);
        assert_eq!((take_all(&mut budget, 1), budget.used(1)), (1, 3));
    }

    #[test]
    fn a_class_has_no_more_than_its_maximum() {
        let mut budget = budget();
        assert_eq!(take_all(&mut budget, 1), 4);
        assert_eq!(
            take_all(&mut budget, 0),
            3 + 3,
            "two of the common five are taken"
        );
        assert!(!budget.helps(0, 1), "it has its maximum");
    }

    proptest! {
        #[test]
        fn the_limits_hold_whatever_comes(steps in prop::collection::vec((0usize..3, any::<bool>()), 0..200)) {
            let mut budget = budget();
            let mut held = [0usize; 3];
            for (class, take) in steps {
                if take {
                    held[class] += usize::from(budget.take(class));
                } else if held[class] > 0 {
                    budget.put(class);
                    held[class] -= 1;
                }
                prop_assert_eq!(&held[..], &budget.used[..]);
                prop_assert!(held.iter().sum::<usize>() <= 10);
                for (class, share) in budget.shares.clone().into_iter().enumerate() {
                    prop_assert!(held[class] <= share.max);
                    // The guarantee holds at every moment.
                    prop_assert!(held[class] >= share.guaranteed || budget.fits(class));
                }
            }
        }
    }
}
