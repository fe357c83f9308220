//! What the settings of a PostgreSQL server mean for this store, and what would be better.

use std::collections::HashMap;

use super::{PostgresConfig, PostgresError};
use crate::{
    adapters::postgres::{Database, Sql},
    call::Lane,
};

const SETTINGS: Sql = Sql {
    name: "doctor.settings",
    text: "SELECT name, setting, coalesce(unit, '') FROM pg_settings
           UNION ALL SELECT 'database_bytes', pg_database_size(current_database())::text, 'B'
           UNION ALL SELECT 'connections_now', count(*)::text, '' FROM pg_stat_activity
           UNION ALL SELECT 'standbys', count(*)::text, '' FROM pg_stat_replication",
};

/// How much a piece of advice matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Weight {
    /// As it should be.
    Good,
    /// It would be faster, or last longer.
    Better,
    /// Something that was promised does not hold.
    Broken,
}

/// What is said of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// How much it matters.
    pub weight: Weight,
    /// The setting, as the server calls it.
    pub setting: &'static str,
    /// What it is now, with its unit.
    pub value: String,
    /// What that means, and what to do.
    pub says: String,
}

/// Asks the servers of `config` for their settings; one list for each, the primary's first.
///
/// # Errors
///
/// [`PostgresError`] if the primary does not answer.
pub async fn advise(config: &PostgresConfig) -> Result<Vec<Advice>, PostgresError> {
    let dsn = config.dsn.as_ref().ok_or(PostgresError::NoDsn)?;
    let database = Database::connect(config).await?;
    let unreachable = |error: String| PostgresError::Unreachable {
        dsn: format!("{dsn:?}"),
        reason: database.trouble().unwrap_or(error),
    };
    let deadline = Some(tokio::time::Instant::now() + super::OPEN_TIMEOUT);
    let session = database.primary(Lane::Other, deadline).await;
    let mut session = session.map_err(|error| unreachable(error.to_string()))?;
    let rows = session.query(&SETTINGS, &[]).await;
    let rows = rows.map_err(|error| unreachable(error.to_string()))?;
    drop(session);
    let settings = Settings(
        rows.iter()
            .map(|row| (row.get(0), (row.get(1), row.get(2))))
            .collect(),
    );
    let replicas = config.read_replicas.len();
    let advice = settings.judged(config.connections_max.get(), replicas);
    database.close().await;
    Ok(advice)
}

/// The value and the unit of each setting.
struct Settings(HashMap<String, (String, String)>);

impl Settings {
    /// `connections`: what one process may take. `replicas`: how many it reads from.
    fn judged(&self, connections: u32, replicas: usize) -> Vec<Advice> {
        let mut advice = Vec::new();
        let mut say = |setting, weight, says: &str| {
            advice.push(Advice {
                weight,
                setting,
                value: self.shown(setting),
                says: says.to_owned(),
            });
        };
        let durable = ["fsync", "full_page_writes"];
        for setting in durable {
            match self.is(setting, "on") {
                true => say(setting, Weight::Good, "a crash loses nothing"),
                false => say(
                    setting,
                    Weight::Broken,
                    "a crash may damage the database: turn it on",
                ),
            }
        }
        match self.text("synchronous_commit") {
            "off" => say(
                "synchronous_commit",
                Weight::Broken,
                "a crash loses the last acknowledged writes: set it to on",
            ),
            "local" | "on" | "remote_write"
                if replicas > 0 && self.is("synchronous_standby_names", "") =>
            {
                say(
                    "synchronous_commit",
                    Weight::Better,
                    "a replica that takes over may lack the last acknowledged writes: name the replicas \
                 in synchronous_standby_names where that must not be",
                )
            }
            _ => say(
                "synchronous_commit",
                Weight::Good,
                "what is acknowledged is durable",
            ),
        }
        let (most, reserved) = (
            self.number("max_connections"),
            self.number("superuser_reserved_connections"),
        );
        let processes = (most - reserved) / f64::from(connections);
        match processes >= 1.0 {
            true => say(
                "max_connections",
                Weight::Good,
                &format!(
                    "enough for {processes:.0} servers with memory.postgres.connections_max {connections}"
                ),
            ),
            false => say(
                "max_connections",
                Weight::Broken,
                &format!(
                    "less than memory.postgres.connections_max, which is {connections}: raise it, or lower that"
                ),
            ),
        }
        match self.bytes("shared_buffers") < 256.0 * MIB {
            true => say(
                "shared_buffers",
                Weight::Better,
                "a quarter of the machine's memory lets reads find their pages there",
            ),
            false => say(
                "shared_buffers",
                Weight::Good,
                "reads find their pages there",
            ),
        }
        match self.bytes("max_wal_size") < 1024.0 * MIB {
            true => say(
                "max_wal_size",
                Weight::Better,
                "below 1 GB a load of writes makes a checkpoint follow the other: raise it",
            ),
            false => say("max_wal_size", Weight::Good, "checkpoints are seldom"),
        }
        match self.is("autovacuum", "on") {
            true => say(
                "autovacuum",
                Weight::Good,
                "old versions of rows are removed",
            ),
            false => say(
                "autovacuum",
                Weight::Broken,
                "tables grow with every update and every entry of the log: turn it on",
            ),
        }
        match self.number("random_page_cost") > 2.0 {
            true => say(
                "random_page_cost",
                Weight::Better,
                "set it to 1.1 where the database is on an SSD",
            ),
            false => say("random_page_cost", Weight::Good, "as an SSD has it"),
        }
        if replicas > 0 {
            match self.number("max_wal_senders") >= replicas as f64 {
                true => say("max_wal_senders", Weight::Good, "enough for the replicas"),
                false => say(
                    "max_wal_senders",
                    Weight::Broken,
                    "fewer than there are replicas",
                ),
            }
        }
        for setting in ["standbys", "connections_now", "database_bytes"] {
            say(setting, Weight::Good, "at this moment");
        }
        advice.sort_by_key(|advice| std::cmp::Reverse(advice.weight));
        advice
    }

