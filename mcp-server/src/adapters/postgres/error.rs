//! What can go wrong between this process and a PostgreSQL database.

use tokio_postgres::error::SqlState;

use crate::memory::MemoryError;

/// Why a statement has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatabaseError {
    /// There was no connection to be had; nothing was sent.
    #[error("{0}")]
    Pool(#[from] mcp_pool::Error),
    /// There was no connection in time; nothing was sent.
    #[error("no connection was free in time")]
    NoConnection,
    /// The server did not answer in time. It was asked to give up; whether it has is not known.
    #[error("the database did not answer in time")]
    Late,
    /// The server refused, or the connection broke.
    #[error("{}", told(.0))]
    Postgres(#[from] tokio_postgres::Error),
}

/// The server's own words where there are some: the error itself only says that there are.
fn told(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{} ({})", said.message(), said.code().code()),
        None => {
            let cause = std::error::Error::source(error);
            cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
        }
    }
}

impl DatabaseError {
    /// What it means for a write that was sent as a whole: the server may have done it.
    pub(crate) fn of_commit(self) -> MemoryError {
        match &self {
            Self::Late => MemoryError::OutcomeUnknown {
                reason: self.to_string(),
                late: true,
            },
            // A server that goes down in between may have committed before it says so.
            Self::Postgres(_) if self.is_of_connection() => MemoryError::OutcomeUnknown {
                reason: self.to_string(),
                late: false,
            },
            _ => self.into(),
        }
    }

    /// Whether the connection, or its server, is to blame rather than the statement.
    pub(super) fn is_of_connection(&self) -> bool {
        match self {
            Self::Late => true,
            Self::Postgres(error) => match error.code() {
                None => true,
                Some(code) => ["08", "57P"]
                    .iter()
                    .any(|class| code.code().starts_with(class)),
            },
            Self::Pool(_) | Self::NoConnection => false,
        }
    }

    /// Whether a prepared statement does not fit the schema any more.
    pub(super) fn is_of_plan(&self) -> bool {
        const PLANS: [SqlState; 2] = [
            SqlState::FEATURE_NOT_SUPPORTED,
            SqlState::INVALID_SQL_STATEMENT_NAME,
        ];
        match self {
            Self::Postgres(error) => error.code().is_some_and(|code| PLANS.contains(code)),
            _ => false,
        }
    }
}

/// For what changed nothing.
impl From<DatabaseError> for MemoryError {
    fn from(error: DatabaseError) -> Self {
        let reason = error.to_string();
        match error {
            DatabaseError::Pool(mcp_pool::Error::Overloaded { limit }) => {
                Self::Overloaded { waiting: limit }
            }
            DatabaseError::Pool(_) => Self::Unavailable { reason },
            DatabaseError::NoConnection | DatabaseError::Late => Self::Timeout,
            DatabaseError::Postgres(error) => match error.code().map(SqlState::code) {
                // Cancelled, by us or by its time limit; or a lock was not to be had.
                Some("57014" | "55P03") => Self::Timeout,
                // Deadlocks and the like; the primary is none any more; out of something; going
                // down; a connection that broke.
                Some(code)
                    if ["40", "25006", "08", "53", "57", "58", "0A000", "26000"]
                        .iter()
                        .any(|class| code.starts_with(class)) =>
                {
                    Self::Unavailable { reason }
                }
                None => Self::Unavailable { reason },
                Some(_) => Self::Internal { reason },
            },
        }
    }
}
