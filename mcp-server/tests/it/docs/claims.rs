//! `checklist.md` and the tables "what happens when": what they name as proof is there.
//!
//! A cell names its proof in backquotes, in one of these forms:
//!
//! | form | means |
//! |---|---|
//! | `test room::name`, `test room::begin*` | a test of that path, `*` for anything |
//! | `file path` | a file or folder of the tree |
//! | `bench name`, `example name`, `script name` | something that can be run |
//! | `setting http.listen` | a setting of the server |

use std::{collections::BTreeSet, path::Path};

use mcp_server::config::Config;
use serde_json::Value;

use super::{files, read, root};

const CHECKLIST: &str = "docs/src/checklist.md";
/// Entries of the list.
const ITEMS: u32 = 127;
const STATES: [&str; 3] = ["met", "in part", "not met"];

struct Tree {
    tests: BTreeSet<String>,
    settings: Value,
}

impl Tree {
    fn new() -> Self {
        let sources = files(&root(), "rs");
        let tests = sources.iter().flat_map(|path| tests(path)).collect();
        let settings = serde_json::to_value(Config::default()).expect("settings are JSON");
        Self { tests, settings }
    }

    /// Whether there is what the text between two backquotes names; `None` if it names nothing.
    fn has(&self, named: &str) -> Option<bool> {
        let (kind, name) = named.split_once(' ')?;
        let root = root();
        Some(match kind {
            "test" => self.has_test(name),
            "file" => root.join(name).exists(),
            "script" => root.join("scripts").join(name).is_file(),
            "bench" => root.join(format!("benches/benches/{name}.rs")).is_file(),
            "example" => root.join(format!("examples/examples/{name}.rs")).is_file(),
            "setting" => {
                let pointer = format!("/{}", name.replace('.', "/"));
                self.settings.pointer(&pointer).is_some()
            }
            _ => return None,
        })
    }

    fn has_test(&self, name: &str) -> bool {
        self.tests.iter().any(|test| is_named(test, name))
    }
}

/// Whether `name` is the end of a test's path, where a `*` stands for anything.
fn is_named(test: &str, name: &str) -> bool {
    let (begin, patterns) = match name.split_once('*') {
        Some((begin, patterns)) => (begin, patterns),
        None => return test.ends_with(&format!("::{name}")),
    };
    let Some((_, mut rest)) = test.split_once(&format!("::{begin}")) else {
        return false;
    };
    let (middle, end) = patterns.rsplit_once('*').unwrap_or(("", patterns));
    for part in middle.split('*') {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(end)
}

/// The paths of the tests in a file: its own path, and the functions behind `#[test]` and the like.
/// Tests at the end of `room.rs` are `room::name`.
fn tests(path: &Path) -> Vec<String> {
    let text = read(path);
    let path = path.with_extension("").display().to_string();
    let module = path.trim_end_matches("/mod").replace('/', "::");
    let (mut found, mut is_test) = (Vec::new(), false);
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test") || line.starts_with("#[tokio::test") {
            is_test = true;
        }
        // Within a macro of proptest the attribute stands there, too.
        let function = line
            .strip_prefix("async ")
            .unwrap_or(line)
            .strip_prefix("fn ");
        if let Some(function) = function.filter(|_| is_test) {
            let name = function.split(['(', '<']).next().unwrap_or_default();
            found.push(format!("{module}::{name}"));
            is_test = false;
        }
    }
    found
}

#[test]
fn every_item_of_the_checklist_has_a_state_and_a_proof_that_exists() {
    let tree = Tree::new();
    let page = read(&root().join(CHECKLIST));
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit())
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let numbers: Vec<u32> = rows
        .iter()
        .map(|row| row[0].parse().expect("a number"))
        .collect();
    assert_eq!(
        numbers,
        (1..=ITEMS).collect::<Vec<_>>(),
        "every item, once, in order"
    );
    let mut wrong = Vec::new();
    for row in &rows {
        let [number, _, state, how, proof] = row.as_slice() else {
            panic!("not five cells: {row:?}");
        };
        if !STATES.contains(state) {
            wrong.push(format!("{number}: `{state}` is no state"));
        }
        let mut proofs = 0;
        for named in proof.split('`').skip(1).step_by(2) {
            match tree.has(named) {
                Some(true) => proofs += 1,
                Some(false) => wrong.push(format!("{number}: there is no `{named}`")),
                // A command, which names no part of the tree.
                None => proofs += 1,
            }
        }
        if *state == "met" && proofs == 0 {
            wrong.push(format!("{number}: met, and nothing shows it"));
        }
        if *state != "met" && how.is_empty() {
            wrong.push(format!("{number}: what is missing is not said"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_proof_that_is_not_there_is_seen() {
    let tree = Tree::new();
    let check = |named, expect| assert_eq!(tree.has(named), expect, "{named}");
    check(
        "test docs::claims::a_proof_that_is_not_there_is_seen",
        Some(true),
    );
    check("test claims::a_proof_that_*", Some(true));
    check("test claims::there_is_no_such_test", Some(false));
    check("test nowhere::*", Some(false));
    check("test docs::*::a_proof_*_is_*", Some(true));
    check("test docs::*::a_proof_*_is_found", Some(false));
    check("setting http.listen", Some(true));
    check("setting http.listens", Some(false));
    check("file mcp-server/src/app.rs", Some(true));
    check("file mcp-server/src/nowhere.rs", Some(false));
    check("bench front", Some(true));
    check("bench back", Some(false));
    check("mcp-server bench --validate", None);
}

/// The READMEs of the libraries name tests, by `room::begin_*`, in the last column of "what happens
/// when".
#[test]
fn the_tests_that_the_readmes_name_are_there() {
    let tree = Tree::new();
    let mut wrong = Vec::new();
    for page in files(&root(), "md") {
        let mut in_table = false;
        for line in read(&page).lines() {
            in_table = match line.starts_with('|') {
                true => in_table || line.ends_with("| test |"),
                false => false,
            };
            let last = line.trim_end_matches('|').rsplit(" | ").next();
            for named in last
                .filter(|_| in_table)
                .into_iter()
                .flat_map(|cell| cell.split('`'))
            {
                if named.contains("::") && !tree.has_test(named) {
                    wrong.push(format!("{}: {named}", page.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
