//! Look-ups that lead to public addresses only.

use std::{io, net::SocketAddr};

use mcp_pool::agent::{Resolve, Resolving};

use crate::upstream::is_public;

/// Asks the system, and leaves out what is not public: whatever a name leads to, and whenever that
/// changes. One host and port may be excepted.
#[derive(Debug, Clone, Default)]
pub struct Guarded {
    excepted: Option<(String, u16)>,
}

impl Guarded {
    /// One that lets `excepted` be anywhere.
    #[must_use]
    pub fn new(excepted: Option<(String, u16)>) -> Self {
        Self { excepted }
    }
}

impl Resolve for Guarded {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a> {
        Box::pin(async move {
            let mut addresses: Vec<SocketAddr> =
                tokio::net::lookup_host((host, port)).await?.collect();
            let is_excepted = self
                .excepted
                .as_ref()
                .is_some_and(|(name, at)| name.eq_ignore_ascii_case(host) && *at == port);
            if !is_excepted {
                addresses.retain(|address| is_public(address.ip()));
            }
            match addresses.is_empty() {
                false => Ok(addresses),
                true => Err(io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    format!(
                        "`{host}` is at no public address: if that is meant, say so with \
                         `allow_private_address`"
                    ),
                )),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_is_excepted_may_be_private() {
        let excepted = Guarded::new(Some(("LocalHost".to_owned(), 80)));
        for (guarded, host, port, found) in [
            (&Guarded::default(), "127.0.0.1", 80, false),
            (&Guarded::default(), "localhost", 80, false),
            (&Guarded::default(), "::ffff:10.0.0.1", 80, false),
            (&Guarded::default(), "2130706433", 80, false),
            (&Guarded::default(), "8.8.8.8", 80, true),
            (&excepted, "localhost", 80, true),
            (&excepted, "localhost", 81, false),
            (&excepted, "127.0.0.1", 80, false),
        ] {
            let resolved = guarded.resolve(host, port).await;
            assert_eq!(resolved.is_ok(), found, "{host}:{port} {resolved:?}");
        }
    }
}
