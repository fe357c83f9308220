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

/// The places of one writer in the lines of the limits. A place in the budget's
/// line comes only with one in the session's: who is first of its session keeps
/// its turn there while it waits for the budget, and all lines are joined in one
/// order, so that nobody waits in a circle.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Places {
    session: Option<Ticket>,
    budget: Option<Ticket>,
}

impl Purse {
    pub(crate) fn new(session: Option<Arc<Meter>>, budget: Arc<Meter>) -> Self {
        Self { session, budget }
    }

    pub(crate) fn session(&self) -> Option<&Arc<Meter>> {
        self.session.as_ref()
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
    pub(crate) fn take(&self, bytes: u64, places: Places, after: &mut After) -> Result<(), Scope> {
        if let Some(session) = &self.session {
            let leased = session.try_take(bytes, places.session);
            if leased.ok_or(Scope::Session)?.crossed {
                after.cross(Scope::Session);
            }
        }
        if let Some(leased) = self.budget.try_take(bytes, places.budget) {
            if leased.crossed {
                after.cross(Scope::Budget);
            }
            return Ok(());
        }
        if let Some(session) = &self.session {
            match places.session {
                // It took as the first in the line: nobody else could.
                Some(_) => session.refund(bytes),
                None => after.wake(session.give(bytes)),
            }
        }
        Err(Scope::Budget)
    }

    pub(crate) fn give(&self, bytes: u64, after: &mut After) {
        for (_, meter) in self.meters() {
            after.wake(meter.give(bytes));
        }
    }

    /// Waits for so many bytes of `scope`. Says whether a place is new, and so
    /// has to be tried.
    pub(crate) fn join(
        &self,
        places: &mut Places,
        scope: Scope,
        bytes: u64,
        waker: &Waker,
        after: &mut After,
    ) -> bool {
        let mut join = |meter: &Meter, ticket: &mut Option<Ticket>| {
            let joined = meter.join(ticket, waker, bytes);
            after.retire(joined.old);
            joined.is_new
        };
        let session = self.session.as_ref();
        let mut is_new = session.is_some_and(|session| join(session, &mut places.session));
        if scope == Scope::Budget {
            is_new |= join(&self.budget, &mut places.budget);
        } else {
            leave(&self.budget, &mut places.budget, after);
        }
        is_new
    }

    /// Gives all places up.
    pub(crate) fn leave(&self, places: &mut Places, after: &mut After) {
        leave(&self.budget, &mut places.budget, after);
        if let Some(session) = &self.session {
            leave(session, &mut places.session, after);
        }
    }

    /// Whether somebody waits for bytes that this stream may have to spare.
    pub(crate) fn is_waited_for(&self) -> bool {
        let session = self.session.as_ref();
        self.budget.is_waited_for() || session.is_some_and(|session| session.is_waited_for())
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

    /// Says how many streams the budget had before.
    pub(crate) fn enter(&self) -> u64 {
        if let Some(session) = &self.session {
            session.enter();
        }
        self.budget.enter()
    }

    pub(crate) fn exit(&self) {
        self.meters().for_each(|(_, meter)| meter.exit());
    }
}

fn leave(meter: &Meter, place: &mut Option<Ticket>, after: &mut After) {
    if let Some(ticket) = place.take() {
        let (next, old) = meter.leave(ticket);
        after.wake(next);
        after.retire(old);
    }
}
