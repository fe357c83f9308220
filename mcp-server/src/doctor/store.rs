//! Where memories are kept: the file, or the PostgreSQL server and its replicas.

use std::path::Path;

use super::{CHECK_TIMEOUT, Finding, on_a_thread};
use crate::{
    auth::Tokens,
    config::{Config, StoreKind},
    memory::{
        postgres::{PostgresConfig, Weight, advise},
        sqlite::inspect,
    },
};

pub(super) async fn look(config: &Config, dir: &Path) -> Vec<Finding> {
    let mut findings = match config.memory.store {
        StoreKind::Sqlite => {
            let dir = dir.to_owned();
            on_a_thread("store", move || vec![file(&dir)]).await
        }
        StoreKind::Postgres => postgres(&config.memory.postgres).await,
    };
    let (dir, required) = (dir.to_owned(), config.http.asks_for_tokens());
    findings.extend(on_a_thread("tokens", move || vec![tokens(&dir, required)]).await);
    findings
}

fn file(dir: &Path) -> Finding {
    const CHECK: &str = "store";
    match inspect(dir) {
        Ok(None) => Finding::ok(CHECK, "there is no database yet: the first start makes it"),
        // The error says what to do.
        Err(error) => Finding::failure(CHECK, error.to_string(), "see there; nothing was changed"),
        Ok(Some(found)) => match &found.damage {
            Some(damage) => Finding::failure(
                CHECK,
                format!("the database is damaged: {damage}"),
                "stop the server; restore a backup of memory.db, or save what can be read with \
                 `sqlite3 memory.db .recover`",
            ),
            None => Finding::ok(
                CHECK,
                format!(
                    "{} memories and {} contexts in {} KiB{}",
                    found.memories,
                    found.contexts,
                    found.bytes >> 10,
                    match found.is_checked {
                        true => "; every page is whole",
                        false => "; too large to read every page here",
                    }
                ),
            ),
        },
    }
}

async fn postgres(config: &PostgresConfig) -> Vec<Finding> {
    const CHECK: &str = "postgresql";
    let unreachable = "start it, or correct memory.postgres.dsn; check user, password and \
                       pg_hba.conf with `psql`";
    let advice = match tokio::time::timeout(CHECK_TIMEOUT, advise(config)).await {
        Ok(Ok(advice)) => advice,
        Ok(Err(error)) => return vec![Finding::failure(CHECK, error.to_string(), unreachable)],
        Err(_) => {
            let says = format!("no answer within {CHECK_TIMEOUT:?}");
            return vec![Finding::failure(CHECK, says, unreachable)];
        }
    };
    let mut findings = vec![Finding::ok(CHECK, "it answers")];
    for advice in advice {
        let says = format!("{} = {}", advice.setting, advice.value);
        match advice.weight {
            Weight::Good => {}
            Weight::Better => findings.push(Finding::warning(CHECK, says, advice.says)),
            Weight::Broken => findings.push(Finding::failure(CHECK, says, advice.says)),
        }
    }
    findings
}

fn tokens(dir: &Path, required: bool) -> Finding {
    const CHECK: &str = "tokens";
    match Tokens::open(dir) {
        // The error says what to do.
        Err(error) => Finding::failure(CHECK, error.to_string(), "see there"),
        Ok(tokens) if tokens.is_empty() && required => Finding::failure(
            CHECK,
            "clients must show a token, and there is none",
            "mcp-server token add NAME",
        ),
        Ok(tokens) => Finding::ok(
            CHECK,
            match (tokens.len(), required) {
                (0, _) => "there are none, and none is asked for".to_owned(),
                (count, true) => format!("there are {count}, and one must be shown"),
                (count, false) => format!("there are {count}; who shows none works as `local`"),
            },
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        doctor::Verdict,
        memory::sqlite::{SqliteConfig, SqliteStore},
    };

    #[test]
    fn a_database_is_looked_at_while_a_store_works_with_it_and_a_broken_one_is_told() {
        let dir = tempfile::tempdir().unwrap();
        assert!(file(dir.path()).says.contains("no database yet"));
        let store = SqliteStore::open(dir.path(), &SqliteConfig::default()).unwrap();
        let finding = file(dir.path());
        assert_eq!(finding.verdict, Verdict::Ok, "{finding:?}");
        assert!(finding.says.starts_with("0 memories"), "{finding:?}");
        drop(store);
        std::fs::write(
            dir.path().join("memory.db"),
            "this is no database, by any means",
        )
        .unwrap();
        assert_eq!(file(dir.path()).verdict, Verdict::Failure);
    }

    #[test]
    fn a_token_that_is_asked_for_must_be_there() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(tokens(dir.path(), false).verdict, Verdict::Ok);
        let finding = tokens(dir.path(), true);
        assert_eq!(finding.verdict, Verdict::Failure);
        assert!(finding.mend.unwrap().contains("token add"));
    }
}
