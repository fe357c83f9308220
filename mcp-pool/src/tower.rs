//! The pool as a `tower::MakeService`: what it makes is a lease, which is a
//! service if the connection is one.

use crate::{error::Error, lease::Lease, manager::Manager, pool::Pool};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};
use tower_service::Service;

/// Makes leases of a pool's connections; the target is not looked at.
pub struct MakeLease<M: Manager>(Pool<M>);

impl<M: Manager> MakeLease<M> {
    /// Leases of this pool.
    #[must_use]
    pub fn new(pool: Pool<M>) -> Self {
        Self(pool)
    }
}

impl<M: Manager> Clone for MakeLease<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: Manager> fmt::Debug for MakeLease<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MakeLease").field(&self.0).finish()
    }
}

impl<M: Manager, T> Service<T> for MakeLease<M> {
    type Response = Lease<'static, M>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Lease<'static, M>, Error>> + Send>>;

    /// Always ready: the wait for a connection is the call's, which has a
    /// place in the queue.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: T) -> Self::Future {
        let pool = self.0.clone();
        Box::pin(async move { pool.get_owned().await })
    }
}

/// Passes calls on to the connection. One that fails to become ready is not
/// lent again.
impl<M, R> Service<R> for Lease<'_, M>
where
    M: Manager,
    M::Connection: Service<R>,
{
    type Response = <M::Connection as Service<R>>::Response;
    type Error = <M::Connection as Service<R>>::Error;
    type Future = <M::Connection as Service<R>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let ready = (**self).poll_ready(cx);
        if let Poll::Ready(Err(_)) = &ready {
            self.retire();
        }
        ready
    }

    fn call(&mut self, request: R) -> Self::Future {
        (**self).call(request)
    }
}
