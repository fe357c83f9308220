//! The book in `docs/` and the pages beside the code: what is generated from the code is current,
//! what names a test, a command or a file names one that there is, and every link leads somewhere.

mod claims;
mod links;
mod settings;
mod sources;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Set to 1, a test writes the page that it generates in place of comparing it.
const ACCEPT: &str = "MCP_ACCEPT_DOCS";

fn root() -> PathBuf {
    let member = Path::new(env!("CARGO_MANIFEST_DIR"));
    member.parent().expect("a workspace").to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files below `dir` with this extension, but for what is built and what is hidden.
fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("readable").path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.expect("a name of letters");
        // The book as it is built.
        let is_built = name.starts_with("target") || path.ends_with("docs/book");
        if path.is_dir() {
            if !is_built && !name.starts_with('.') && name != "node_modules" {
                found.extend(files(&path, extension));
            }
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Compares a page with what the code says now.
fn is_current(page: &str, generated: &str) {
    let path = root().join("docs/src").join(page);
    if std::env::var_os(ACCEPT).is_some_and(|on| on == "1") {
        fs::write(&path, generated).expect("written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let different = kept.lines().zip(generated.lines()).find(|(a, b)| a != b);
    assert!(
        kept == generated,
        "docs/src/{page} is not what the code says: {different:?}; write it anew with\n  \
         {ACCEPT}=1 cargo test -p mcp-server --test it docs::"
    );
}

/// A text of the code's documentation as a cell of a table.
fn cell(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    without_links(&text).replace('|', "\\|")
}

/// What is left of links to code: their text.
fn without_links(text: &str) -> String {
    let mut rest = text;
    let mut plain = String::new();
    while let Some((before, after)) = rest.split_once('[') {
        plain.push_str(before);
        let Some((label, after)) = after.split_once(']') else {
            plain.push('[');
            rest = after;
            continue;
        };
        let target = after.strip_prefix('(').and_then(|it| it.split_once(')'));
        let is_link = target.is_some() || label.starts_with('`') && label.ends_with('`');
        match is_link {
            true => plain.push_str(label),
            false => plain.push_str(&format!("[{label}]")),
        }
        rest = target.map_or(after, |(_, after)| after);
    }
    plain + rest
}

#[test]
fn links_to_code_become_text() {
    let check = |text, expect: &str| assert_eq!(cell(text), expect);
    check("plain", "plain");
    check(
        "see [`X::y`](crate::X::y), and\n[`Z`]",
        "see `X::y`, and `Z`",
    );
    check("[a](b) [c] d[0] [e", "a [c] d[0] [e");
    check("a | b", "a \\| b");
}
