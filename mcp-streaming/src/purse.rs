//! Where a stream's bytes come from: the budget of all, and its session's part
//! of it.

use crate::{
    after::After,
    error::{ResourceExhausted, Scope},
    lease,
    line::Ticket,
    meter::Meter,
};
use std::{sync::Arc, task::Waker};

#[derive(Debug, Clone)]
pub(crate) struct Purse {
    session: Option<Arc<Meter>>,
    budget: Arc<Meter>,
}

/// A place in the line of one of the limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    scope: Scope,
    ticket: Ticket,
}

impl Purse {
    pub(crate) fn new(session: Option<Arc<Meter>>, budget: Arc<Meter>) -> Self {
        Self { session, budget }
    }

    /// All limits, the narrow one first.
    fn meters(&self) -> impl Iterator<Item = (Scope, &Arc<Meter>)> {
        let session = self.session.iter().map(|meter| (Scope::Session, meter));
        session.chain([(Scope::Budget, &self.budget)])
    }

    fn meter(&self, scope: Scope) -> &Meter {
        match (&self.session, scope) {
            (Some(session), Scope::Session) => session,
            _ => &self.budget,
        }
    }

    /// Leases `bytes` from all limits, or says which one is short.
    pub(crate) fn take(
        &self,
        bytes: u64,
        place: Option<Place>,
        after: &mut After,
    ) -> Result<(), Scope> {
        let ticket = |scope| {
            let place = place.filter(|place| place.scope == scope);
            place.map(|place| place.ticket)
        };
        if let Some(session) = &self.session {
            let leased = session.try_take(bytes, ticket(Scope::Session));
            if leased.ok_or(Scope::Session)?.crossed {
                after.cross(Scope::Session);
            }
        }
        match self.budget.try_take(bytes, ticket(Scope::Budget)) {
            Some(leased) => {
                if leased.crossed {
                    after.cross(Scope::Budget);
                }
                Ok(())
            }
            None => {
                if let Some(session) = &self.session {
                    after.wake(session.give(bytes));
                }
                Err(Scope::Budget)
            }
        }
    }

    pub(crate) fn give(&self, bytes: u64, after: &mut After) {
        for (_, meter) in self.meters() {
            after.wake(meter.give(bytes));
        }
    }

    /// Waits in the line of `scope`, and in no other. Says whether the place is
    /// new, and so has to be tried.
    pub(crate) fn join(
        &self,
        place: &mut Option<Place>,
        scope: Scope,
        waker: &Waker,
        after: &mut After,
    ) -> bool {
        if place.is_some_and(|place| place.scope != scope) {
            self.leave(place, after);
        }
        let mut ticket = place.map(|place| place.ticket);
        let is_new = ticket.is_none();
        drop(self.meter(scope).join(&mut ticket, waker));
        *place = ticket.map(|ticket| Place { scope, ticket });
        is_new
    }

    pub(crate) fn leave(&self, place: &mut Option<Place>, after: &mut After) {
        if let Some(place) = place.take() {
            after.wake(self.meter(place.scope).leave(place.ticket));
        }
    }

    /// Whether somebody waits for bytes that this stream may have to spare.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.meters().any(|(_, meter)| meter.is_waited_for())
    }

    /// How much to take at once.
    pub(crate) fn chunk(&self) -> u64 {
        let chunk = |meter: &Meter| lease::chunk(meter.marks().limit, meter.streams());
        let chunks = self.meters().map(|(_, meter)| chunk(meter));
        chunks.min().unwrap_or_default()
    }

    /// The most that a stream can ever lease.
    pub(crate) fn limit(&self) -> u64 {
        let limits = self.meters().map(|(_, meter)| meter.marks().limit);
        limits.min().unwrap_or_default()
    }

    pub(crate) fn exhausted(&self, scope: Scope) -> ResourceExhausted {
        let meter = self.meter(scope);
        ResourceExhausted {
            scope,
            used: meter.used(),
            limit: meter.marks().limit,
        }
    }

    pub(crate) fn enter(&self) {
        self.meters().for_each(|(_, meter)| meter.enter());
    }

    pub(crate) fn exit(&self) {
        self.meters().for_each(|(_, meter)| meter.exit());
    }
}
