//! Loading: the file, checked by itself so that its errors name a line, then the environment.

use std::{ffi::OsString, fs, io, path::Path};

use serde_json::Value;

use super::{Config, Origins, SetBy, alias, lines::Lines};

/// Environment variables with this prefix override the file: `MCP_SERVER__HTTP__LISTEN` is
/// `http.listen`.
const ENV_PREFIX: &str = "MCP_SERVER__";
/// Variables that other programs know, too: their settings, and the unit of a bare number.
const OTHER_NAMES: &[(&str, &str, &str)] = &[
    (
        "MCP_CONNECTOR_REFRESH_SYNC",
        "connectors__refresh__sync",
        "",
    ),
    (
        "MCP_CONNECTOR_REFRESH_INTERVAL_MS",
        "connectors__refresh__interval",
        "ms",
    ),
];
/// What only a file may have: what it means is settled when the file is read.
const FILE_ONLY: &str = "context_manager";

/// Why there is no configuration to run with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file `{path}`: {source}")]
    Read {
        /// The file, as given.
        path: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file's contents are wrong; the message names line and column.
    #[error("in the configuration file `{path}`: {reason}")]
    File {
        /// The file, as given.
        path: String,
        /// What is wrong and where.
        reason: String,
    },
    /// An environment variable names no setting, or its value does not fit.
    #[error("the environment variable `{variable}`: {reason}")]
    Env {
        /// The variable.
        variable: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A value is of the right type but cannot work.
    #[error("the setting `{field}` {reason}")]
    Invalid {
        /// The setting, with its sections.
        field: &'static str,
        /// What is wrong and what would be right.
        reason: String,
    },
}

impl ConfigError {
    pub(crate) fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid {
            field,
            reason: reason.into(),
        }
    }
}

/// Reads `file`, if there is one, and lays `env` over it, and says what was set by which. Does not
/// [`Config::validate`]: the command line may still change something.
///
/// # Errors
///
/// [`ConfigError`] says where and what.
pub fn load(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(Config, Origins), ConfigError> {
    let mut origins = Origins::default();
    let mut config = match file {
        Some(path) => read_file(path, &mut origins)?,
        None => Config::default(),
    };
    for (variable, value) in env {
        // Other programs' variables need not be text; ours must be.
        let Some(variable) = variable.to_str() else {
            continue;
        };
        let own = variable.strip_prefix(ENV_PREFIX).map(str::to_lowercase);
        let other = OTHER_NAMES.iter().find(|(name, ..)| *name == variable);
        let unit = other.map_or("", |(_, _, unit)| unit);
        if let Some(path) = own.or_else(|| other.map(|(_, path, _)| (*path).to_owned())) {
            config = value
                .to_str()
                .ok_or_else(|| "is not UTF-8".to_owned())
                .and_then(|text| overlay(&config, &path, &format!("{text}{unit}")))
                .map_err(|reason| ConfigError::Env {
                    variable: variable.to_owned(),
                    reason,
                })?;
            let field = path.replace("__", ".");
            origins.set(field, SetBy::Environment(variable.to_owned()));
        }
    }
    Ok((config, origins))
}

fn read_file(path: &Path, origins: &mut Origins) -> Result<Config, ConfigError> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: name.clone(),
        source,
    })?;
    if text.trim().is_empty() {
        return Ok(Config::default());
    }
    let failed = |error: serde_saphyr::Error| ConfigError::File {
        path: path.display().to_string(),
        reason: explain(&error),
    };
    let config = serde_saphyr::from_str(&text).map_err(failed)?;
    let tree: Value = serde_saphyr::from_str(&text).map_err(failed)?;
    origins.set_all(&tree, &SetBy::File(name.clone()));
    let lines = Lines::of(&text);
    let meant = alias::apply(config, &name, &lines, origins);
    origins.set_lines(lines);
    meant.map_err(|reason| ConfigError::File { path: name, reason })
}

fn explain(error: &serde_saphyr::Error) -> String {
    match error.without_snippet() {
        serde_saphyr::Error::SerdeUnknownField {
            field,
            expected,
            location,
        } => format!(
            "line {} column {}: {}",
            location.line(),
            location.column(),
            unknown(field, expected.iter().copied())
        ),
        other => other.to_string(),
    }
}

