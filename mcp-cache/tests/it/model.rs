//! Random calls in paused time against a map with tags.

use crate::support::{Texts, ms};
use mcp_cache::{Cache, ClassConfig, Config, Epochs, Fetch, Inserted, Loaded, Source};
use proptest::prelude::*;
use std::{collections::HashMap, sync::Arc};
use tokio::time::{Instant, advance};

const KEYS: [&str; 6] = ["a", "b", "ab", "ba", "abc", "c"];
const TAGS: [&str; 4] = ["t", "u", "v", "a"];
const GLOBS: [&str; 5] = ["a*", "*b", "?", "abc", "x*"];

#[derive(Debug, Clone)]
enum Call {
    Put(usize, u8, Option<u64>),
    Read(usize),
    /// What the load brings is tagged after the load.
    Fetch(usize, u8, bool),
    /// The same, when its key or a tag is invalidated while it loads.
    Overtaken(usize, u8, usize),
    Write(usize, u8),
    Failed(usize),
    Key(usize),
    Tags(u8),
    Namespace(usize),
    Pattern(usize),
    Clear,
    Wait(u64),
    Sweep,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let (key, tags) = (0..KEYS.len(), 0u8..16);
    let call = prop_oneof![
        4 => (key.clone(), tags.clone(), prop::option::of(1u64..3_000)).prop_map(|(k, t, ttl)| Call::Put(k, t, ttl)),
        8 => key.clone().prop_map(Call::Read),
        6 => (key.clone(), tags.clone(), prop::bool::weighted(0.2)).prop_map(|(k, t, r)| Call::Fetch(k, t, r)),
        3 => (key.clone(), tags.clone(), 0..TAGS.len()).prop_map(|(k, t, by)| Call::Overtaken(k, t, by)),
        2 => (key.clone(), tags.clone()).prop_map(|(k, t)| Call::Write(k, t)),
        1 => key.clone().prop_map(Call::Failed),
        2 => key.prop_map(Call::Key),
        3 => tags.prop_map(Call::Tags),
        1 => (0..2usize).prop_map(Call::Namespace),
        1 => (0..GLOBS.len()).prop_map(Call::Pattern),
        1 => Just(Call::Clear),
        3 => (1u64..4_000).prop_map(Call::Wait),
        1 => Just(Call::Sweep),
    ];
    prop::collection::vec(call, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn it_answers_as_a_map_with_tags(calls in calls()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(Model::new().run(&calls));
    }
}

struct Held {
    value: u64,
    tags: Vec<&'static str>,
    namespace: &'static str,
    until: Instant,
}

struct Model {
    cache: Texts,
    map: HashMap<&'static str, Held>,
    value: u64,
}

fn names(bits: u8) -> Vec<&'static str> {
    let chosen = TAGS.iter().enumerate().filter(|(n, _)| bits >> n & 1 == 1);
    chosen.map(|(_, tag)| *tag).collect()
}

fn namespace(key: &str) -> &'static str {
    ["t", "n"][key.len() % 2]
}

fn matches(glob: &str, key: &str) -> bool {
    match glob {
        "a*" => key.starts_with('a'),
        "*b" => key.ends_with('b'),
        "?" => key.len() == 1,
        exact => exact == key,
    }
}

impl Model {
    fn new() -> Self {
        let class = ClassConfig {
            ttl: Some(ms(5_000)),
            jitter: 0.0,
            ..ClassConfig::default()
        };
        let config = Config {
            default_class: class,
            ..Config::default()
        };
        Self {
            cache: Cache::builder(&config)
                .epochs(Arc::new(Epochs::new(16)))
                .build()
                .expect("valid"),
            map: HashMap::new(),
            value: 0,
        }
    }

    fn next(&mut self, key: &str, bits: u8, ttl_ms: Option<u64>) -> Loaded<u64> {
        self.value += 1;
        let loaded = Loaded::new(self.value)
            .tags(names(bits).into_iter().collect::<mcp_cache::CacheTags>())
            .namespace(namespace(key));
        match ttl_ms {
            Some(ttl_ms) => loaded.ttl(ms(ttl_ms)),
            None => loaded,
        }
    }

    fn hold(&mut self, key: &'static str, bits: u8, ttl_ms: Option<u64>) {
        let held = Held {
            value: self.value,
            tags: names(bits),
            namespace: namespace(key),
            until: Instant::now() + ms(ttl_ms.unwrap_or(5_000)),
        };
        self.map.insert(key, held);
    }

