//! A search through the cache against the same search past it, after any sequence of operations.

use std::{sync::Arc, time::Duration};

use mcp_server::{
    adapters::CacheConfig,
    call::Call,
    memory::{
        Add, Delete, Hit, MemoryId, Search, Update,
        search::IndexConfig,
        sqlite::{SqliteConfig, SqliteStore},
    },
    ports::MemoryStore,
};
use proptest::prelude::*;

use super::cached;
use crate::{contract::call, support::process::folder};

#[derive(Debug, Clone)]
enum Step {
    Add(Add),
    Update(usize, Option<String>, Option<Vec<String>>),
    Delete(usize),
    Search(usize),
}

fn content() -> impl Strategy<Value = String> {
    let words = ["wren", "dunnock", "linnet", "siskin", "twite", "of", "the"];
    prop::collection::vec(prop::sample::select(words.to_vec()), 1..9)
        .prop_map(|words| words.join(" "))
}

fn tags() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(
        prop::sample::select(vec!["red".to_owned(), "blue".to_owned()]),
        0..3,
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let namespace = prop::option::of(prop::sample::select(vec!["a".to_owned(), "b".to_owned()]));
    let add = (content(), namespace, tags()).prop_map(|(content, namespace, tags)| {
        Step::Add(Add {
            content,
            namespace,
            tags,
            ..Add::default()
        })
    });
    let update = (
        any::<usize>(),
        prop::option::of(content()),
        prop::option::of(tags()),
    )
        .prop_map(|(which, content, tags)| Step::Update(which, content, tags));
    let delete = any::<usize>().prop_map(Step::Delete);
    let search = any::<usize>().prop_map(Step::Search);
    prop::collection::vec(
        prop_oneof![4 => add, 2 => update, 1 => delete, 3 => search],
        1..40,
    )
}

/// The searches that are asked again and again.
fn searches() -> Vec<Search> {
    let search = |query: &str, namespace: Option<&str>, tags: &[&str], limit| Search {
        query: query.to_owned(),
        namespace: namespace.map(str::to_owned),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        limit: Some(limit),
    };
    vec![
        search("wren", None, &[], 3),
        search("dunnock linnet", None, &[], 3),
        search("wren siskin", Some("a"), &[], 2),
        search("linnet", None, &["red"], 2),
        search("wren dunnock linnet siskin twite", None, &[], 100),
        search("twite", Some("b"), &["red", "blue"], 100),
        search("nothing", None, &[], 10),
    ]
}

struct Pair {
    fresh: Arc<SqliteStore>,
    cached: Arc<dyn MemoryStore>,
    call: Call,
    ids: Vec<MemoryId>,
    exact: bool,
}

impl Pair {
    async fn run(&mut self, steps: Vec<Step>) {
        for step in steps {
            let pick = |which: usize| self.ids.get(which % self.ids.len().max(1)).cloned();
            match step {
                Step::Add(add) => self
                    .ids
                    .push(self.cached.add(&self.call, add).await.unwrap().id),
                Step::Update(which, content, tags) => {
                    let Some(id) = pick(which) else { continue };
                    let update = Update {
                        id,
                        content,
                        tags,
                        metadata: None,
                        version: None,
                    };
                    let _ = self.cached.update(&self.call, update).await;
                }
                Step::Delete(which) => {
                    let Some(id) = pick(which) else { continue };
                    let _ = self.cached.delete(&self.call, Delete { id }).await;
                }
                Step::Search(which) => {
                    let all = searches();
                    self.compare(all[which % all.len()].clone()).await;
                }
            }
        }
        for search in searches() {
            self.compare(search).await;
        }
    }

    async fn compare(&self, search: Search) {
        let cached = self
            .cached
            .search(&self.call, search.clone())
            .await
            .unwrap();
        let fresh = self.fresh.search(&self.call, search.clone()).await.unwrap();
        let ids = |hits: &[Hit]| -> Vec<MemoryId> {
            hits.iter().map(|hit| hit.memory.id.clone()).collect()
        };
        let (mut kept, mut new) = (ids(&cached.memories), ids(&fresh.memories));
        let all_held = search.limit == Some(100);
        if !self.exact {
            let falling = cached
                .memories
                .windows(2)
                .all(|two| two[0].score >= two[1].score);
            assert!(falling, "{search:?}");
            kept.sort_by(|a, b| a.as_str().cmp(b.as_str()));
            new.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        }
        if self.exact || all_held {
            assert_eq!(kept, new, "{search:?}");
        }
        assert_eq!(kept.len(), new.len(), "{search:?}");
        for hit in &cached.memories {
            let current = fresh
                .memories
                .iter()
                .find(|other| other.memory.id == hit.memory.id);
            assert!(
                current.is_none_or(|other| other.memory == hit.memory),
                "{search:?}"
            );
        }
    }
}

fn check(steps: Vec<Step>, config: &CacheConfig) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let dir = folder();
        let sqlite = SqliteConfig {
            index: IndexConfig {
                // Counts that are thrown out when the index is written would be seen by one only.
                interval: Duration::from_secs(3_600),
                ..IndexConfig::default()
            },
            ..SqliteConfig::default()
        };
        let fresh = Arc::new(SqliteStore::open(dir.path(), &sqlite).unwrap());
        let mut pair = Pair {
            cached: cached(fresh.clone(), fresh.clone(), config),
            fresh,
            call: call(),
            ids: Vec::new(),
            exact: config.drift_max == 0.0,
        };
        pair.run(steps).await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Run again whenever the counts have moved: the same matches in the same order.
    #[test]
    fn without_drift_a_kept_search_is_a_new_one(steps in steps()) {
        check(steps, &CacheConfig { drift_max: 0.0, spare_matches: 2, ..CacheConfig::default() });
    }

    /// Whatever the drift: the same matches where all are held, and always current ones.
    #[test]
    fn with_drift_a_kept_search_holds_the_same_matches(steps in steps()) {
        check(steps, &CacheConfig { drift_max: 1.0, spare_matches: 2, ..CacheConfig::default() });
    }
}
