//! Why the PostgreSQL store could not be opened, in words that say what to do.

use crate::adapters::postgres::{AddressError, DatabaseError};

/// Why the PostgreSQL store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// The settings name no database.
    #[error("the setting `memory.postgres.dsn` is needed where `memory.store` is `postgres`")]
    NoDsn,
    /// An address is of no use.
    #[error("{0}. Check `memory.postgres`")]
    Address(#[from] AddressError),
    /// No server takes writes.
    #[error(
        "cannot use the PostgreSQL database `{dsn}`: {reason}. Check that it runs, that it can be \
         reached from here, and the user, password and database in `memory.postgres.dsn`"
    )]
    Unreachable {
        /// The address, without its password.
        dsn: String,
        /// What the server or the operating system says.
        reason: String,
    },
    /// The tables were made by a newer version of this program.
    #[error(
        "the database `{dsn}` has schema version {found}, this program knows only up to {known}: \
         use a newer mcp-server, or another database"
    )]
    Newer {
        /// The address, without its password.
        dsn: String,
        /// The schema version that is there.
        found: i32,
        /// The newest version that this program knows.
        known: i32,
    },
    /// The schema is somebody else's.
    #[error(
        "the schema `mcp_server` in the database `{dsn}` was not made by this program: use another \
         database, or rename that schema"
    )]
    Foreign {
        /// The address, without its password.
        dsn: String,
    },
    /// The server refused to make or change the tables.
    #[error(
        "the tables in the database `{dsn}` could not be made or brought up to date: {reason}. The \
         user needs the right to create a schema there, once"
    )]
    Migration {
        /// The address, without its password.
        dsn: String,
        /// What the server says.
        reason: String,
    },
    /// The search index has no folder or no thread.
    #[error("cannot keep a search index in `{}`: {source}. Choose another folder with --data-dir", path.display())]
    Index {
        /// The folder.
        path: std::path::PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
}

impl PostgresError {
    pub(super) fn migration(dsn: &str, error: &DatabaseError) -> Self {
        Self::Migration {
            dsn: dsn.to_owned(),
            reason: error.to_string(),
        }
    }
}
