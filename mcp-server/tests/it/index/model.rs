//! Whatever is written in whatever order: the layers find what a plain scan of the rows finds.

use std::collections::{BTreeMap, HashSet};

use mcp_server::memory::search::{Change, Document, Overlay, SearchIndex};
use proptest::prelude::*;

use super::{NOW, document, mark, on_disk, query, rows, sorted};

const WORDS: &[&str] = &["oak", "elm", "ash", "fir", "yew", "東京", "京都", "Zürich"];
const OWNERS: &[&str] = &["ann", "bob"];
const NAMESPACES: &[&str] = &["a", "b"];
const TAGS: &[&str] = &["red", "blue"];

fn some_words() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(WORDS), 1..6)
}

fn some_document() -> impl Strategy<Value = Document> {
    let tags = prop::sample::subsequence(TAGS, 0..=TAGS.len());
    let expires_at = prop::option::of(prop::sample::select(vec![NOW - 1, NOW, NOW + 1]));
    let owner = prop::sample::select(OWNERS);
    let namespace = prop::sample::select(NAMESPACES);
    (owner, namespace, some_words(), tags, expires_at).prop_map(
        |(owner, namespace, words, tags, expires_at)| Document {
            tags: tags.into_iter().map(str::to_owned).collect(),
            expires_at,
            ..document(owner, namespace, &words.join(" "))
        },
    )
}

fn some_change() -> impl Strategy<Value = Change> {
    let document = prop::option::weighted(0.8, some_document());
    (0..12_i64, document).prop_map(|(row, document)| Change { row, document })
}

/// What a scan of the newest rows finds; for one query word, which of these texts hold it.
fn scan(
    changes: &[Change],
    owner: &str,
    namespace: Option<&str>,
    words: &[&str],
    tags: &[&str],
) -> Vec<i64> {
    let mut newest = BTreeMap::new();
    for change in changes {
        newest.insert(change.row, change.document.as_ref());
    }
    let wanted: HashSet<_> = words.iter().collect();
    let matches = |document: &&Document| {
        document.owner == owner
            && namespace.is_none_or(|namespace| document.namespace == namespace)
            && document
                .content
                .split(' ')
                .any(|word| wanted.contains(&word))
            && tags
                .iter()
                .all(|tag| document.tags.iter().any(|known| known == tag))
            && document.expires_at.is_none_or(|at| at > NOW)
    };
    let newest = newest.into_iter();
    let found = newest.filter(|(_, document)| document.as_ref().is_some_and(&matches));
    found.map(|(row, _)| row).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn layers_find_what_a_scan_finds(
        changes in prop::collection::vec(some_change(), 0..40),
        cuts in (0..40_usize, 0..40_usize),
        commit_len in 1..20_usize,
        words in some_words(),
        owner in prop::sample::select(OWNERS),
        namespace in prop::option::of(prop::sample::select(NAMESPACES)),
        tags in prop::sample::subsequence(TAGS, 0..=TAGS.len()),
        limit in 1..15_u32,
    ) {
        let low = cuts.0.min(cuts.1).min(changes.len());
        let high = cuts.0.max(cuts.1).min(changes.len());
        let (disk, _dir) = on_disk(&changes[..low], commit_len);
        prop_assert_eq!(disk.watermark(), mark(low));
        let overlay = |changes: &[Change]| {
            let mut overlay = Overlay::default();
            for change in changes {
                overlay.apply(change.clone());
            }
            overlay
        };
        let (middle, top) = (overlay(&changes[low..high]), overlay(&changes[high..]));
        let layers: [&dyn SearchIndex; 3] = [&top, &middle, &disk];
        let expect = scan(&changes, owner, namespace, &words, &tags);

        let all = query(owner, namespace, &words.join(" "), &tags, 100);
        let ranked = rows(&layers, &all);
        prop_assert_eq!(sorted(ranked.clone()), expect);
        // Fewer are the first of all.
        let some = query(owner, namespace, &words.join(" "), &tags, limit);
        let limit = usize::try_from(limit).unwrap().min(ranked.len());
        prop_assert_eq!(rows(&layers, &some), &ranked[..limit]);
    }
}
