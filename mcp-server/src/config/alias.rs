//! What the section `context_manager` means for the settings of this program.

use serde_json::{Value, json};

use super::{Config, ContextManagerSection, Origins, SetBy, StoreKind, lines::Lines};
use crate::context::ManagerKind;

/// A setting of the section, and the one of this program that it sets.
struct Alias {
    name: &'static str,
    means: &'static str,
    value: Value,
}

/// Every setting of the section that has a meaning here; the others are named by
/// [`ContextManagerSection::not_used`].
fn aliases(section: &ContextManagerSection) -> Vec<Alias> {
    let mut aliases = Vec::new();
    let mut alias = |name, means, value: Option<Value>| {
        if let Some(value) = value {
            aliases.push(Alias { name, means, value });
        }
    };
    let span = |span: std::time::Duration| json!(format!("{}ms", span.as_millis()));
    let in_memory = section
        .cache
        .as_ref()
        .and_then(|cache| cache.in_memory.as_ref());
    if let Some(in_memory) = in_memory {
        let manager = |enabled| match enabled {
            true => json!(ManagerKind::Optimised),
            false => json!(ManagerKind::Standard),
        };
        alias(
            "context_manager.cache.in_memory.enabled",
            "contexts.manager",
            in_memory.enabled.map(manager),
        );
        alias(
            "context_manager.cache.in_memory.max_size",
            "contexts.cache.entries_max",
            in_memory.max_size.map(|size| json!(size)),
        );
        alias(
            "context_manager.cache.in_memory.ttl",
            "contexts.cache.ttl.other",
            in_memory.ttl.map(span),
        );
    }
    let redis = section
        .cache
        .as_ref()
        .and_then(|cache| cache.redis.as_ref());
    if let Some(redis) = redis {
        let endpoints: Vec<_> = redis
            .endpoints
            .iter()
            .map(super::Endpoint::as_str)
            .collect();
        alias(
            "context_manager.cache.redis.endpoints",
            "memory.cache.redis.endpoints",
            (!endpoints.is_empty()).then(|| json!(endpoints)),
        );
        alias(
            "context_manager.cache.redis.enabled",
            "memory.cache.redis.enabled",
            redis.enabled.map(|enabled| json!(enabled)),
        );
        alias(
            "context_manager.cache.redis.ttl",
            "memory.cache.redis.ttl",
            redis.ttl.map(span),
        );
    }
    if let Some(database) = &section.database
        && let Some(dsn) = &database.dsn
    {
        let name = "context_manager.database.dsn";
        alias(name, "memory.store", Some(json!(StoreKind::Postgres)));
        alias(name, "memory.postgres.dsn", Some(json!(dsn)));
        alias(
            "context_manager.database.max_open_conns",
            "memory.postgres.connections_max",
            database.max_open_conns.map(|most| json!(most)),
        );
        alias(
            "context_manager.database.max_idle_conns",
            "memory.postgres.connections_idle_max",
            database.max_idle_conns.map(|most| json!(most)),
        );
        alias(
            "context_manager.database.conn_max_lifetime",
            "memory.postgres.connection_lifetime",
            database.conn_max_lifetime.map(span),
        );
        let replicas: Vec<_> = section
            .read_replicas
            .iter()
            .map(|replica| &replica.dsn)
            .collect();
        alias(
            "context_manager.read_replicas",
            "memory.postgres.read_replicas",
            (!replicas.is_empty()).then(|| json!(replicas)),
        );
    }
    if let Some(breaker) = &section.circuit_breaker {
        alias(
            "context_manager.circuit_breaker.enabled",
            "memory.circuit_breaker.enabled",
            breaker.enabled.map(|enabled| json!(enabled)),
        );
        alias(
            "context_manager.circuit_breaker.failure_threshold",
            "memory.circuit_breaker.failure_threshold",
            breaker.failure_threshold.map(|threshold| json!(threshold)),
        );
        alias(
            "context_manager.circuit_breaker.timeout",
            "memory.circuit_breaker.timeout",
            breaker.timeout.map(span),
        );
    }
    aliases
}

