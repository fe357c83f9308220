//! Which names the tools of all upstreams have here.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use rmcp::model::Tool;

use super::{ConnectorName, Listed, RemoteTool};

/// What stands between a connector's name and its tool's.
const SEPARATOR: &str = "__";
/// The longest name of a tool, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// A tool under the name that it has here.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) connector: ConnectorName,
    pub(super) tool: Arc<RemoteTool>,
    /// As clients are told of it.
    pub(super) description: Tool,
}

/// Names all tools, in the order of the connectors. A tool keeps its name where no other has it, be
/// it one of `is_local` or another connector's; otherwise each of them is `connector__tool`, so that
/// none stands in the place of another, whichever came first. What has no name that fits is left
/// out.
pub(super) fn assign(
    is_local: impl Fn(&str) -> bool,
    lists: &BTreeMap<ConnectorName, Listed>,
) -> Vec<Named> {
    let tools = || {
        lists.iter().flat_map(|(connector, listed)| {
            listed
                .manifest
                .tools
                .iter()
                .map(move |tool| (connector, tool))
        })
    };
    let mut wanted: HashMap<&str, usize> = HashMap::new();
    for (_, tool) in tools() {
        *wanted.entry(&tool.description.name).or_default() += 1;
    }
    let mut taken: HashMap<String, ()> = HashMap::new();
    let mut named = Vec::with_capacity(wanted.len());
    for (connector, tool) in tools() {
        let own = tool.description.name.as_ref();
        let name = match is_local(own) || wanted[own] > 1 {
            true => format!("{connector}{SEPARATOR}{own}"),
            false => own.to_owned(),
        };
        let free = !is_local(&name) && (name == own || !wanted.contains_key(name.as_str()));
        if !fits(&name) || !free || taken.insert(name.clone(), ()).is_some() {
            tracing::warn!(%connector, tool = own, "a tool is left out: its name does not fit");
            continue;
        }
        named.push(Named {
            connector: connector.clone(),
            tool: tool.clone(),
            description: described(&tool.description, name),
        });
    }
    named
}

fn fits(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(allowed)
}

/// The upstream's words, without letters that nobody sees.
fn described(tool: &Tool, name: String) -> Tool {
    let mut tool = tool.clone();
    tool.name = name.into();
    tool.title = tool.title.map(|title| visible(&title));
    tool.description = tool.description.map(|text| visible(&text).into());
    tool
}

/// Leaves out control characters (but for the ends of lines and tabs), those of zero width, those
/// that turn the direction of what follows, and the tags that can hide a text within a text.
fn visible(text: &str) -> String {
    let hidden = |letter: char| match letter {
        '\n' | '\t' => false,
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}' => true,
        letter => letter.is_control(),
    };
    text.chars().filter(|letter| !hidden(*letter)).collect()
}

#[cfg(test)]
mod tests {
    use rmcp::model::{CacheScope, JsonObject};
    use tokio::time::Instant;

    use super::*;
    use crate::upstream::Manifest;

    fn names(lists: &[(&str, &[&str])]) -> Vec<String> {
        let lists = lists.iter().map(|(connector, tools)| {
            let tools = tools.iter().map(|name| {
                let description = Tool::new((*name).to_owned(), "", JsonObject::new());
                Arc::new(RemoteTool::new(description))
            });
            let manifest = Manifest {
                server: String::new(),
                protocol: String::new(),
                tools: tools.collect(),
                ttl: None,
                scope: CacheScope::Public,
                asked_at: Instant::now(),
            };
            let listed = Listed {
                manifest: Arc::new(manifest),
                fresh_until: Instant::now(),
                stale: None,
            };
            (connector.parse().unwrap(), listed)
        });
        let named = assign(|name| name.starts_with("memory_"), &lists.collect());
        named
            .into_iter()
            .map(|named| named.description.name.into_owned())
            .collect()
    }

    #[tokio::test]
    async fn no_name_stands_for_two() {
        assert_eq!(names(&[("a", &["x", "y"]), ("b", &["z"])]), ["x", "y", "z"]);
        // Both, so that it does not matter who was first.
        assert_eq!(
            names(&[("a", &["x"]), ("b", &["x", "z"])]),
            ["a__x", "b__x", "z"]
        );
        assert_eq!(names(&[("a", &["memory_add"])]), ["a__memory_add"]);
        // A name that looks like another's prefixed one stands aside, too.
        assert_eq!(
            names(&[("a", &["x"]), ("b", &["x"]), ("c", &["a__x"])]),
            ["b__x", "a__x"]
        );
        assert_eq!(
            names(&[("memory_", &["memory_x"]), ("memory", &["_x"])]),
            ["_x"]
        );
        assert_eq!(names(&[("a", &["", "ü", "fine"])]), ["fine"]);
    }

    #[test]
    fn hidden_letters_are_left_out() {
        assert_eq!(
            visible("a\u{200b}b\u{202e}c\u{1b}[0m\u{e0041}\nd"),
            "abc[0m\nd"
        );
    }
}
