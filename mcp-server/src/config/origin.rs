//! What each setting was set by.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

use super::{ConfigError, lines::Lines};

/// What set a setting that is not at its default.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetBy {
    /// The file of this name.
    File(String),
    /// The file of this name, under another name.
    Alias {
        /// The file, as given.
        file: String,
        /// The name that is in the file.
        name: &'static str,
    },
    /// The variable of this name.
    Environment(String),
    /// The option of this name.
    CommandLine(&'static str),
}

impl fmt::Display for SetBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(name) => f.write_str(name),
            Self::Alias { file, name } => write!(f, "{file}, {name}"),
            Self::Environment(variable) => f.write_str(variable),
            Self::CommandLine(option) => f.write_str(option),
        }
    }
}

/// What set the settings, by their names with sections: `http.listen`. What is not in it is at its
/// default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    set: BTreeMap<String, SetBy>,
    /// Of the file, if there was one.
    lines: Lines,
}

impl Origins {
    /// What set `field`, if anything.
    #[must_use]
    pub fn of(&self, field: &str) -> Option<&SetBy> {
        self.set.get(field)
    }

    pub(crate) fn set(&mut self, field: String, by: SetBy) {
        self.set.insert(field, by);
    }

    pub(super) fn set_lines(&mut self, lines: Lines) {
        self.lines = lines;
    }

    /// Says of a value that cannot work where it was set, down to the line of a file.
    #[must_use]
    pub fn located(&self, error: ConfigError) -> ConfigError {
        let ConfigError::Invalid { field, reason } = &error else {
            return error;
        };
        let members = format!("{field}.");
        // A section is where the first of its members was set.
        let set = self
            .set
            .range((*field).to_owned()..)
            .find(|(name, _)| name == field || name.starts_with(&members));
        match set {
            Some((name, SetBy::File(path))) => self.in_file(path, name, field, reason),
            Some((_, SetBy::Alias { file, name })) => self.in_file(file, name, field, reason),
            Some((_, SetBy::Environment(variable))) => ConfigError::Env {
                variable: variable.clone(),
                reason: format!("the setting `{field}` {reason}"),
            },
            Some((_, SetBy::CommandLine(_))) | None => error,
        }
    }

    fn in_file(&self, path: &str, name: &str, field: &str, reason: &str) -> ConfigError {
        let line = self.lines.get(name).unwrap_or_default();
        let alias = match name == field || name.starts_with(field) {
            true => String::new(),
            false => format!("`{name}`: "),
        };
        ConfigError::File {
            path: path.to_owned(),
            reason: format!("line {line}: {alias}the setting `{field}` {reason}"),
        }
    }

    /// Notes every setting of a file.
    pub(crate) fn set_all(&mut self, tree: &Value, by: &SetBy) {
        each_setting(tree, "", &mut |field| self.set(field, by.clone()));
    }
}

/// Visits the full name of whatever is no section, in the order of the tree.
fn each_setting(tree: &Value, name: &str, visit: &mut impl FnMut(String)) {
    let Value::Object(members) = tree else {
        return visit(name.to_owned());
    };
    for (member, value) in members {
        let full = match name {
            "" => member.clone(),
            _ => format!("{name}.{member}"),
        };
        each_setting(value, &full, visit);
    }
}
