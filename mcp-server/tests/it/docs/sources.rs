//! `crate-settings.md`: every field of the libraries' configurations, by the comments in their
//! sources, where each says meaning, unit, default and the cost of raising it.

use std::{fmt::Write as _, path::Path};

use super::{cell, files, is_current, read, root};

const LIBRARIES: [&str; 5] = [
    "mcp-batch",
    "mcp-breaker",
    "mcp-cache",
    "mcp-pool",
    "mcp-streaming",
];

const HEAD: &str = "\
# Settings of the crates

Every field of every configuration, from the comments in the crates' sources. This page is written \
by a test, which fails when it is not current; [Tuning](tuning.md) says when to touch which. All have \
a `Default`, read and write themselves by serde, refuse unknown keys and check themselves by \
`validate()`.
";

#[test]
fn every_field_of_the_crates_configurations_is_in_the_book() {
    let mut page = HEAD.to_owned();
    for library in LIBRARIES {
        let _ = write!(page, "\n## {library}\n");
        let configs: Vec<_> = files(&root().join(library).join("src"), "rs")
            .iter()
            .flat_map(|path| configs(path))
            .collect();
        assert!(!configs.is_empty(), "{library} has no configuration");
        for config in configs {
            let _ = write!(
                page,
                "\n### `{}`\n\n{}\n\n",
                config.name,
                cell(&config.about)
            );
            page.push_str("| field | type | |\n|---|---|---|\n");
            for (field, kind, about) in config.fields {
                assert!(!about.is_empty(), "{library}: {field} is not described");
                let kind = kind.replace('|', "\\|");
                let _ = writeln!(page, "| `{field}` | `{kind}` | {} |", cell(&about));
            }
        }
    }
    is_current("crate-settings.md", &page);
}

struct Configuration {
    name: String,
    about: String,
    /// Name, type and comment.
    fields: Vec<(String, String, String)>,
}

/// The public structs of a file whose names end in `Config`. The sources are formatted, which makes
/// this simple.
fn configs(path: &Path) -> Vec<Configuration> {
    let source = read(path);
    let mut found = Vec::new();
    let (mut comment, mut open) = (String::new(), None::<Configuration>);
    for line in source.lines() {
        let text = line.trim();
        if let Some(words) = text.strip_prefix("///") {
            comment.push_str(words);
            comment.push('\n');
        } else if let Some(name) = config_name(line) {
            let about = std::mem::take(&mut comment);
            let name = name.to_owned();
            open = Some(Configuration {
                name,
                about,
                fields: Vec::new(),
            });
        } else if line == "}" {
            found.extend(open.take());
        } else if let (Some(config), Some(field)) = (&mut open, text.strip_prefix("pub ")) {
            let (name, kind) = field.split_once(": ").expect("a field and its type");
            let about = std::mem::take(&mut comment);
            let kind = kind.trim_end_matches(',').to_owned();
            config.fields.push((name.to_owned(), kind, about));
        } else if !text.starts_with("#[") && !is_part_of_attribute(text) {
            comment.clear();
        }
    }
    found.retain(|config| !config.fields.is_empty());
    found
}

fn config_name(line: &str) -> Option<&str> {
    let name = line.strip_prefix("pub struct ")?.strip_suffix(" {")?;
    name.ends_with("Config").then_some(name)
}

/// An attribute may take several lines, all of them indented further or ended by `)]`.
fn is_part_of_attribute(text: &str) -> bool {
    text.ends_with(")]") || text.starts_with("with = ") || text.starts_with("skip_serializing")
}
