//! What a reviewer would tire of saying.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Libraries that must stay usable without the rest.
const LIBRARIES: &[&str] = &[
    "mcp-cache",
    "mcp-pool",
    "mcp-batch",
    "mcp-breaker",
    "mcp-streaming",
];
/// What they must not know of: each other, and the server.
const FORBIDDEN_PREFIX: &str = "mcp-";
/// Members whose documentation is the workspace's.
const WITHOUT_README: &[&str] = &["benches", "examples"];
const FILE_LINES_MAX: usize = 400;
const MAIN_LINES_MAX: usize = 60;

fn root() -> PathBuf {
    let member = Path::new(env!("CARGO_MANIFEST_DIR"));
    member.parent().expect("a workspace").to_owned()
}

/// The folders of the workspace that hold a crate.
fn crates() -> Vec<PathBuf> {
    let crates: Vec<_> = entries(&root())
        .into_iter()
        .filter(|dir| dir.join("Cargo.toml").is_file())
        .collect();
    assert!(crates.len() >= 3, "{crates:?}");
    crates
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(dir)
        .expect("a folder")
        .map(|entry| entry.expect("readable").path())
        .collect();
    entries.sort();
    entries
}

/// All Rust files below `dir`; none where there is no such folder.
fn sources(dir: &Path) -> Vec<PathBuf> {
    if !dir.is_dir() {
        return Vec::new();
    }
    entries(dir)
        .into_iter()
        .flat_map(|path| match path.is_dir() {
            true => sources(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn libraries_know_nothing_of_each_other() {
    for library in LIBRARIES {
        let manifest = root().join(library).join("Cargo.toml");
        if !manifest.is_file() {
            continue;
        }
        for (number, line) in read(&manifest).lines().enumerate() {
            let line = line.trim();
            let renamed = line.contains("package = \"mcp-") || line.contains("path = \"../mcp-");
            let table = line.contains("dependencies.mcp-");
            assert!(
                !line.starts_with(FORBIDDEN_PREFIX) && !renamed && !table,
                "{library}/Cargo.toml:{}: {line}",
                number + 1
            );
        }
    }
}

#[test]
fn nothing_is_printed_and_nothing_left_to_do() {
    for dir in crates() {
        // Benchmarks and examples report on standard output.
        let printing: &[_] = match dir.ends_with("benches") || dir.ends_with("examples") {
            true => &[],
            false => &["println!", "print!"],
        };
        for file in sources(&dir.join("src")) {
            for (number, line) in read(&file).lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                for forbidden in ["dbg!", "todo!", "unimplemented!"].iter().chain(printing) {
                    // `eprintln!` has a lint of its own.
                    let found = code.contains(forbidden) && !code.contains("eprint");
                    assert!(!found, "{}:{}: {line}", file.display(), number + 1);
                }
            }
        }
    }
}

#[test]
fn every_crate_has_a_readme() {
    for dir in crates() {
        let name = dir
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name");
        let exempt = WITHOUT_README.contains(&name);
        assert!(
            exempt || dir.join("README.md").is_file(),
            "{name}/README.md"
        );
    }
}

#[test]
fn files_are_short() {
    let main = root().join("mcp-server/src/main.rs");
    let lines = read(&main).lines().count();
    assert!(lines <= MAIN_LINES_MAX, "main.rs has {lines} lines");
    for dir in crates() {
        for folder in ["src", "tests", "benches", "examples"] {
            for file in sources(&dir.join(folder)) {
                let lines = read(&file).lines().count();
                assert!(
                    lines <= FILE_LINES_MAX,
                    "{} has {lines} lines",
                    file.display()
                );
            }
        }
    }
}
