//! What answers are kept under: equal for requests that mean the same, and never equal for two
//! owners or two namespaces.

use std::fmt::Write;

use crate::memory::{MemoryId, Owner, Search, search::Query};

/// The key of one memory.
pub(super) fn of_memory(owner: &Owner, id: &MemoryId) -> String {
    let mut key = String::with_capacity(64);
    key.push('m');
    push(&mut key, owner.as_str());
    push(&mut key, id.as_str());
    key
}

/// The key of a search, of which `query` is the analysed form: white space, case and endings of its
/// words are folded there, and defaults filled in. The order of words and tags does not matter.
pub(super) fn of_search(owner: &Owner, search: &Search, query: &Query) -> String {
    let mut key = String::with_capacity(128);
    key.push('s');
    push(&mut key, owner.as_str());
    match &search.namespace {
        Some(namespace) => push(&mut key, namespace),
        None => key.push('*'),
    }
    let _ = write!(key, "{}", query.limit());
    push_set(&mut key, search.tags.iter().map(String::as_str).collect());
    push_set(&mut key, query.words().iter().map(String::as_str).collect());
    key
}

/// The glob of the keys of all searches in one namespace.
pub(super) fn pattern_of_namespace(owner: &Owner, namespace: &str) -> String {
    let mut key = String::from("s");
    push(&mut key, owner.as_str());
    push(&mut key, namespace);
    let mut pattern = String::with_capacity(key.len() + 1);
    for letter in key.chars() {
        if matches!(letter, '*' | '?' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('*');
    pattern
}

fn push_set(key: &mut String, mut names: Vec<&str>) {
    names.sort_unstable();
    names.dedup();
    let _ = write!(key, "#{}", names.len());
    names.iter().for_each(|name| push(key, name));
}

/// A length stands before the name, so that no name can be read as another one with something
/// behind it.
fn push(key: &mut String, name: &str) {
    let _ = write!(key, "/{}:{name}", name.len());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(owner: &str, search: &Search) -> Option<String> {
        let owner = Owner::new(owner);
        let query = Query::new(&owner, search, 0)?;
        Some(of_search(&owner, search, &query))
    }

    fn searches() -> impl Strategy<Value = Search> {
        let word = prop::sample::select(vec!["red", "Apples", "pear", "42", "été", "東京"]);
        let words = prop::collection::vec(word, 1..5);
        let tags = prop::collection::vec("[a-c/:#0-9]{1,3}", 0..3);
        (
            words,
            prop::option::of("[ab/:0-9]{1,3}"),
            tags,
            prop::option::of(1_u32..12),
        )
            .prop_map(|(words, namespace, tags, limit)| Search {
                query: words.join(" "),
                namespace,
                tags,
                limit,
            })
    }

    /// What a search means, without regard to how it is said.
    fn meaning(search: &Search) -> impl PartialEq + use<> {
        let query = Query::new(&Owner::local(), search, 0).map(|query| {
            let mut words = query.words().to_vec();
            words.sort();
            (words, query.limit())
        });
        let mut tags = search.tags.clone();
        tags.sort();
        tags.dedup();
        (query, search.namespace.clone(), tags)
    }

    #[test]
    fn a_namespace_has_the_keys_of_its_searches_only() {
        let pattern = pattern_of_namespace(&Owner::new("ann"), "a*b");
        assert_eq!(pattern, "s/3:ann/3:a\\*b*");
    }

    proptest! {
        #[test]
        fn equal_meanings_have_equal_keys_and_others_do_not(a in searches(), b in searches()) {
            let same = meaning(&a) == meaning(&b);
            prop_assert_eq!(key("ann", &a) == key("ann", &b), same);
        }

        #[test]
        fn how_it_is_said_does_not_matter(search in searches()) {
            let mut words: Vec<_> = search.query.split(' ').collect();
            words.reverse();
            let mut said = Search {
                query: format!("  {} \t!", words.join(" \n ").to_uppercase()),
                limit: Some(search.limit.unwrap_or(10)),
                ..search.clone()
            };
            said.tags.reverse();
            said.tags.extend(search.tags.first().cloned());
            prop_assert_eq!(key("ann", &said), key("ann", &search));
        }

        #[test]
        fn owners_and_namespaces_never_share_a_key(
            search in searches(),
            owners in ("[ab/:*0-9]{0,4}", "[ab/:*0-9]{0,4}"),
            namespaces in (prop::option::of("[ab/:*0-9]{0,4}"), prop::option::of("[ab/:*0-9]{0,4}")),
        ) {
            let of = |owner: &str, namespace: &Option<String>| {
                let namespace = namespace.clone();
                key(owner, &Search { namespace, ..search.clone() })
            };
            let same = owners.0 == owners.1 && namespaces.0 == namespaces.1;
            prop_assert_eq!(of(&owners.0, &namespaces.0) == of(&owners.1, &namespaces.1), same);
            let id = MemoryId::from("x".to_owned());
            let memory = |owner: &str| of_memory(&Owner::new(owner), &id);
            prop_assert_eq!(memory(&owners.0) == memory(&owners.1), owners.0 == owners.1);
        }
    }
}