    fn text(&self, setting: &str) -> &str {
        self.0.get(setting).map_or("", |(value, _)| value)
    }

    fn is(&self, setting: &str, value: &str) -> bool {
        self.text(setting) == value
    }

    fn number(&self, setting: &str) -> f64 {
        self.text(setting).parse().unwrap_or(0.0)
    }

    fn bytes(&self, setting: &str) -> f64 {
        let unit = match self.0.get(setting).map_or("", |(_, unit)| unit) {
            "8kB" => 8.0 * 1024.0,
            "kB" => 1024.0,
            "MB" => MIB,
            _ => 1.0,
        };
        self.number(setting) * unit
    }

    fn shown(&self, setting: &str) -> String {
        let unit = self.0.get(setting).map_or("", |(_, unit)| unit);
        match unit {
            "8kB" | "kB" | "MB" | "B" => format!("{:.0} MiB", self.bytes(setting) / MIB),
            unit => format!("{}{unit}", self.text(setting)),
        }
    }
}

const MIB: f64 = 1024.0 * 1024.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_a_promise_comes_first() {
        let check = |changed: &[(&str, &str)], expect: &[&str]| {
            let good = [
                ("fsync", "on", ""),
                ("full_page_writes", "on", ""),
                ("synchronous_commit", "on", ""),
                ("max_connections", "200", ""),
                ("superuser_reserved_connections", "3", ""),
                ("shared_buffers", "131072", "8kB"),
                ("max_wal_size", "1024", "MB"),
                ("autovacuum", "on", ""),
                ("random_page_cost", "1.1", ""),
                ("max_wal_senders", "10", ""),
                ("synchronous_standby_names", "", ""),
            ];
            let settings = good.map(|(name, value, unit)| {
                let changed = changed.iter().find(|(changed, _)| *changed == name);
                let value = changed.map_or(value, |(_, value)| value);
                (name.to_owned(), (value.to_owned(), unit.to_owned()))
            });
            let advice = Settings(settings.into()).judged(50, 1);
            let bad: Vec<_> = advice
                .iter()
                .filter(|advice| advice.weight != Weight::Good)
                .map(|advice| advice.setting)
                .collect();
            assert_eq!(bad, expect, "{changed:?}");
        };
        check(&[("synchronous_standby_names", "a")], &[]);
        check(&[], &["synchronous_commit"]);
        let named = ("synchronous_standby_names", "a");
        check(&[named, ("fsync", "off")], &["fsync"]);
        check(
            &[named, ("synchronous_commit", "off")],
            &["synchronous_commit"],
        );
        check(&[named, ("max_connections", "40")], &["max_connections"]);
        check(
            &[named, ("shared_buffers", "16384"), ("autovacuum", "off")],
            &["autovacuum", "shared_buffers"],
        );
    }
}
