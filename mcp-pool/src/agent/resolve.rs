//! Where a host is.

use std::{fmt, future::Future, io, net::SocketAddr, pin::Pin};

/// A look-up at work.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// Says at which addresses a host may be connected to; an agent asks for each new connection. One
/// that refuses some addresses guards against hosts that lead elsewhere: what it returns is what is
/// connected to, without a second look-up in between.
pub trait Resolve: fmt::Debug + Send + Sync {
    /// The addresses to try, in order.
    ///
    /// # Errors
    /// There is none, or none that may be connected to.
    ///
    /// # Cancel safety
    /// Must be: a connect that takes too long is dropped.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a>;
}
