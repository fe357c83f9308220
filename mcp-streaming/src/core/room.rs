//! Room for an event: what makes it, and what is leased for it.

use super::{Context, Core};
use crate::{
    after::After,
    config::SlowConsumer,
    error::{EndReason, ResourceExhausted, Scope, SendError},
    lease,
    line::Ticket,
};

impl Core {
    /// Makes sure that `weight` more bytes are leased and below the stream's
    /// limit. History makes room, and what the policy lets go.
    pub(super) fn make_room(
        &mut self,
        weight: u64,
        ticket: Option<Ticket>,
        cx: Context<'_>,
        after: &mut After,
    ) -> Result<(), SendError> {
        if !self.line.is_empty() && !ticket.is_some_and(|ticket| self.line.is_first(ticket)) {
            return Err(self.exhausted(Scope::Stream, cx));
        }
        let drops = cx.config.slow_consumer == SlowConsumer::DropHistory;
        if drops {
            self.secure_floor(weight, cx, after)?;
        }
        while self.used() + weight > cx.config.bytes_max {
            if !self.evict(drops, after) {
                return self.is_full(cx, after);
            }
        }
        while self.used() + weight > self.leased {
            let missing = self.used() + weight - self.leased;
            let Err(scope) = self.lease(missing, cx, after) else {
                return Ok(());
            };
            if !self.evict(drops, after) {
                after.short_of = Some(scope);
                return Err(self.exhausted(scope, cx));
            }
        }
        Ok(())
    }

    /// Unread events go only if that is enough: what no eviction frees, and the
    /// new event, must have room and be leased before.
    fn secure_floor(
        &mut self,
        weight: u64,
        cx: Context<'_>,
        after: &mut After,
    ) -> Result<(), SendError> {
        let floor = self.ring.in_hands() + self.reserved + weight;
        if floor > cx.config.bytes_max {
            return Err(self.exhausted(Scope::Stream, cx));
        }
        match floor
            .checked_sub(self.leased)
            .filter(|missing| *missing > 0)
        {
            Some(missing) => self.lease(missing, cx, after).map_err(|scope| {
                after.short_of = Some(scope);
                self.exhausted(scope, cx)
            }),
            None => Ok(()),
        }
    }

    fn is_full(&mut self, cx: Context<'_>, after: &mut After) -> Result<(), SendError> {
        if cx.config.slow_consumer != SlowConsumer::Disconnect {
            return Err(self.exhausted(Scope::Stream, cx));
        }
        self.end(EndReason::SlowConsumer, cx, after);
        Err(SendError::Ended(EndReason::SlowConsumer))
    }

    fn evict(&mut self, unread: bool, after: &mut After) -> bool {
        let unread_len = self.ring.unread_len();
        let Some(slot) = self.ring.evict(unread) else {
            return false;
        };
        self.dropped += unread_len - self.ring.unread_len();
        after.discard(slot);
        true
    }

    /// Leases what is missing, if possible in chunks.
    fn lease(&mut self, missing: u64, cx: Context<'_>, after: &mut After) -> Result<(), Scope> {
        after.missing = missing;
        self.chunk = cx.purse.chunk();
        let room = cx.config.bytes_max - self.leased;
        let wanted = lease::wanted(missing, self.chunk, room);
        let taken = match cx.purse.take(wanted, self.places, after) {
            Err(_) if wanted > missing => {
                cx.purse.take(missing, self.places, after)?;
                missing
            }
            result => {
                result?;
                wanted
            }
        };
        self.leased += taken;
        Ok(())
    }

    /// There may be room that was not there before.
    pub(super) fn room_came(&mut self, cx: Context<'_>, after: &mut After) {
        self.give_spare(cx, after);
        if !self.line.is_empty() {
            after.wake(self.line.first());
        }
    }

    pub(super) fn give_spare(&mut self, cx: Context<'_>, after: &mut After) {
        let pressed = cx.purse.is_waited_for();
        let spare = lease::spare(self.used(), self.leased, self.chunk, pressed);
        self.return_lease(spare, cx, after);
    }

    pub(super) fn return_lease(&mut self, bytes: u64, cx: Context<'_>, after: &mut After) {
        if bytes > 0 {
            self.leased -= bytes;
            cx.purse.give(bytes, after);
        }
    }

    fn exhausted(&self, scope: Scope, cx: Context<'_>) -> SendError {
        SendError::Exhausted(match scope {
            Scope::Stream => ResourceExhausted {
                scope,
                used: self.used(),
                limit: cx.config.bytes_max,
            },
            _ => cx.purse.exhausted(scope),
        })
    }
}

/// Whether the event can ever fit.
pub(super) fn check_weight(weight: u64, cx: Context<'_>) -> Result<(), SendError> {
    let limit = cx.config.bytes_max.min(cx.purse.limit());
    if weight > limit {
        return Err(SendError::TooLarge { weight, limit });
    }
    Ok(())
}