    fn expect(&self, key: &str) -> Option<u64> {
        let held = self.map.get(key)?;
        (Instant::now() < held.until).then_some(held.value)
    }

    async fn run(mut self, calls: &[Call]) {
        for call in calls {
            self.call(call).await;
        }
        for key in KEYS {
            assert_eq!(self.cache.try_get(key), self.expect(key), "{key}");
        }
        let stats = self.cache.stats();
        assert_eq!((stats.loading, stats.conflicts), (0, 0));
    }

    async fn call(&mut self, call: &Call) {
        match *call {
            Call::Put(key, bits, ttl_ms) => {
                let loaded = self.next(KEYS[key], bits, ttl_ms);
                let inserted = self.cache.put(KEYS[key].to_owned(), loaded);
                assert_eq!(inserted, Inserted::Stored);
                self.hold(KEYS[key], bits, ttl_ms);
            }
            Call::Read(key) => {
                assert_eq!(self.cache.try_get(KEYS[key]), self.expect(KEYS[key]));
            }
            Call::Fetch(key, bits, renew) => self.fetch(KEYS[key], bits, renew).await,
            Call::Overtaken(key, bits, by) => self.overtaken(KEYS[key], bits, TAGS[by]).await,
            Call::Write(key, bits) => {
                let loaded = self.next(KEYS[key], bits, None);
                let write = async || Ok::<_, String>(loaded);
                let written = self.cache.write_through(KEYS[key].to_owned(), write).await;
                assert_eq!(written, Ok(self.value));
                self.hold(KEYS[key], bits, None);
            }
            Call::Failed(key) => {
                let write = async || Err::<u64, _>("lost");
                let written = self.cache.write_through(KEYS[key].to_owned(), write).await;
                assert_eq!(written, Err("lost"));
                self.map.remove(KEYS[key]);
            }
            Call::Wait(by_ms) => advance(ms(by_ms)).await,
            Call::Sweep => {
                self.cache.sweep();
            }
            ref invalidation => self.invalidate(invalidation),
        }
    }

    fn invalidate(&mut self, call: &Call) {
        match *call {
            Call::Key(key) => {
                self.cache.invalidate(KEYS[key]);
                self.map.remove(KEYS[key]);
            }
            Call::Tags(bits) => {
                let tags = names(bits);
                self.cache.invalidate_by_tags(&tags);
                self.map
                    .retain(|_, held| !held.tags.iter().any(|tag| tags.contains(tag)));
            }
            Call::Namespace(at) => {
                let name = ["t", "n"][at];
                self.cache.invalidate_namespace(name);
                self.map.retain(|_, held| held.namespace != name);
            }
            Call::Pattern(glob) => {
                self.cache.invalidate_pattern(GLOBS[glob]);
                self.map.retain(|key, _| !matches(GLOBS[glob], key));
            }
            _ => {
                self.cache.clear();
                self.map.clear();
            }
        }
    }

    async fn fetch(&mut self, key: &'static str, bits: u8, renew: bool) {
        let expect = self.expect(key).filter(|_| !renew);
        let loaded = self.next(key, bits, None);
        let fetch = if renew {
            Fetch::new().renew()
        } else {
            Fetch::new()
        };
        let load = || async { Ok::<_, String>(loaded) };
        let answer = self
            .cache
            .get_or_fetch_with(&key.to_owned(), fetch, load)
            .await;
        let answer = answer.expect("loaded");
        match expect {
            Some(value) => assert_eq!((answer.value, answer.source), (value, Source::Hit)),
            None => {
                assert_eq!((answer.value, answer.source), (self.value, Source::Loaded));
                self.hold(key, bits, None);
            }
        }
    }

    async fn overtaken(&mut self, key: &'static str, bits: u8, tag: &'static str) {
        let loaded = self.next(key, bits, None);
        let cache = self.cache.clone();
        let load = move || async move {
            cache.invalidate_by_tags(&[tag]);
            Ok::<_, String>(loaded)
        };
        let expect = self.expect(key);
        let answer = self.cache.get_or_fetch(&key.to_owned(), load).await;
        assert_eq!(answer.expect("loaded").value, expect.unwrap_or(self.value));
        if expect.is_none() {
            self.map.retain(|_, held| !held.tags.contains(&tag));
            if !names(bits).contains(&tag) {
                self.hold(key, bits, None);
            }
        }
    }
}
