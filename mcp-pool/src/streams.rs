//! Connections that carry many exchanges at a time.

use crate::{error::Error, lease::Lease, manager::Manager, pool::Pool};
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    fmt,
    num::NonZero,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::oneshot;

/// A pool of connections each of which is lent to many at a time: HTTP/2, or
/// whatever else multiplexes. Clones share it.
///
/// The busiest connection with room is taken, so that the others become idle
/// and can be reaped; who finds no room waits for the first of: room, a
/// connection that comes back, a new one.
pub struct Streams<M: Manager<Connection: Sync>>(Arc<Inner<M>>);

struct Inner<M: Manager<Connection: Sync>> {
    pool: Pool<M>,
    max_in_flight: usize,
    acquire_timeout: Duration,
    state: Mutex<State<M>>,
}

struct State<M: Manager<Connection: Sync>> {
    carriers: Vec<Carrier<M>>,
    waiters: VecDeque<oneshot::Sender<Result<Stream<M>, Error>>>,
    /// Connections that were asked for and have not come.
    growing: usize,
}

/// A connection that is out, for as long as anybody uses it.
struct Line<M: Manager<Connection: Sync>> {
    lease: Lease<'static, M>,
    retired: AtomicBool,
}

impl<M: Manager<Connection: Sync>> Line<M> {
    fn new(lease: Lease<'static, M>) -> Arc<Self> {
        Arc::new(Self {
            lease,
            retired: AtomicBool::new(false),
        })
    }
}

impl<M: Manager<Connection: Sync>> Drop for Line<M> {
    fn drop(&mut self) {
        if *self.retired.get_mut() {
            self.lease.retire();
        }
    }
}

struct Carrier<M: Manager<Connection: Sync>> {
    lease: Arc<Line<M>>,
    in_flight: usize,
}

/// The use of a connection that others use too; dropping it makes room.
#[must_use = "dropping it makes room"]
pub struct Stream<M: Manager<Connection: Sync>> {
    inner: Arc<Inner<M>>,
    /// `None` only while it is dropped.
    lease: Option<Arc<Line<M>>>,
    retire: bool,
}

impl<M: Manager<Connection: Sync>> Clone for Streams<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Manager<Connection: Sync>> Streams<M> {
    /// Each connection of `pool` carries up to `max_in_flight` at a time.
    #[must_use]
    pub fn new(pool: Pool<M>, max_in_flight: NonZero<usize>) -> Self {
        Self(Arc::new(Inner {
            acquire_timeout: pool.0.config.acquire_timeout,
            pool,
            max_in_flight: max_in_flight.get(),
            state: Mutex::new(State {
                carriers: Vec::new(),
                waiters: VecDeque::new(),
                growing: 0,
            }),
        }))
    }

    /// Room on a connection.
    ///
    /// # Cancel safety
    /// A caller that goes away leaves the queue; what it was about to be given
    /// goes to the next one.
    ///
    /// # Errors
    /// As [`Pool::get`].
    pub async fn get(&self) -> Result<Stream<M>, Error> {
        let receiver = match self.enter()? {
            Ok(stream) => return Ok(stream),
            Err(receiver) => receiver,
        };
        let limit = self.0.acquire_timeout;
        match tokio::time::timeout(limit, receiver).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Error::Closed),
            Err(_) => {
                let stats = self.0.pool.stats();
                Err(Error::Timeout {
                    limit,
                    in_use: stats.in_use,
                    opening: stats.opening,
                    cause: self.0.pool.last_connect_error(),
                })
            }
        }
    }

    /// Room at once, or a place in the queue.
    #[expect(clippy::type_complexity, reason = "either of two, or neither")]
    fn enter(
        &self,
    ) -> Result<Result<Stream<M>, oneshot::Receiver<Result<Stream<M>, Error>>>, Error> {
        let inner = &self.0;
        let (receiver, grow) = {
            let mut state = inner.state.lock();
            if let Some(lease) = state.join(inner.max_in_flight) {
                return Ok(Ok(Stream::new(inner, lease)));
            }
            let limit = inner.pool.0.config.max_waiters;
            state.forget_leavers();
            if state.waiters.len() >= limit {
                return Err(Error::Overloaded { limit });
            }
            let (sender, receiver) = oneshot::channel();
            state.waiters.push_back(sender);
            let grow = state.waiters.len() > state.growing * inner.max_in_flight;
            state.growing += usize::from(grow);
            (receiver, grow)
        };
        if grow {
            Inner::grow(inner);
        }
        Ok(Err(receiver))
    }

    /// The pool that the connections come from.
    #[must_use]
    pub fn pool(&self) -> &Pool<M> {
        &self.0.pool
    }

    /// Whether nobody else has a handle: no user, no stream, no task at work.
    #[cfg(feature = "http")]
    pub(crate) fn is_only_here(&self) -> bool {
        Arc::strong_count(&self.0) == 1 && self.0.pool.is_only_here()
    }

    /// Exchanges in flight now, on how many connections.
    #[must_use]
    pub fn in_flight(&self) -> (usize, usize) {
        let state = self.0.state.lock();
        let in_flight = state.carriers.iter().map(|carrier| carrier.in_flight).sum();
        (in_flight, state.carriers.len())
    }
}

