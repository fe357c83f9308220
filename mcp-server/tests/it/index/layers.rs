//! What every layer must do, whatever it is made of.

use mcp_server::memory::search::{self, Document, IndexError, Overlay, SearchIndex};

use super::{document, every_kind, on_disk, put, query, remove, rows, sorted};

#[test]
fn words_and_scopes_decide_what_is_found() {
    let changes = [
        put(1, document("ann", "work", "red apples and pears")),
        put(2, document("ann", "home", "green apple")),
        put(3, document("bob", "work", "red apple, not hers")),
        put(4, document("ann", "work", "nothing of it")),
        // Names that would be another's scope if names were only strung together.
        put(5, document("an", "nwork", "red apple of a neighbour")),
        put(6, document("", "ann", "red apple of nobody")),
        put(7, document("red", "x", "dapple")),
        put(8, document("redd", "x", "apple")),
    ];
    for (kind, layer) in every_kind(&changes) {
        let check = |owner, namespace, words, expect: &[i64]| {
            let query = query(owner, namespace, words, &[], 10);
            let found = sorted(rows(&[layer.index.as_ref()], &query));
            assert_eq!(found, expect, "{kind}: {owner} {namespace:?} {words}");
        };
        check("ann", None, "apple", &[1, 2]);
        check("ann", None, "red green", &[1, 2]);
        check("ann", Some("work"), "apple", &[1]);
        check("ann", Some("home"), "apple", &[2]);
        check("ann", Some("Work"), "apple", &[]);
        check("bob", None, "apple", &[3]);
        check("bob", Some("home"), "apple", &[]);
        check("an", None, "apple", &[5]);
        check("an", Some("nwork"), "apple", &[5]);
        check("", None, "apple", &[6]);
        check("red", None, "dapple", &[7]);
        check("redd", None, "apple", &[8]);
        check("carl", None, "apple", &[]);
        check("ann", None, "plum", &[]);
    }
}

#[test]
fn the_last_change_of_a_row_counts() {
    let changes = [
        put(1, document("ann", "a", "walrus")),
        put(2, document("ann", "a", "walrus too")),
        put(1, document("ann", "b", "penguin")),
        remove(2),
        put(3, document("ann", "a", "okapi")),
        remove(3),
        put(3, document("ann", "a", "walrus again")),
        remove(9),
    ];
    for (kind, layer) in every_kind(&changes) {
        let check = |namespace, words, expect: &[i64]| {
            let found = rows(
                &[layer.index.as_ref()],
                &query("ann", namespace, words, &[], 10),
            );
            assert_eq!(found, expect, "{kind}: {words}");
        };
        check(None, "walrus", &[3]);
        check(None, "penguin", &[1]);
        check(Some("a"), "penguin", &[]);
        check(Some("b"), "penguin", &[1]);
        check(None, "okapi", &[]);
    }
}

#[test]
fn tags_and_expiry_are_honoured() {
    let tagged = |tags: &[&str], expires_at| Document {
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        expires_at,
        ..document("ann", "a", "owl")
    };
    let changes = [
        put(1, tagged(&[], None)),
        put(2, tagged(&["red"], Some(2_000))),
        put(3, tagged(&["red", "blue"], Some(1_001))),
        put(4, tagged(&["red"], Some(1_000))),
        put(5, tagged(&["red"], Some(1))),
        put(6, tagged(&["it's \"odd\" 日本", "null"], None)),
        put(7, document("bob", "a", "owl")),
    ];
    for (kind, layer) in every_kind(&changes) {
        let check = |tags: &[&str], expect: &[i64]| {
            let found = rows(
                &[layer.index.as_ref()],
                &query("ann", None, "owl", tags, 10),
            );
            assert_eq!(found, expect, "{kind}: {tags:?}");
        };
        check(&[], &[1, 2, 3, 6]);
        check(&["red"], &[2, 3]);
        check(&["blue", "red"], &[3]);
        check(&["red", "green"], &[]);
        check(&["re"], &[]);
        check(&["RED"], &[]);
        check(&["it's \"odd\" 日本", "null"], &[6]);
    }
}

#[test]
fn more_and_rarer_words_rank_higher_and_ties_go_to_the_older() {
    let mut changes = vec![
        put(
            1,
            document(
                "ann",
                "a",
                "the harbour at night, and many words beside it, so many",
            ),
        ),
        put(2, document("ann", "a", "lighthouse")),
        put(3, document("ann", "a", "the lighthouse at the harbour")),
    ];
    let others = (10..50).map(|row| match row {
        10..15 => put(row, document("ann", "a", "a wall, the harbour")),
        _ => put(row, document("ann", "a", "the sea")),
    });
    changes.extend(others);
    for (kind, layer) in every_kind(&changes) {
        let query = query("ann", None, "Lighthouse, harbour!", &[], 5);
        assert_eq!(
            rows(&[layer.index.as_ref()], &query),
            [3, 2, 10, 11, 12],
            "{kind}"
        );
    }
}

