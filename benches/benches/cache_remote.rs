//! `mcp-cache`'s second tier on a real `redis-server` beside the client library
//! itself, which it is built on.
//!
//! ```text
//! cargo bench -p benches --features peers --bench cache_remote
//! ```
//!
//! Both take turns on one server, which runs on the same machine: call by call where
//! there is one task, so that both find the machine equally awake (an idle virtual
//! core takes a multiple of a round trip to wake up, for seconds on end), and in short
//! rounds where there are many. A hit of the second tier is a whole `get_or_fetch`
//! that misses the first one: the look, the check of the record, the shared load and
//! the insert.
#![expect(clippy::print_stdout, reason = "a bench reports on stdout")]
#![expect(
    clippy::disallowed_methods,
    reason = "of another process, which no clock here pauses"
)]

use benches::latency::Latencies;
use bytes::Bytes;
use mcp_cache::{
    Cache, Config, Observer, RedisConfig, RedisStore, Remote, RemoteConfig, RemoteEvent, Source,
};
use redis::{AsyncCommands, aio::MultiplexedConnection};
use std::{
    net::TcpListener,
    num::NonZero,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// So many that what the first tier keeps is never asked for again.
const KEYS: u64 = 16_384;
const ROUNDS: u32 = 30;
const ONE: Duration = Duration::from_millis(100);
/// Calls of each, where they take turns call by call.
const PAIRS: u64 = 40_000;
const TELLS: u32 = 3_000;
/// Calls that did not get their answer from the second tier themselves.
static ELSEWHERE: AtomicU64 = AtomicU64::new(0);

struct Server {
    process: Child,
    _dir: tempfile::TempDir,
    url: String,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        let dir = tempfile::tempdir().expect("a folder");
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--dir"])
            .arg(dir.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        Self {
            process,
            _dir: dir,
            url: format!("redis://127.0.0.1:{port}"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = (self.process.kill(), self.process.wait());
    }
}

/// Hands on the moment at which another process's invalidation was obeyed.
struct Heard(mpsc::Sender<Instant>);

impl Observer for Heard {
    fn on_remote(&self, event: RemoteEvent<'_>) {
        if matches!(event, RemoteEvent::Heard { .. }) {
            let _ = self.0.try_send(Instant::now());
        }
    }
}

fn tier(url: &str, observer: Option<Arc<dyn Observer>>) -> Remote {
    let store = Arc::new(RedisStore::new(&RedisConfig::single(url)).expect("valid"));
    // Of a machine that runs the server and both rivals: nothing is to be cut off.
    let config = RemoteConfig {
        deadline: Duration::from_secs(1),
        ..RemoteConfig::default()
    };
    let mut builder = Remote::builder(store.clone(), store).config(&config);
    if let Some(observer) = observer {
        builder = builder.observer(observer);
    }
    builder.build().expect("valid")
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(run());
}

async fn run() {
    let server = Server::start();
    let client = redis::Client::open(server.url.as_str()).expect("an address");
    let plain = client
        .get_multiplexed_async_connection()
        .await
        .expect("it runs");
    let remote = tier(&server.url, None);
    remote.connected().await;
    hits(&plain, &remote).await;
    told(&server.url, &client, &remote).await;
}

async fn hits(plain: &MultiplexedConnection, remote: &Remote) {
    let config = Config {
        // Next to no first tier.
        entries_max: NonZero::new(1),
        ..Config::default()
    };
    let cache: Cache<u64, Bytes> = Cache::builder(&config)
        .remote(remote, "bench")
        .build()
        .expect("valid");
    let value = Bytes::from(vec![7; 1_024]);
    let mut writer = plain.clone();
    for key in 0..KEYS {
        let value = value.clone();
        let load = {
            let value = value.clone();
            || async { Ok::<_, std::io::Error>(value) }
        };
        cache.get_or_fetch(&key, load).await.expect("it loads");
        let () = writer.set(key, &value[..]).await.expect("it is set");
    }
    while remote.stats().writes + remote.stats().writes_lost < KEYS {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    println!("a value of 1 KiB        p50 ms   p95 ms   p99 ms   calls/s");
    let (theirs, ours) = by_turns(plain, &cache).await;
    compare(1, &theirs, &ours);
    let (mut ours, mut theirs) = (Run::default(), Run::default());
    for _ in 0..ROUNDS {
        let (plain, cache) = (plain.clone(), cache.clone());
        theirs.add(crowd(64, move |n| get_plain(plain.clone(), n)).await);
        ours.add(crowd(64, move |n| get_ours(cache.clone(), n)).await);
    }
    compare(64, &theirs.latencies(), &ours.latencies());
    let elsewhere = ELSEWHERE.load(Ordering::Relaxed);
    println!("  answered by the first tier or another call: {elsewhere}");
    println!("  {:?}", remote.stats());
}

/// One of each, again and again.
async fn by_turns(
    plain: &MultiplexedConnection,
    cache: &Cache<u64, Bytes>,
) -> (Latencies, Latencies) {
    let (mut theirs, mut ours) = (Run::default(), Run::default());
    for n in 0..PAIRS {
        let asked = Instant::now();
        get_plain(plain.clone(), n).await;
        let between = Instant::now();
        get_ours(cache.clone(), n).await;
        let (first, second) = (between - asked, between.elapsed());
        theirs.add((vec![first], first));
        ours.add((vec![second], second));
    }
    (theirs.latencies(), ours.latencies())
}

fn compare(tasks: u32, theirs: &Latencies, ours: &Latencies) {
    println!("GET, {tasks:>2} tasks     {theirs}");
    println!("tier hit, {tasks:>2} tasks{ours}");
    let ratio =
        |percent| ours.percentile(percent).as_secs_f64() / theirs.percentile(percent).as_secs_f64();
    println!(
        "  ratio: p50 {:.2}, p99 {:.2}, throughput {:.2}",
        ratio(50),
        ratio(99),
        ours.rate() / theirs.rate()
    );
}

/// Calls, and the time in which they were made.
#[derive(Default)]
struct Run {
    calls: Vec<Duration>,
    elapsed: Duration,
}

impl Run {
    fn add(&mut self, (calls, elapsed): (Vec<Duration>, Duration)) {
        self.calls.extend(calls);
        self.elapsed += elapsed;
    }

    fn latencies(self) -> Latencies {
        Latencies::new(self.calls, self.elapsed)
    }
}

async fn get_plain(mut connection: MultiplexedConnection, n: u64) {
    let value: Vec<u8> = connection.get(n % KEYS).await.expect("it is there");
    assert_eq!(value.len(), 1_024);
}

async fn get_ours(cache: Cache<u64, Bytes>, n: u64) {
    let load = || async { Err::<Bytes, _>(std::io::Error::other("it is in the second tier")) };
    let answer = cache.get_or_fetch(&(n % KEYS), load).await;
    let answer = answer.expect("it is there");
    if answer.source != Source::Remote {
        ELSEWHERE.fetch_add(1, Ordering::Relaxed);
    }
    assert_eq!(answer.value.len(), 1_024);
}

/// So many tasks, each asking one thing after the other.
async fn crowd<F: Future<Output = ()> + Send>(
    tasks: u64,
    ask: impl Fn(u64) -> F + Clone + Send + 'static,
) -> (Vec<Duration>, Duration)
where
    F: 'static,
{
    let began = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for task in 0..tasks {
        let ask = ask.clone();
        running.spawn(async move {
            let (mut calls, mut n) = (Vec::new(), task * (KEYS / tasks));
            while began.elapsed() < ONE {
                let asked = Instant::now();
                ask(n).await;
                calls.push(asked.elapsed());
                n += 1;
            }
            calls
        });
    }
    let calls = running.join_all().await.concat();
    (calls, began.elapsed())
}

/// From the call that invalidates to the moment at which another end has obeyed,
/// beside a plain message from publish to receipt.
async fn told(url: &str, client: &redis::Client, remote: &Remote) {
    use futures_util::StreamExt;
    let (sender, mut heard) = mpsc::channel(16);
    let other = tier(url, Some(Arc::new(Heard(sender))));
    other.connected().await;
    let cache: Cache<u64, Bytes> = Cache::builder(&Config::default())
        .remote(remote, "told")
        .build()
        .expect("valid");
    let mut listens = client.get_async_pubsub().await.expect("it runs");
    listens.subscribe("plain").await.expect("it subscribes");
    let (plain_sender, mut plain_heard) = mpsc::channel(16);
    let listening = tokio::spawn(async move {
        let mut messages = listens.into_on_message();
        while messages.next().await.is_some() {
            let _ = plain_sender.try_send(Instant::now());
        }
    });
    let mut plain = client
        .get_multiplexed_async_connection()
        .await
        .expect("it runs");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let began = Instant::now();
    for _ in 0..TELLS {
        let said = Instant::now();
        let () = plain.publish("plain", "agents").await.expect("it is said");
        theirs.push(plain_heard.recv().await.expect("it comes") - said);
        let said = Instant::now();
        cache.invalidate_by_tags(&["agents"]);
        ours.push(heard.recv().await.expect("it comes") - said);
    }
    listening.abort();
    let (ours, theirs) = (
        Latencies::new(ours, began.elapsed()),
        Latencies::new(theirs, began.elapsed()),
    );
    println!("told to another end      p50 ms   p95 ms   p99 ms");
    println!("pub/sub            {theirs}");
    println!("invalidation       {ours}");
    let ratio =
        |percent| ours.percentile(percent).as_secs_f64() / theirs.percentile(percent).as_secs_f64();
    println!("  ratio: p50 {:.2}, p99 {:.2}", ratio(50), ratio(99));
}