/// Lays the section of `config`, if it has one, over the settings of this program.
///
/// # Errors
///
/// Names the line of what is wrong, or both lines where the file says two different things.
pub(super) fn apply(
    config: Config,
    file: &str,
    lines: &Lines,
    origins: &mut Origins,
) -> Result<Config, String> {
    let Some(section) = &config.context_manager else {
        return Ok(config);
    };
    section.check(lines)?;
    let failed = |error: serde_json::Error| error.to_string();
    let mut tree = serde_json::to_value(&config).map_err(failed)?;
    for alias in aliases(section) {
        let mut meant = tree.clone();
        put(&mut meant, alias.means, alias.value);
        // As the settings write it: 60s and 1m are the same.
        let meant: Config = serde_json::from_value(meant).map_err(failed)?;
        let meant = serde_json::to_value(&meant).map_err(failed)?;
        if let Some(line) = lines.get(alias.means)
            && at(&meant, alias.means) != at(&tree, alias.means)
        {
            return Err(format!(
                "line {}: `{}` and `{}` (line {line}) set the same to different values: remove one \
                 of them",
                lines.get(alias.name).unwrap_or_default(),
                alias.name,
                alias.means,
            ));
        }
        tree = meant;
        let by = SetBy::Alias {
            file: file.to_owned(),
            name: alias.name,
        };
        origins.set(alias.means.to_owned(), by);
    }
    serde_json::from_value(tree).map_err(failed)
}

fn pointer(name: &str) -> String {
    format!("/{}", name.replace('.', "/"))
}

fn at<'a>(tree: &'a Value, name: &str) -> Option<&'a Value> {
    tree.pointer(&pointer(name))
}

fn put(tree: &mut Value, name: &str, value: Value) {
    if let Some(place) = tree.pointer_mut(&pointer(name)) {
        *place = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alias_means_a_setting_that_there_is() {
        let section = "{cache: {in_memory: {enabled: false, max_size: 3, ttl: 7m}, \
                       redis: {enabled: true, endpoints: ['a:1', 'b:2'], ttl: 8m}}, \
                       circuit_breaker: {enabled: false, failure_threshold: 9, timeout: 2s}, \
                       database: {dsn: 'postgres://a@b/c', max_open_conns: 30, max_idle_conns: 3, \
                       conn_max_lifetime: 9m}, read_replicas: [{dsn: 'postgres://d@e/f'}]}";
        let section = serde_saphyr::from_str(section).unwrap();
        let mut expect = Config::default();
        expect.contexts.manager = ManagerKind::Standard;
        expect.contexts.cache.entries_max = 3.try_into().unwrap();
        expect.contexts.cache.ttl.other = std::time::Duration::from_secs(420);
        expect.memory.cache.redis.enabled = true;
        expect.memory.cache.redis.endpoints =
            serde_json::from_value(json!(["redis://a:1", "redis://b:2"])).unwrap();
        expect.memory.cache.redis.ttl = std::time::Duration::from_secs(480);
        expect.memory.circuit_breaker.enabled = false;
        expect.memory.circuit_breaker.failure_threshold = 9.try_into().unwrap();
        expect.memory.circuit_breaker.timeout = std::time::Duration::from_secs(2);
        let dsn = |text: &str| serde_json::from_value(json!(text)).unwrap();
        expect.memory.store = StoreKind::Postgres;
        expect.memory.postgres.dsn = Some(dsn("postgres://a@b/c"));
        expect.memory.postgres.read_replicas = vec![dsn("postgres://d@e/f")];
        expect.memory.postgres.connections_max = 30.try_into().unwrap();
        expect.memory.postgres.connections_idle_max = 3;
        expect.memory.postgres.connection_lifetime = std::time::Duration::from_secs(540);
        expect.context_manager = Some(section);
        let given = Config {
            context_manager: expect.context_manager.clone(),
            ..Config::default()
        };
        let mut origins = Origins::default();
        let tree = serde_json::to_value(Config::default()).unwrap();
        for alias in aliases(given.context_manager.as_ref().unwrap()) {
            assert!(at(&tree, alias.means).is_some(), "{}", alias.means);
        }
        let meant = apply(given, "file", &Lines::default(), &mut origins).unwrap();
        assert_eq!(meant, expect);
        let by = origins.of("contexts.cache.ttl.other").unwrap().to_string();
        assert_eq!(by, "file, context_manager.cache.in_memory.ttl");
    }
}
