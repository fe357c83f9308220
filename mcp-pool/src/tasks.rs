//! The pool's own tasks: a connect, a check, and the upkeep. Each one says how
//! it ended, even if it panics or its runtime goes down.

use crate::{
    cap::{Permit, Under},
    clock::NEVER,
    error::Cause,
    manager::Manager,
    shared::Shared,
    slot::Slot,
    state::{Look, Todo},
    stats::CloseReason,
};
use std::{
    future::pending,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

/// Makes a connection, which goes to whoever waits longest by then.
pub(crate) fn connect<M: Manager>(shared: &Arc<Shared<M>>) {
    // Made before the task, which may never run.
    let attempt = Attempt {
        shared: Arc::clone(shared),
        ended: false,
    };
    shared.runtime.spawn(attempt.run());
}

struct Attempt<M: Manager> {
    shared: Arc<Shared<M>>,
    ended: bool,
}

impl<M: Manager> Attempt<M> {
    async fn run(self) {
        let permit = match &self.shared.under {
            None => None,
            Some(under) => {
                let Some(permit) = self.permit(under).await else {
                    return self.not_placed();
                };
                Some(permit)
            }
        };
        let limit = self.shared.config.connect_timeout;
        let started = Instant::now();
        match timeout(limit, self.shared.manager.connect()).await {
            Ok(Ok(connection)) => self.opened(connection, permit, started.elapsed()),
            Ok(Err(error)) => {
                let permanent = self.shared.manager.is_permanent(&error);
                self.failed(Cause::Manager(Box::new(error)), permanent);
            }
            Err(_) => self.failed(Cause::TimedOut { limit }, false),
        }
    }

    /// A place under the cap, for as long as somebody waits for the connection.
    async fn permit(&self, under: &Under) -> Option<Permit> {
        let shared = &self.shared;
        if let Some(permit) = under.try_permit() {
            return Some(permit);
        }
        let is_wanted = || shared.core.lock().surplus_connects() == 0;
        if !is_wanted() {
            return None;
        }
        // Whoever loses patience meanwhile is told why.
        shared.core.lock().is_capped();
        let receiver = under.permit(shared.member(), shared.now_ns());
        let permit = receiver.await.ok()?;
        is_wanted().then_some(permit)
    }

    fn not_placed(mut self) {
        self.ended = true;
        let now_ns = self.shared.now_ns();
        let todo = self.shared.core.lock().not_placed(now_ns);
        self.shared.act(todo);
    }

    fn opened(mut self, connection: M::Connection, permit: Option<Permit>, took: Duration) {
        self.ended = true;
        let shared = &self.shared;
        let todo = shared
            .core
            .lock()
            .opened(connection, permit, shared.now_ns());
        shared.observer.on_opened(took);
        tracing::debug!(?took, "connected");
        shared.act(todo);
    }

    fn failed(mut self, cause: Cause, permanent: bool) {
        self.ended = true;
        fail(&self.shared, cause, permanent);
    }
}

impl<M: Manager> Drop for Attempt<M> {
    fn drop(&mut self) {
        if !self.ended {
            fail(&self.shared, Cause::Aborted, false);
        }
    }
}

fn fail<M: Manager>(shared: &Arc<Shared<M>>, cause: Cause, permanent: bool) {
    let text = cause.to_string();
    let now_ns = shared.now_ns();
    let cause = Arc::new(cause);
    let todo = shared.core.lock().connect_failed(&cause, permanent, now_ns);
    shared.observer.on_connect_failed(&text);
    tracing::debug!(cause = text, permanent, "not connected");
    shared.act(todo);
}

/// A connection that is out for a look, and has to go somewhere after it.
pub(crate) struct Held<M: Manager> {
    shared: Arc<Shared<M>>,
    slot: Option<Box<Slot<M::Connection>>>,
}

impl<M: Manager> Held<M> {
    pub(crate) fn new(shared: &Arc<Shared<M>>, slot: Box<Slot<M::Connection>>) -> Self {
        Self {
            shared: Arc::clone(shared),
            slot: Some(slot),
        }
    }

    pub(crate) fn slot(&mut self) -> Option<&mut Slot<M::Connection>> {
        self.slot.as_deref_mut()
    }

    pub(crate) fn put(mut self, found: Look) {
        self.end(found);
    }

    fn end(&mut self, found: Look) {
        let Some(slot) = self.slot.take() else { return };
        let todo = self.shared.looked(slot, found);
        self.shared.act(todo);
    }

    /// A look without waiting; what is to be done then.
    pub(crate) fn peek(mut self) -> Todo<M::Connection> {
        let manager = Arc::clone(&self.shared.manager);
        let open = self
            .slot()
            .is_some_and(|slot| manager.is_open(&mut slot.connection));
        let found = if open { Look::Kept } else { Look::Broken };
        match self.slot.take() {
            Some(slot) => self.shared.looked(slot, found),
            None => Todo::default(),
        }
    }

    async fn check(mut self) -> bool {
        let limit = self.shared.config.check_timeout;
        let Some(slot) = self.slot.as_deref_mut() else {
            return false;
        };
        let manager = &self.shared.manager;
        let passed = manager.is_open(&mut slot.connection)
            && matches!(
                timeout(limit, manager.check(&mut slot.connection)).await,
                Ok(Ok(()))
            );
        self.put(if passed { Look::Passed } else { Look::Failed });
        passed
    }
}

impl<M: Manager> Drop for Held<M> {
    fn drop(&mut self) {
        self.end(Look::Failed);
    }
}

/// Asks a connection that is out for a look whether it is alive; it goes to
/// whoever waits longest by then.
pub(crate) fn check<M: Manager>(
    shared: &Arc<Shared<M>>,
    slot: Box<Slot<M::Connection>>,
) -> JoinHandle<bool> {
    shared.runtime.spawn(Held::new(shared, slot).check())
}

/// Says good-bye; the place is free when that is done, or took too long.
pub(crate) fn close<M: Manager>(
    shared: &Arc<Shared<M>>,
    slot: Box<Slot<M::Connection>>,
    reason: CloseReason,
) {
    let place = Leaving(Arc::clone(shared));
    let good_bye = good_bye(shared, slot, reason);
    shared.runtime.spawn(async move {
        good_bye.await;
        drop(place);
    });
}

/// As [`close`], where nobody is left to have the place.
pub(crate) fn close_last<M: Manager>(
    shared: &Shared<M>,
    slot: Box<Slot<M::Connection>>,
    reason: CloseReason,
) {
    shared.runtime.spawn(good_bye(shared, slot, reason));
}

fn good_bye<M: Manager>(
    shared: &Shared<M>,
    slot: Box<Slot<M::Connection>>,
    reason: CloseReason,
) -> impl Future<Output = ()> + Send + use<M> {
    shared.observer.on_closed(reason, slot.meta.uses);
    tracing::debug!(?reason, id = slot.meta.id, uses = slot.meta.uses, "closed");
    let (manager, limit) = (Arc::clone(&shared.manager), shared.config.close_timeout);
    async move {
        let Slot {
            connection, permit, ..
        } = *slot;
        // Late or not, the connection is gone.
        let _ = timeout(limit, manager.close(connection)).await;
        drop(permit);
    }
}

struct Leaving<M: Manager>(Arc<Shared<M>>);

impl<M: Manager> Drop for Leaving<M> {
    fn drop(&mut self) {
        let now_ns = self.0.now_ns();
        let todo = self.0.core.lock().closed_one(now_ns);
        self.0.act(todo);
    }
}

/// Starts what looks after the pool until it is gone.
pub(crate) fn keep<M: Manager>(shared: &Arc<Shared<M>>) {
    let keeper = Keeper {
        shared: Arc::downgrade(shared),
        bell: Arc::clone(&shared.bell),
    };
    shared.runtime.spawn(keeper.run());
}

/// Holds the pool only while it works.
struct Keeper<M: Manager> {
    shared: Weak<Shared<M>>,
    bell: Arc<Notify>,
}

impl<M: Manager> Keeper<M> {
    async fn run(self) {
        while let Some(shared) = self.shared.upgrade() {
            let wake = shared.upkeep();
            drop(shared);
            let due = async {
                match wake {
                    Some(at) => sleep_until(at).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = self.bell.notified() => {}
                () = due => {}
            }
        }
    }
}

impl<M: Manager> Drop for Keeper<M> {
    /// With its runtime: without a clock and tasks nobody would be served.
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            let todo = shared.core.lock().close();
            shared.act(todo);
        }
    }
}

impl<M: Manager> Shared<M> {
    fn looked(&self, slot: Box<Slot<M::Connection>>, found: Look) -> Todo<M::Connection> {
        let now_ns = self.now_ns();
        self.core.lock().looked(slot, found, now_ns)
    }

    fn upkeep(self: &Arc<Self>) -> Option<Instant> {
        let now_ns = self.now_ns();
        let upkeep = self.core.lock().upkeep(now_ns);
        for lent_ns in upkeep.lent_long {
            let lent = Duration::from_nanos(lent_ns);
            tracing::warn!(?lent, "a connection has been lent for long");
            self.observer.on_lent_long(lent);
        }
        self.act(upkeep.todo);
        match upkeep.wake_ns {
            NEVER => None,
            at_ns => self.clock.instant(at_ns),
        }
    }
}