/// Sets the one field that `path` (`http__listen`) names.
fn overlay(config: &Config, path: &str, text: &str) -> Result<Config, String> {
    if path.split("__").next() == Some(FILE_ONLY) {
        return Err(format!(
            "`{FILE_ONLY}` can only be in a file: set what it means, under `contexts` or `memory`"
        ));
    }
    let mut tree = serde_json::to_value(config).map_err(|error| error.to_string())?;
    let mut field = &mut tree;
    for name in path.split("__") {
        let known = match field {
            Value::Object(members) => members,
            _ => return Err(format!("`{name}` is inside a single value, not a section")),
        };
        if !known.contains_key(name) {
            return Err(unknown(name, known.keys().map(String::as_str)));
        }
        field = &mut known[name];
    }
    if field.is_object() {
        return Err("names a section: add `__` and the name of a setting in it".to_owned());
    }
    // A value that is text in the file is text here too, as is one that is absent by default (a
    // path); anything else is read as in the file.
    *field = match field {
        Value::String(_) | Value::Null => Value::String(text.to_owned()),
        _ => serde_saphyr::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
    };
    serde_json::from_value(tree).map_err(|error| error.to_string())
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<_> = known.collect();
    let nearest = known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, candidate)) => format!("there is no `{name}`; did you mean `{candidate}`?"),
        None => format!("there is no `{name}`; there are: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_env(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let owned = |(name, value): &(&str, &str)| (name.into(), value.into());
        load(None, variables.iter().map(owned)).map(|(config, _)| config)
    }

    #[test]
    fn nothing_set_is_the_default() {
        assert_eq!(from_env(&[]).unwrap(), Config::default());
        let others = [("MCP_SERVER", "x"), ("MCP_SERVER_HTTP", "x"), ("PATH", "x")];
        assert_eq!(from_env(&others).unwrap(), Config::default());
    }

    #[test]
    fn a_variable_sets_its_one_field() {
        let config = from_env(&[
            ("MCP_SERVER__HTTP__LISTEN", "[::1]:80"),
            ("MCP_SERVER__http__Header_Timeout", "1m 30s"),
            ("MCP_SERVER__HTTP__ALLOWED_HOSTS", "[a, 'b:1']"),
            ("MCP_SERVER__HTTP__DANGER_LISTEN_WITHOUT_AUTH", "true"),
            ("MCP_SERVER__MEMORY__DATA_DIR", "/some/where"),
            ("MCP_SERVER__MEMORY__SQLITE__READERS", "7"),
            ("MCP_SERVER__LOG__FORMAT", "json"),
            // Text stays text, whatever it looks like.
            ("MCP_SERVER__LOG__FILTER", "5"),
            ("MCP_CONNECTOR_REFRESH_SYNC", "true"),
            ("MCP_CONNECTOR_REFRESH_INTERVAL_MS", "1500"),
        ])
        .unwrap();
        let mut expect = Config::default();
        expect.http.listen = "[::1]:80".parse().unwrap();
        expect.http.header_timeout = std::time::Duration::from_secs(90);
        expect.http.allowed_hosts = vec!["a".to_owned(), "b:1".to_owned()];
        expect.http.danger_listen_without_auth = true;
        expect.memory.data_dir = Some("/some/where".into());
        expect.memory.sqlite.readers = 7.try_into().unwrap();
        expect.log.format = super::super::LogFormat::Json;
        expect.log.filter = "5".to_owned();
        expect.connectors.refresh.sync = true;
        expect.connectors.refresh.interval = std::time::Duration::from_millis(1_500);
        assert_eq!(config, expect);
    }

    #[test]
    fn a_variable_that_fits_nothing_says_why() {
        let check = |variable: &str, text: &str, says: &str| {
            let error = from_env(&[(variable, text)]).unwrap_err().to_string();
            assert!(error.contains(variable) && error.contains(says), "{error}");
        };
        check(
            "MCP_SERVER__HTTP__LISTN",
            "",
            "there is no `listn`; did you mean `listen`?",
        );
        check("MCP_SERVER__HTTP", "", "names a section");
        check(
            "MCP_SERVER__CONTEXT_MANAGER__CACHE",
            "",
            "can only be in a file",
        );
        check(
            "MCP_SERVER__HTTP__LISTEN__X",
            "",
            "`x` is inside a single value",
        );
        check(
            "MCP_SERVER__QQQ",
            "",
            "there are: connectors, context_manager, contexts, http, lanes, log, memory, monitoring, safe_mode, slow_operations, stdio",
        );
        check("MCP_SERVER__HTTP__BODY_BYTES_MAX", "-1", "invalid value");
        check("MCP_SERVER__HTTP__BODY_BYTES_MAX", "much", "invalid type");
        check("MCP_SERVER__HTTP__ALLOWED_HOSTS", "one", "invalid type");
        check("MCP_SERVER__LOG__FORMAT", "xml", "unknown variant");
    }

    #[test]
    fn a_suggestion_is_near_or_none() {
        let check = |name, says: &str| {
            let message = unknown(
                name,
                ["listen", "body_timeout", "header_timeout"].into_iter(),
            );
            assert!(message.ends_with(says), "{message}");
        };
        check("lisen", "did you mean `listen`?");
        check("header_timeot", "did you mean `header_timeout`?");
        check("zzz", "there are: listen, body_timeout, header_timeout");
        check("", "there are: listen, body_timeout, header_timeout");
    }
}
