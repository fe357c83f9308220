//! The future of one request.

use crate::Error;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

type Boxed<V, E> = Pin<Box<dyn Future<Output = Result<V, Error<E>>> + Send>>;

/// The future of one request: ready at once, without an allocation, for a hit.
///
/// # Cancel safety
/// As [`Cache::get_or_fetch`](crate::Cache::get_or_fetch).
///
/// # Panics
/// When polled after it has completed.
#[must_use = "futures do nothing unless polled"]
pub struct CacheFuture<V, E>(State<V, E>);

enum State<V, E> {
    Hit(Option<V>),
    Load(Boxed<V, E>),
}

impl<V, E> CacheFuture<V, E> {
    pub(super) fn hit(value: V) -> Self {
        Self(State::Hit(Some(value)))
    }

    pub(super) fn load(load: impl Future<Output = Result<V, Error<E>>> + Send + 'static) -> Self {
        Self(State::Load(Box::pin(load)))
    }
}

/// Nothing in it is pinned in place.
impl<V, E> Unpin for CacheFuture<V, E> {}

impl<V, E> Future for CacheFuture<V, E> {
    type Output = Result<V, Error<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Hit(value) => Poll::Ready(Ok(value.take().expect("polled after completion"))),
            State::Load(load) => load.as_mut().poll(cx),
        }
    }
}

impl<V, E> fmt::Debug for CacheFuture<V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.0 {
            State::Hit(_) => "hit",
            State::Load(_) => "load",
        };
        f.debug_struct("CacheFuture")
            .field("state", &state)
            .finish()
    }
}
