//! Links between the pages, and to files of the tree.

use std::{collections::BTreeSet, path::Path};

use super::{files, read, root};

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    for page in files(&root(), "md") {
        let text = read(&page);
        let dir = page.parent().expect("a folder");
        for target in targets(&text) {
            if !leads_somewhere(&page, dir, &target) {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_page_of_the_book_is_in_its_summary_and_the_other_way_round() {
    let book = root().join("docs/src");
    let summary = read(&book.join("SUMMARY.md"));
    let listed: BTreeSet<_> = targets(&summary).into_iter().collect();
    let name = |page: &std::path::PathBuf| page.file_name()?.to_str().map(str::to_owned);
    let there: BTreeSet<_> = files(&book, "md")
        .iter()
        .filter_map(name)
        .filter(|name| name != "SUMMARY.md")
        .collect();
    assert_eq!(listed, there);
}

/// What is included into the book from other files is there, too.
#[test]
fn every_included_file_is_there() {
    let book = root().join("docs/src");
    for page in files(&book, "md") {
        for part in read(&page).split("{{#").skip(1) {
            let (directive, _) = part.split_once("}}").expect("it ends");
            let (_, path) = directive.split_once(' ').expect("a file");
            let path = path.split(':').next().unwrap_or(path);
            assert!(book.join(path).is_file(), "{}: {path}", page.display());
        }
    }
}

fn leads_somewhere(page: &Path, dir: &Path, target: &str) -> bool {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = match path {
        "" => page.to_owned(),
        path => dir.join(path),
    };
    if !path.exists() {
        return false;
    }
    anchor.is_empty() || anchors(&read(&path)).any(|it| it == anchor)
}

/// The targets of links within the tree: not those to the web, and not those to code in Rust's
/// documentation, which rustdoc checks.
fn targets(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for part in line.split("](").skip(1) {
            let target = part.split(')').next().unwrap_or_default();
            let is_code = target.contains("::") || !target.contains(['.', '/', '#']);
            let is_web = target.contains("://");
            // A folder, a file or an anchor; a name alone is an item of code, or a folder here.
            if !is_web && (!is_code || Path::new(target).exists()) {
                targets.push(target.to_owned());
            }
        }
    }
    targets
}

/// As headings are named by what shows them: lower case, without signs, with dashes for spaces.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title
            .chars()
            .filter(|it| it.is_alphanumeric() || " -_".contains(*it));
        kept.map(|it| if it == ' ' { '-' } else { it }).collect()
    })
}
