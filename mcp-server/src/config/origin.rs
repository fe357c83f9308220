//! What each setting was set by.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

/// What set a setting that is not at its default.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetBy {
    /// The file of this name.
    File(String),
    /// The variable of this name.
    Environment(String),
    /// The option of this name.
    CommandLine(&'static str),
}

impl fmt::Display for SetBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(name) => f.write_str(name),
            Self::Environment(variable) => f.write_str(variable),
            Self::CommandLine(option) => f.write_str(option),
        }
    }
}

/// What set the settings, by their names with sections: `http.listen`. What is not in it is at its
/// default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(BTreeMap<String, SetBy>);

impl Origins {
    /// What set `field`, if anything.
    #[must_use]
    pub fn of(&self, field: &str) -> Option<&SetBy> {
        self.0.get(field)
    }

    pub(crate) fn set(&mut self, field: String, by: SetBy) {
        self.0.insert(field, by);
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
