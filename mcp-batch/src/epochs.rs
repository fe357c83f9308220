//! Which flush an item belongs to, so that a flush knows when all before it
//! are answered.

use std::collections::VecDeque;

/// Unanswered items by epoch; each flush begins a new one.
#[derive(Debug)]
pub(crate) struct Epochs {
    first: u64,
    /// Unanswered items of `first`, `first + 1` and so on; never empty.
    open: VecDeque<u64>,
}

impl Epochs {
    pub(crate) fn new() -> Self {
        Self {
            first: 0,
            open: VecDeque::from([0]),
        }
    }

    /// The epoch of an item that comes now.
    pub(crate) fn enter(&mut self) -> u64 {
        if let Some(last) = self.open.back_mut() {
            *last += 1;
        }
        self.first + self.open.len() as u64 - 1
    }

    /// Whether an epoch has ended by this.
    pub(crate) fn leave(&mut self, epoch: u64) -> bool {
        let Some(since) = epoch.checked_sub(self.first) else {
            return false;
        };
        let index = usize::try_from(since).unwrap_or(usize::MAX);
        if let Some(count) = self.open.get_mut(index) {
            *count -= 1;
        }
        self.prune()
    }

    /// Ends the current epoch; its number.
    pub(crate) fn cut(&mut self) -> u64 {
        let epoch = self.first + self.open.len() as u64 - 1;
        self.open.push_back(0);
        self.prune();
        epoch
    }

    /// Whether all items of the epoch and of those before it are answered.
    pub(crate) fn is_over(&self, epoch: u64) -> bool {
        epoch < self.first
    }

    /// Ends all epochs: nothing will be answered from now on.
    pub(crate) fn end_all(&mut self) {
        self.first += self.open.len() as u64;
        self.open = VecDeque::from([0]);
    }

    fn prune(&mut self) -> bool {
        let before = self.first;
        while self.open.len() > 1 && self.open.front() == Some(&0) {
            self.open.pop_front();
            self.first += 1;
        }
        self.first > before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_over_when_all_before_it_are_answered() {
        let mut epochs = Epochs::new();
        let early = epochs.enter();
        let cut = epochs.cut();
        let late = epochs.enter();
        assert_eq!((early, late), (cut, cut + 1));
        let second = epochs.cut();
        assert!(!epochs.leave(late), "the first epoch is open");
        assert!(!epochs.is_over(cut) && !epochs.is_over(second));
        assert!(epochs.leave(early));
        assert!(epochs.is_over(cut) && epochs.is_over(second));
        let idle = epochs.cut();
        assert!(epochs.is_over(idle), "nothing to wait for");
    }
}
