//! What a step under a stream's lock leaves to be done outside of it: wakers to
//! call and buffers to drop. Both run foreign code.

use crate::{
    error::{EndReason, Scope},
    ring::Slot,
};
use std::task::Waker;

/// As many events as a reader takes at once.
const SLOTS: usize = 4;

/// Filled under the lock, dropped outside. Allocates only for what is rare: a
/// crowd to wake, or many small events that make room for a large one.
#[derive(Debug, Default)]
pub(crate) struct After {
    wakers: [Option<Waker>; 3],
    crowd: Vec<Waker>,
    retired: Option<Waker>,
    retired_more: Vec<Waker>,
    slots: [Option<Slot>; SLOTS],
    slots_len: usize,
    more: Vec<Slot>,
    /// A limit's high watermark was crossed.
    pub(crate) crossed: [Option<Scope>; 2],
    /// Somebody began to wait for the session or the budget.
    pub(crate) short_of: Option<Scope>,
    /// What was not there when a lease was last tried.
    pub(crate) missing: u64,
    /// The stream ended just now.
    pub(crate) ended: Option<EndReason>,
}

impl After {
    pub(crate) fn wake(&mut self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        match self.wakers.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(waker),
            None => self.crowd.push(waker),
        }
    }

    /// A waker that is not called any more: its drop is foreign code too.
    pub(crate) fn retire(&mut self, waker: Option<Waker>) {
        if let Some(waker) = waker
            && let Some(other) = self.retired.replace(waker)
        {
            self.retired_more.push(other);
        }
    }

    #[inline]
    pub(crate) fn discard(&mut self, slot: Slot) {
        if let Some(place) = self.slots.get_mut(self.slots_len) {
            *place = Some(slot);
            self.slots_len += 1;
        } else {
            self.more.push(slot);
        }
    }

    pub(crate) fn discard_all(&mut self, slots: Vec<Slot>) {
        if self.more.is_empty() {
            self.more = slots;
        } else {
            self.more.extend(slots);
        }
    }

    pub(crate) fn cross(&mut self, scope: Scope) {
        self.crossed[usize::from(scope == Scope::Budget)] = Some(scope);
    }
}

impl Drop for After {
    fn drop(&mut self) {
        for waker in &mut self.wakers {
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
        if !self.crowd.is_empty() {
            self.crowd.drain(..).for_each(Waker::wake);
        }
    }
}