impl<M: Manager<Connection: Sync>> State<M> {
    fn forget_leavers(&mut self) {
        self.waiters.retain(|waiter| !waiter.is_closed());
    }

    /// A place on the busiest connection that has room.
    fn join(&mut self, max_in_flight: usize) -> Option<Arc<Line<M>>> {
        let room = self
            .carriers
            .iter_mut()
            .filter(|carrier| carrier.in_flight < max_in_flight);
        let carrier = room.max_by_key(|carrier| carrier.in_flight)?;
        carrier.in_flight += 1;
        Some(Arc::clone(&carrier.lease))
    }
}

impl<M: Manager<Connection: Sync>> Inner<M> {
    /// Asks the pool for one more connection, in a task, so that a waiter that
    /// goes away takes no connect along that others wait for.
    fn grow(self: &Arc<Self>) {
        if let Some(lease) = self.pool.try_get_owned() {
            return self.grown(lease);
        }
        let inner = Arc::clone(self);
        self.pool.0.runtime.spawn(async move {
            loop {
                match inner.pool.get_owned().await {
                    Ok(lease) => return inner.grown(lease),
                    Err(error) if inner.not_grown(&error) => return,
                    Err(_) => {}
                }
            }
        });
    }

    fn grown(self: &Arc<Self>, lease: Lease<'static, M>) {
        let line = Line::new(lease);
        let served: Vec<_> = {
            let mut state = self.state.lock();
            state.growing -= 1;
            state.forget_leavers();
            let count = state.waiters.len().min(self.max_in_flight);
            if count > 0 {
                state.carriers.push(Carrier {
                    lease: Arc::clone(&line),
                    in_flight: count,
                });
            }
            state.waiters.drain(..count).collect()
        };
        for waiter in served {
            // Whoever has left drops the stream, which makes room.
            drop(waiter.send(Ok(Stream::new(self, Arc::clone(&line)))));
        }
    }

    /// No connection came. If none will, those that wait for it are told; if one
    /// still may, whoever waits knows by itself when its time is up, and it is
    /// worth another try.
    fn not_grown(&self, error: &Error) -> bool {
        let told: Vec<_> = {
            let mut state = self.state.lock();
            state.forget_leavers();
            if error.is_retryable() && !state.waiters.is_empty() {
                return false;
            }
            state.growing -= 1;
            let count = state.waiters.len().min(self.max_in_flight);
            state.waiters.drain(..count).collect()
        };
        for waiter in told {
            drop(waiter.send(Err(error.clone())));
        }
        true
    }

    /// A stream ends: its place is the next waiter's.
    fn release(self: &Arc<Self>, lease: Arc<Line<M>>, broken: bool) {
        let (mut last, mut next) = (None, None);
        {
            let mut state = self.state.lock();
            let at = state
                .carriers
                .iter()
                .position(|carrier| Arc::ptr_eq(&carrier.lease, &lease));
            // One that was found broken carries nothing new, and goes when the
            // last one that uses it does.
            let Some(at) = at else { return };
            state.carriers[at].in_flight -= 1;
            if broken {
                last = Some(state.carriers.swap_remove(at));
            } else {
                state.forget_leavers();
                next = state.waiters.pop_front();
                if next.is_some() {
                    state.carriers[at].in_flight += 1;
                } else if state.carriers[at].in_flight == 0 {
                    last = Some(state.carriers.swap_remove(at));
                }
            }
        }
        if let Some(waiter) = next {
            let stream = Stream::new(self, lease);
            drop(waiter.send(Ok(stream)));
        }
        // Outside of the lock it goes back to the pool.
        drop(last);
    }
}

impl<M: Manager<Connection: Sync>> Stream<M> {
    fn new(inner: &Arc<Inner<M>>, lease: Arc<Line<M>>) -> Self {
        Self {
            inner: Arc::clone(inner),
            lease: Some(lease),
            retire: false,
        }
    }

    /// The connection is broken, or takes no more: nobody new joins it, and it
    /// is closed when all that use it are done.
    pub fn retire(&mut self) {
        self.retire = true;
    }

    fn lease(&self) -> &Lease<'static, M> {
        &self.lease.as_ref().expect("held until it is dropped").lease
    }

    /// The connection's number.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.lease().id()
    }
}

impl<M: Manager<Connection: Sync>> Deref for Stream<M> {
    type Target = M::Connection;

    fn deref(&self) -> &M::Connection {
        self.lease()
    }
}

impl<M: Manager<Connection: Sync>> Drop for Stream<M> {
    fn drop(&mut self) {
        let Some(lease) = self.lease.take() else {
            return;
        };
        if self.retire {
            lease.retired.store(true, Ordering::Relaxed);
        }
        self.inner.release(lease, self.retire);
    }
}

impl<M: Manager<Connection: Sync>> fmt::Debug for Stream<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

impl<M: Manager<Connection: Sync>> fmt::Debug for Streams<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams")
            .field("pool", &self.0.pool)
            .finish_non_exhaustive()
    }
}
