//! What a pool needs to know about its connections.

use std::{convert::Infallible, error::Error, future::Future};

/// Makes, checks and closes the connections of a pool.
///
/// All but [`is_open`](Manager::is_open) run in tasks of the pool's own, never
/// inside a caller's future: a caller that goes away interrupts none of them.
pub trait Manager: Send + Sync + 'static {
    /// What is pooled.
    type Connection: Send + 'static;
    /// Why a connection could not be made or is broken.
    type Error: Error + Send + Sync + 'static;

    /// Makes a connection. Dropped after
    /// [`connect_timeout`](crate::Config::connect_timeout).
    ///
    /// # Errors
    /// What the failure is; the pool tries again after a growing delay.
    fn connect(&self) -> impl Future<Output = Result<Self::Connection, Self::Error>> + Send;

    /// Asks the other side whether it is still there, after the connection has
    /// been idle for long. Dropped, with the connection, after
    /// [`check_timeout`](crate::Config::check_timeout).
    ///
    /// # Errors
    /// Why the connection is of no use; the pool closes it.
    fn check(
        &self,
        connection: &mut Self::Connection,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        let _ = connection;
        std::future::ready(Ok(()))
    }

    /// A look without waiting, at each checkout of an idle connection and each
    /// return: whether the connection could still be open. Keep it cheap.
    fn is_open(&self, connection: &mut Self::Connection) -> bool {
        let _ = connection;
        true
    }

    /// Says good-bye. Dropped after
    /// [`close_timeout`](crate::Config::close_timeout).
    fn close(&self, connection: Self::Connection) -> impl Future<Output = ()> + Send {
        drop(connection);
        std::future::ready(())
    }

    /// Whether there is no use in trying again (a wrong password): all waiters
    /// fail at once unless another connection is open.
    fn is_permanent(&self, error: &Self::Error) -> bool {
        let _ = error;
        false
    }
}

/// A manager made of one function that connects.
#[derive(Debug, Clone, Copy)]
pub struct FromFn<F>(F);

/// Pools what `connect` makes; nothing is checked.
pub fn from_fn<F, T, C>(connect: F) -> FromFn<F>
where
    F: Fn() -> T + Send + Sync + 'static,
    T: Future<Output = C> + Send,
    C: Send + 'static,
{
    FromFn(connect)
}

impl<F, T, C> Manager for FromFn<F>
where
    F: Fn() -> T + Send + Sync + 'static,
    T: Future<Output = C> + Send,
    C: Send + 'static,
{
    type Connection = C;
    type Error = Infallible;

    async fn connect(&self) -> Result<C, Infallible> {
        Ok((self.0)().await)
    }
}
