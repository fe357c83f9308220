//! The tables, as a list of steps from an empty database to the present ones.

use super::PostgresError;
use crate::adapters::postgres::{DatabaseError, Session, Sql};

/// Step n brings the tables from version n to n + 1. Steps are never changed, only added.
const STEPS: &[&str] = &[include_str!("schema/1.sql")];

/// Two processes that start at once take turns: the number is this program's.
const BEGIN: &str = "BEGIN; SELECT pg_advisory_xact_lock(7811906231547)";

const FOUND: Sql = Sql {
    name: "schema.find",
    text: "SELECT to_regnamespace('mcp_server') IS NOT NULL,
                  to_regclass('mcp_server.schema_version') IS NOT NULL",
};
const VERSION: Sql = Sql {
    name: "schema.version",
    text: "SELECT max(version) FROM mcp_server.schema_version",
};
const IDENTITY: Sql = Sql {
    name: "schema.identity",
    text: "SELECT identity::text FROM mcp_server.head",
};

/// Brings the tables up to date, and says which database they are in, whatever its address.
pub(super) async fn migrate(session: &mut Session, dsn: &str) -> Result<String, PostgresError> {
    let failed = |error: DatabaseError| PostgresError::migration(dsn, &error);
    session.begin(BEGIN).await.map_err(failed)?;
    let found = version(session, dsn).await?;
    let known = i32::try_from(STEPS.len()).expect("fewer steps than i32 counts");
    if found > known {
        return Err(PostgresError::Newer {
            dsn: dsn.to_owned(),
            found,
            known,
        });
    }
    let done = usize::try_from(found).unwrap_or_default();
    for (number, step) in STEPS.iter().enumerate().skip(done) {
        session.run(step).await.map_err(failed)?;
        let noted = format!(
            "INSERT INTO mcp_server.schema_version VALUES ({})",
            number + 1
        );
        session.run(&noted).await.map_err(failed)?;
    }
    session.commit().await.map_err(failed)?;
    let rows = session.query(&IDENTITY, &[]).await.map_err(failed)?;
    Ok(rows.first().map_or_else(String::new, |row| row.get(0)))
}

/// The version of the tables; 0 where there are none.
async fn version(session: &mut Session, dsn: &str) -> Result<i32, PostgresError> {
    let failed = |error: DatabaseError| PostgresError::migration(dsn, &error);
    let found = session.query(&FOUND, &[]).await.map_err(failed)?;
    let (schema, ours): (bool, bool) = match found.first() {
        Some(row) => (row.get(0), row.get(1)),
        None => (false, false),
    };
    match (schema, ours) {
        (false, _) => Ok(0),
        (true, false) => Err(PostgresError::Foreign {
            dsn: dsn.to_owned(),
        }),
        (true, true) => {
            let rows = session.query(&VERSION, &[]).await.map_err(failed)?;
            Ok(rows
                .first()
                .and_then(|row| row.get::<_, Option<i32>>(0))
                .unwrap_or_default())
        }
    }
}
