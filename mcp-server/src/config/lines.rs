//! On which line of a file a setting stands.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, de};
use serde_saphyr::Spanned;

/// The lines of the settings of a file, by their names with sections: `http.listen`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lines(BTreeMap<String, u64>);

impl Lines {
    /// Reads them from a file that is known to be YAML; of anything else they are none.
    pub(super) fn of(yaml: &str) -> Self {
        let mut lines = Self::default();
        if let Ok(tree) = serde_saphyr::from_str::<Tree>(yaml) {
            lines.add(&tree, "");
        }
        lines
    }

    fn add(&mut self, Tree(members): &Tree, section: &str) {
        for (name, tree) in members {
            let full = match section {
                "" => name.value.clone(),
                _ => format!("{section}.{}", name.value),
            };
            self.add(tree, &full);
            self.0.insert(full, name.referenced.line());
        }
    }

    /// The line of a setting or section.
    pub(super) fn get(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }
}

/// The members of a section; none of a value.
struct Tree(Vec<(Spanned<String>, Tree)>);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> de::Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Tree(members))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        while list.next_element::<de::IgnoredAny>()?.is_some() {}
        Ok(Tree(Vec::new()))
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Tree, D::Error> {
        Tree::deserialize(inner)
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree(Vec::new()))
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree(Vec::new()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree(Vec::new()))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree(Vec::new()))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree(Vec::new()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree(Vec::new()))
    }

    fn visit_str<E>(self, _: &str) -> Result<Tree, E> {
        Ok(Tree(Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn every_setting_has_its_line() {
        let lines = Lines::of(
            "# a remark\nhttp:\n  listen: 127.0.0.1:0\n\n  allowed_hosts: [a, {b: c}]\nlog: {filter: a,\n  format: json}\nsafe_mode: true\nmemory:\n  data_dir: null\n  nothing:\n",
        );
        for (name, line) in [
            ("http", 2),
            ("http.listen", 3),
            ("http.allowed_hosts", 5),
            ("log", 6),
            ("log.filter", 6),
            ("log.format", 7),
            ("safe_mode", 8),
            ("memory.data_dir", 10),
            ("memory.nothing", 11),
        ] {
            assert_eq!(lines.get(name), Some(line), "{name}");
        }
        assert_eq!(lines.get("http.body_timeout"), None);
        assert_eq!(Lines::of("[").get("http"), None);
    }
}
