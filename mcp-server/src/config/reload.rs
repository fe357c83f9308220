//! Settings that take effect while the server runs, and those that wait for the next start.

use serde_json::Value;

use super::{Config, ConfigError};

/// What a reload puts in force; a section stands for all that is in it. The documentation of these
/// ends with "Reloadable.".
pub const RELOADABLE: &[&str] = &[
    "connectors.servers",
    "http.body_bytes_max",
    "http.body_timeout",
    "http.drain_timeout",
    "http.json_depth_max",
    "http.rate_limit",
    "http.sessions_max",
    "http.sessions_per_client_max",
    "lanes",
    "log.filter",
    "memory.limits",
];

/// What a new configuration comes to in a server that runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Reload {
    /// The settings in force from now on.
    pub config: Config,
    /// The names of those that changed.
    pub changed: Vec<String>,
    /// The names of those that were to change and need a restart.
    pub at_restart: Vec<String>,
}

impl Config {
    /// What becomes of the running settings, `self`, when `wanted` are asked for.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`], if what can change now does not fit to what cannot.
    ///
    /// # Panics
    ///
    /// Never: a configuration is always JSON, and its own JSON is a configuration.
    pub fn reload(&self, wanted: &Self) -> Result<Reload, ConfigError> {
        let tree = |config| serde_json::to_value(config).expect("a configuration is JSON");
        let (mut changed, mut at_restart) = (Vec::new(), Vec::new());
        let mut merged = tree(self);
        merge(&mut merged, &tree(wanted), "", &mut |name| {
            let now = is_reloadable(name);
            let names = match now {
                true => &mut changed,
                false => &mut at_restart,
            };
            names.push(name.to_owned());
            now
        });
        changed.sort();
        at_restart.sort();
        let config: Self = serde_json::from_value(merged).expect("each part is a configuration's");
        config.validate()?;
        Ok(Reload {
            config,
            changed,
            at_restart,
        })
    }
}

/// Takes over each setting that differs and that `takes` says yes to.
fn merge(running: &mut Value, wanted: &Value, name: &str, takes: &mut impl FnMut(&str) -> bool) {
    if running == wanted {
        return;
    }
    match (&mut *running, wanted) {
        (Value::Object(running), Value::Object(wanted)) if running.keys().eq(wanted.keys()) => {
            for (member, value) in running {
                let full = match name {
                    "" => member.clone(),
                    _ => format!("{name}.{member}"),
                };
                merge(value, &wanted[member], &full, takes);
            }
        }
        _ => {
            if takes(name) {
                running.clone_from(wanted);
            }
        }
    }
}

fn is_reloadable(name: &str) -> bool {
    RELOADABLE.iter().any(|known| {
        name.strip_prefix(known)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_change_changes_and_the_rest_is_named() {
        let running = Config::default();
        let same = running.reload(&running).unwrap();
        assert_eq!(same.config, running);
        assert_eq!((same.changed.len(), same.at_restart.len()), (0, 0));

        let mut wanted = Config::default();
        wanted.memory.limits.results_max = 7;
        wanted.memory.limits.results_default = 5;
        wanted.lanes.cursor.reserved = 3;
        wanted.log.filter = "debug".to_owned();
        let expect = wanted.clone();
        wanted.http.connections_max = 9.try_into().unwrap();
        wanted.memory.data_dir = Some("/else/where".into());
        wanted.memory.sqlite.index.commit_len = 3.try_into().unwrap();
        let reload = running.reload(&wanted).unwrap();
        assert_eq!(reload.config, expect);
        assert_eq!(
            reload.changed,
            [
                "lanes.cursor.reserved",
                "log.filter",
                "memory.limits.results_default",
                "memory.limits.results_max"
            ]
        );
        assert_eq!(
            reload.at_restart,
            [
                "http.connections_max",
                "memory.data_dir",
                "memory.sqlite.index.commit_len"
            ]
        );
        // What needs a restart is named as long as it differs.
        let again = reload.config.reload(&wanted).unwrap();
        assert_eq!(again.changed, [] as [&str; 0]);
        assert_eq!(again.at_restart.len(), 3);
    }

    /// Right by itself, wrong beside what stays.
    #[test]
    fn what_does_not_fit_to_the_rest_is_refused() {
        let mut wanted = Config::default();
        wanted.memory.limits.content_bytes_max = 8 << 20;
        wanted.memory.sqlite.answer_bytes_max = (16 << 20).try_into().unwrap();
        wanted.validate().unwrap();
        let error = Config::default().reload(&wanted).unwrap_err().to_string();
        assert!(error.contains("answer_bytes_max"), "{error}");
    }

    #[test]
    fn the_documentation_says_what_is_reloadable() {
        let schema = Config::schema().to_value();
        let mut reloadable = Vec::new();
        documented(&schema, &schema, "", &mut reloadable);
        reloadable.sort();
        assert_eq!(reloadable, RELOADABLE);
    }

    /// The names of the settings and sections whose description ends with the word.
    fn documented(root: &Value, section: &Value, name: &str, found: &mut Vec<String>) {
        for (member, property) in section["properties"].as_object().into_iter().flatten() {
            let full = match name {
                "" => member.clone(),
                _ => format!("{name}.{member}"),
            };
            let description = property["description"].as_str().unwrap_or_default();
            if description.ends_with("Reloadable.") {
                found.push(full.clone());
            }
            if let Some(reference) = property["$ref"].as_str() {
                let section = root.pointer(&reference[1..]).unwrap();
                documented(root, section, &full, found);
            }
        }
    }
}
