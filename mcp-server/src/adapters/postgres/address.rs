//! From the address of a database to what connects to it.

use std::net::IpAddr;

use mcp_pool::managers::postgres::Postgres;
use tokio_postgres::config::{Host, SslMode};

use super::{Manager, tls::Tls};
use crate::{config::Dsn, memory::postgres::PostgresConfig};

/// Every statement looks up some rows by an index and is run again and again: it is planned once for
/// a connection, for any values, and never compiled, which takes longer than to run it.
const PLANS: &str = "-c jit=off -c plan_cache_mode=force_generic_plan -c enable_seqscan=off \
     -c enable_bitmapscan=off -c enable_hashjoin=off -c enable_mergejoin=off";

/// An address that is of no use, whoever is there.
#[derive(Debug, thiserror::Error)]
#[error("the address `{dsn}` of PostgreSQL cannot be used: {reason}")]
pub struct AddressError {
    /// Without the password.
    dsn: String,
    reason: String,
}

impl AddressError {
    pub(super) fn new(dsn: &Dsn, reason: String) -> Self {
        let dsn = format!("{dsn:?}");
        Self { dsn, reason }
    }
}

/// What connects to `dsn`. Reads the certificates that are trusted.
pub(super) fn manager(dsn: &Dsn, config: &PostgresConfig) -> Result<Manager, AddressError> {
    let failed = |reason: String| AddressError::new(dsn, reason);
    let mut address: tokio_postgres::Config =
        dsn.as_str()
            .parse()
            .map_err(|error: tokio_postgres::Error| {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                failed(cause.unwrap_or_else(|| error.to_string()))
            })?;
    if address.get_application_name().is_none() {
        address.application_name("mcp-server");
    }
    let limits = format!(
        "-c statement_timeout={0} -c lock_timeout={0} -c idle_in_transaction_session_timeout={0}",
        config.statement_timeout.as_millis()
    );
    let options = format!(
        "{limits} {PLANS} {}",
        address.get_options().unwrap_or_default()
    );
    address.options(options);
    if !wants_tls(dsn, &address) {
        address.ssl_mode(SslMode::Disable);
        return Ok(Postgres::new(address, Tls::default()));
    }
    if address.get_ssl_mode() == SslMode::Prefer && !dsn.as_str().contains("sslmode=prefer") {
        address.ssl_mode(SslMode::Require);
    }
    let ca_file = config.ca_file.as_deref();
    let tls = Tls::trusting(ca_file).map_err(|error| {
        let from = ca_file.map_or_else(
            || "the system's certificates".to_owned(),
            |path| format!("the certificates in `{}`", path.display()),
        );
        failed(format!("{from} cannot be used: {error}"))
    })?;
    Ok(Postgres::new(address, tls))
}

/// What stays on this machine need not be encrypted, unless it is asked for.
fn wants_tls(dsn: &Dsn, address: &tokio_postgres::Config) -> bool {
    let is_local = |host: &Host| match host {
        Host::Tcp(name) => {
            let address = name.parse::<IpAddr>();
            name == "localhost" || address.is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    };
    match address.get_ssl_mode() {
        SslMode::Disable => false,
        _ if dsn.as_str().contains("sslmode=") => true,
        _ => !address.get_hosts().iter().all(is_local),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_the_machine_is_encrypted() {
        let check = |text: &str, expect: SslMode| {
            let dsn: Dsn = serde_json::from_value(text.into()).unwrap();
            let address: tokio_postgres::Config = dsn.as_str().parse().unwrap();
            let wants = wants_tls(&dsn, &address);
            assert_eq!(wants, expect != SslMode::Disable, "{text}");
        };
        check("postgres://u@localhost/db", SslMode::Disable);
        check("postgres://u@127.0.0.1:5433/db", SslMode::Disable);
        check("postgres://u@[::1]/db", SslMode::Disable);
        check(
            "postgres://u@localhost/db?sslmode=require",
            SslMode::Require,
        );
        check("postgres://u@db.example.com/db", SslMode::Require);
        check("postgres://u@localhost,db.example.com/db", SslMode::Require);
        check("postgres://u@10.0.0.1/db?sslmode=disable", SslMode::Disable);
    }
}