#[test]
fn all_layers_are_ranked_as_one() {
    let texts = [
        "harbour",
        "harbour light",
        "light light light",
        "the light of the harbour at night",
        "night",
        "night light",
        "harbour harbour",
        "a harbour by night and by day",
    ];
    let changes: Vec<_> = (1..)
        .zip(texts)
        .map(|(row, text)| put(row, document("ann", "a", text)))
        .collect();
    let whole = &every_kind(&changes)[0].1;
    let query = query("ann", None, "harbour light", &[], 10);
    let score = |layers: &[&dyn SearchIndex]| search::search(layers, &query, &|| false).unwrap();
    let expect = score(&[whole.index.as_ref()]);
    assert_eq!(expect.len(), 7);
    for cut in 0..=changes.len() {
        let (below, _dir) = on_disk(&changes[..cut], 3);
        let mut above = Overlay::default();
        for change in &changes[cut..] {
            above.apply(change.clone());
        }
        let found = score(&[&above, &below]);
        assert_eq!(found, expect, "cut at {cut}");
    }
}

#[test]
fn a_newer_layer_hides_what_it_knows_better() {
    let (disk, _dir) = on_disk(
        &[
            put(1, document("ann", "a", "walrus")),
            put(2, document("ann", "a", "walrus")),
            put(3, document("ann", "a", "walrus")),
        ],
        usize::MAX,
    );
    let mut middle = Overlay::default();
    middle.apply(put(1, document("ann", "a", "penguin")));
    middle.apply(remove(2));
    let mut top = Overlay::default();
    top.apply(remove(1));
    top.apply(put(2, document("bob", "a", "walrus")));
    let check = |layers: &[&dyn SearchIndex], words, expect: &[i64]| {
        assert_eq!(rows(layers, &query("ann", None, words, &[], 10)), expect);
    };
    check(&[&disk], "walrus", &[1, 2, 3]);
    check(&[&middle, &disk], "walrus", &[3]);
    check(&[&middle, &disk], "penguin", &[1]);
    check(&[&top, &middle, &disk], "walrus penguin", &[3]);
}

#[test]
fn scores_do_not_depend_on_what_others_keep() {
    let mine = [
        put(1, document("ann", "a", "harbour light")),
        put(2, document("ann", "a", "harbour bay")),
    ];
    // As long as mine, so that the average length, which is everybody's, stays the same.
    let theirs = (10..60).map(|row| put(row, document("bob", "a", "light tower")));
    let both: Vec<_> = mine.iter().cloned().chain(theirs).collect();
    for (alone, crowded) in every_kind(&mine).into_iter().zip(every_kind(&both)) {
        let query = query("ann", None, "light harbour", &[], 10);
        let score = |index: &dyn SearchIndex| search::search(&[index], &query, &|| false).unwrap();
        let (kind, alone) = alone;
        assert_eq!(
            score(alone.index.as_ref()),
            score(crowded.1.index.as_ref()),
            "{kind}"
        );
    }
}

#[test]
fn a_search_that_nobody_waits_for_ends() {
    let changes: Vec<_> = (0..2_000)
        .map(|row| put(row, document("ann", "a", "walrus and penguin")))
        .collect();
    for (kind, layer) in every_kind(&changes[..1]).into_iter().chain([{
        let (disk, dir) = on_disk(&changes, usize::MAX);
        let index = Box::new(disk);
        (
            "large",
            super::Layer {
                index,
                _dir: Some(dir),
            },
        )
    }]) {
        let asked = std::cell::Cell::new(0);
        let stop = || {
            asked.set(asked.get() + 1);
            asked.get() > 1
        };
        let query = query("ann", None, "walrus penguin", &[], 5_000);
        let found = search::search(&[layer.index.as_ref()], &query, &stop).unwrap();
        assert!(found.len() <= 256, "{kind}: {} found", found.len());
    }
}

#[test]
fn what_is_no_index_is_refused() {
    use mcp_server::memory::search::DiskView;
    let dir = crate::support::process::folder();
    assert!(DiskView::open(&dir.path().join("missing")).is_err());
    std::fs::write(dir.path().join("meta.json"), "{").unwrap();
    assert!(DiskView::open(dir.path()).is_err());
    // Begun, and never finished.
    let begun = dir.path().join("begun");
    drop(search::DiskWriter::create(&begun).unwrap());
    let error = DiskView::open(&begun).unwrap_err();
    assert!(matches!(error, IndexError::Unusable { .. }), "{error}");
}
