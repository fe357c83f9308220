//! The cheapest code that could do the bare job: one mutex around the idle
//! connections and the waiters. No timeout, no statistics, no checks.

use crate::loads::{Conn, Gauge, POOL_SIZE, Rival};
use std::{
    collections::VecDeque,
    future::Future,
    ops::Deref,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::oneshot;

#[derive(Default)]
struct State {
    idle: Vec<Conn>,
    waiters: VecDeque<oneshot::Sender<Conn>>,
    open: usize,
}

#[derive(Clone)]
pub(crate) struct Floor {
    state: Arc<Mutex<State>>,
    gauge: Gauge,
    takes: Duration,
}

pub(crate) struct Held<'a> {
    floor: &'a Floor,
    conn: Option<Conn>,
}

impl Deref for Held<'_> {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        self.conn.as_ref().expect("held")
    }
}

impl Floor {
    pub(crate) fn new(gauge: Gauge, takes: Duration) -> Self {
        Self {
            state: Arc::default(),
            gauge,
            takes,
        }
    }

    fn put(&self, mut conn: Conn) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(waiter) = state.waiters.pop_front() {
            match waiter.send(conn) {
                Ok(()) => return,
                Err(back) => conn = back,
            }
        }
        state.idle.push(conn);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            self.floor.put(conn);
        }
    }
}

/// A connection that arrives after its waiter has gone goes back.
struct Waiting<'a> {
    floor: &'a Floor,
    receiver: oneshot::Receiver<Conn>,
}

impl<'a> Future for Waiting<'a> {
    type Output = Held<'a>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Held<'a>> {
        let floor = self.floor;
        Pin::new(&mut self.receiver).poll(cx).map(|conn| Held {
            floor,
            conn: Some(conn.expect("the pool lives")),
        })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.receiver.close();
        if let Ok(conn) = self.receiver.try_recv() {
            self.floor.put(conn);
        }
    }
}

enum Next {
    Conn(Conn),
    Open,
    Wait(oneshot::Receiver<Conn>),
}

impl Rival for Floor {
    type Held<'a> = Held<'a>;

    async fn get(&self) -> Held<'_> {
        let next = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(conn) = state.idle.pop() {
                Next::Conn(conn)
            } else if state.open < POOL_SIZE {
                state.open += 1;
                Next::Open
            } else {
                let (sender, receiver) = oneshot::channel();
                state.waiters.push_back(sender);
                Next::Wait(receiver)
            }
        };
        let conn = match next {
            Next::Conn(conn) => conn,
            // Cancelled here it would lose its slot: it is only the floor.
            Next::Open => self.gauge.connect(self.takes).await,
            Next::Wait(receiver) => {
                let floor = self;
                return Waiting { floor, receiver }.await;
            }
        };
        let conn = Some(conn);
        Held { floor: self, conn }
    }
}
