//! One of the processes: this test's own binary, asked for this one test.

use super::{
    log::{Entry, What, now, write_log},
    source::{KEYS, Source},
};
use mcp_cache::{
    Answer, Cache, ClassConfig, Config, Error, Fetch, Loaded, Reach, RedisConfig, RedisStore,
    Remote, RemoteConfig, Source as From,
    remote::{Guard, Pass},
};
use std::{num::NonZero, path::PathBuf, sync::Arc, time::Duration};
use tokio::time::timeout;

/// Set for the processes only.
pub(super) const ASKED: &str = "HISTORY_PROCESS";
pub(super) const LEASE: Duration = Duration::from_millis(300);

type Versions = Cache<u64, u64>;

struct Process {
    cache: Versions,
    remote: Remote,
    source: Arc<Source>,
}

/// Refuses nothing, so that the second tier is asked in the middle of everything.
struct Always;

impl Guard for Always {
    fn admit(&self) -> Option<Box<dyn Pass>> {
        Some(Box::new(Self))
    }
}

impl Pass for Always {
    fn succeeded(self: Box<Self>) {}
    fn failed(self: Box<Self>) {}
}

/// Does nothing unless the test of three processes has started it.
#[test]
fn main() {
    if std::env::var_os(ASKED).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(run());
}

fn variable(name: &str) -> String {
    std::env::var(name).expect("the parent sets it")
}

async fn run() {
    let number = |name: &str| variable(name).parse::<u64>().expect("a number");
    let config = RemoteConfig {
        lease: Some(LEASE),
        pending_max: 64,
        ..RemoteConfig::default()
    };
    let redis = RedisConfig::single(variable("HISTORY_REDIS"));
    let store = Arc::new(RedisStore::new(&redis).expect("valid"));
    let builder = Remote::builder(store.clone(), store).config(&config);
    let remote = builder.guard(Arc::new(Always)).build().expect("valid");
    let cache = Config {
        // Room for half of the keys, so that the second tier is asked.
        entries_max: NonZero::new(u64::from(KEYS / 2)),
        default_class: ClassConfig::default(),
        ..Config::default()
    };
    let cache = Cache::builder(&cache)
        .remote(&remote, "versions")
        .build()
        .expect("valid");
    let port = u16::try_from(number("HISTORY_SOURCE")).expect("a port");
    let process = Arc::new(Process {
        cache,
        remote,
        source: Arc::new(Source::connect(port).await),
    });
    let end = now() + number("HISTORY_SECS") * 1_000_000_000;
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..6 {
        let random = number("HISTORY_SEED") * 97 + worker;
        workers.spawn(Arc::clone(&process).work(end, random));
    }
    let log = workers.join_all().await.concat();
    println!("{:?}", process.remote.stats());
    write_log(&PathBuf::from(variable("HISTORY_LOG")), &log);
}

fn below(random: &mut u64, bound: u64) -> u64 {
    *random = random
        .wrapping_mul(0x5851_F42D_4C95_7F2D)
        .wrapping_add(0x1405_7B7E_F767_814F);
    (*random >> 33) % bound
}

impl Process {
    async fn work(self: Arc<Self>, end: u64, mut random: u64) -> Vec<Entry> {
        let mut log = Vec::new();
        while now() < end {
            let key = u32::try_from(below(&mut random, KEYS.into())).expect("small");
            match below(&mut random, 100) {
                0..8 => self.write(key, &mut random, &mut log).await,
                8..10 => self.write_through(key, &mut log).await,
                10..25 => self.read(key, true, &mut random, &mut log).await,
                _ => self.read(key, false, &mut random, &mut log).await,
            }
            let pause = below(&mut random, 1_000);
            tokio::time::sleep(Duration::from_micros(pause)).await;
        }
        log
    }

    async fn read(&self, key: u32, strict: bool, random: &mut u64, log: &mut Vec<Entry>) {
        let source = Arc::clone(&self.source);
        let load = move || async move {
            let version = source.ask(b'r', key).await;
            Ok::<_, String>(tagged(version, key))
        };
        let fetch = if strict {
            Fetch::new().strict()
        } else {
            Fetch::new()
        };
        let at = now();
        let key_of = u64::from(key);
        let reading = self.cache.get_or_fetch_with(&key_of, fetch, load);
        // Some go away.
        let patience = match below(random, 20) {
            0 => Duration::from_micros(below(random, 2_000)),
            _ => Duration::from_secs(60),
        };
        let read: Result<Result<Answer<u64>, Error<String>>, _> = timeout(patience, reading).await;
        let Ok(read) = read else { return };
        let read = read.expect("no call fails");
        log.push(Entry {
            at,
            what: if strict { What::Strict } else { What::Read },
            key,
            version: read.value,
            remote: read.source == From::Remote,
        });
    }

    async fn write(&self, key: u32, random: &mut u64, log: &mut Vec<Entry>) {
        let version = self.source.ask(b'w', key).await;
        match below(random, 20) {
            0..8 => {
                self.cache.invalidate(&u64::from(key));
            }
            8..16 => self.cache.invalidate_by_tags(&[&format!("tag{}", key % 7)]),
            16..19 => self
                .cache
                .invalidate_namespace(&format!("space{}", key % 3)),
            _ => self.cache.clear(),
        }
        self.settle(key, version, log).await;
    }

    async fn write_through(&self, key: u32, log: &mut Vec<Entry>) {
        let write = async {
            let version = self.source.ask(b'w', key).await;
            Ok::<_, String>(tagged(version, key))
        };
        let version = self.cache.write_through(u64::from(key), || write).await;
        self.settle(key, version.expect("no call fails"), log).await;
    }

    async fn settle(&self, key: u32, version: u64, log: &mut Vec<Entry>) {
        let entry = |what| Entry {
            at: now(),
            what,
            key,
            version,
            remote: false,
        };
        log.push(entry(What::Returned));
        let settled = timeout(Duration::from_secs(1), self.remote.settled()).await;
        if settled == Ok(Reach::Everywhere) {
            log.push(entry(What::Settled));
        }
    }
}

fn tagged(version: u64, key: u32) -> Loaded<u64> {
    let loaded = Loaded::new(version).tags([format!("tag{}", key % 7)]);
    loaded.namespace(format!("space{}", key % 3))
}
