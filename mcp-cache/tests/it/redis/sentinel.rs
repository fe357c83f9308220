//! The master of a group under sentinels, and what takes its place.

use super::{
    Node, Source,
    server::{Server, is_installed},
    until,
};
use mcp_cache::{Reach, RedisConfig, RedisEndpoint, RemoteConfig, Source as From};
use std::time::Duration;

struct Group {
    master: Server,
    replica: Server,
    sentinels: Vec<Server>,
}

impl Group {
    async fn start() -> Option<Self> {
        if !is_installed() {
            return None;
        }
        let master = Server::with(&["--repl-diskless-sync-delay", "0"]).await;
        let port = master.port().to_string();
        let replica = Server::with(&["--replicaof", "127.0.0.1", &port]).await;
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(Server::sentinel(master.port()).await);
        }
        let group = Self {
            master,
            replica,
            sentinels,
        };
        for sentinel in &group.sentinels {
            while !Self::is_complete(sentinel).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Some(group)
    }

    /// Knows the replica and the two other sentinels.
    async fn is_complete(sentinel: &Server) -> bool {
        let info: String = sentinel.command(&["INFO", "sentinel"]).await;
        info.contains("status=ok") && info.contains("slaves=1,sentinels=3")
    }

    fn config(&self) -> RedisConfig {
        RedisConfig {
            endpoint: RedisEndpoint::Sentinel {
                urls: self.sentinels.iter().map(Server::url).collect(),
                service: "tier".to_owned(),
                username: None,
                password: None,
            },
            ..RedisConfig::default()
        }
    }

    async fn node(&self) -> Node {
        let config = RemoteConfig {
            // Of five servers on two cores.
            deadline: Duration::from_millis(200),
            lease: Some(Duration::from_millis(400)),
            ..RemoteConfig::default()
        };
        Node::at(&self.config(), &config).await
    }
}

/// The replica is a server of another run: a new base begins with it, and what it
/// has of old records, or lacks of invalidations, is served to nobody.
#[tokio::test]
async fn a_replica_takes_over_and_nothing_old_is_served() {
    let Some(mut group) = Group::start().await else {
        return;
    };
    let source = Source::default();
    let (a, b) = (group.node().await, group.node().await);
    assert_eq!(a.get("k", &source).await.source, From::Loaded);
    a.stored(1).await;
    assert_eq!(b.get("k", &source).await.source, From::Remote);
    let base: String = group
        .master
        .command(&["HGET", "{mcp}:stamps", "base"])
        .await;
    // What the replica never hears of: a failover may lose it.
    until_replicated(&group).await;
    group.replica.stop();
    let mut version = source.write();
    a.cache.invalidate("k");
    assert_eq!(a.remote.settled().await, Reach::Everywhere);
    group.master.kill();
    group.replica.cont();
    // One sentinel answers nothing; two are a majority.
    group.sentinels[0].stop();
    for node in [&a, &b] {
        node.strict("k", &source).await;
    }
    // Told while nobody is there to hear it.
    version = version.max(source.write());
    a.cache.invalidate_by_tags(&["all"]);
    a.settle().await;
    for node in [&b, &a] {
        let read = node.strict("k", &source).await;
        assert_eq!(read.value, format!("v{version}"));
    }
    let after: String = group
        .replica
        .command(&["HGET", "{mcp}:stamps", "base"])
        .await;
    assert_ne!(base, after, "a new base");
    until(|| a.remote.stats().applied > 0 && b.remote.stats().applied > 0).await;
    tokio::time::sleep(Duration::from_millis(410)).await;
    for node in [&a, &b] {
        let read = node.get("k", &source).await;
        assert_eq!(read.value, format!("v{version}"));
    }
    // And the tier is one again, once the guard lets values be stored.
    let mut n = 0;
    while !group
        .replica
        .command::<bool>(&["EXISTS", "mcp:texts:new"])
        .await
    {
        a.cache.invalidate("new");
        a.settle().await;
        let before = a.remote.stats();
        a.get("new", &source).await;
        let stored = |stats: &mcp_cache::RemoteStats| stats.writes + stats.writes_lost;
        until(|| stored(&a.remote.stats()) > stored(&before)).await;
        n += 1;
        assert!(n < 1_000, "{:?}", a.remote.stats());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = b.remote.stats().hits;
    let shares = async {
        while b.remote.stats().hits == before {
            b.strict("new", &source).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), shares)
        .await
        .expect("it finds what the other one stored");
    // The old master comes back as a replica of the new one, and disturbs nobody.
    group.master.resume_empty().await;
    let version = source.write();
    b.cache.invalidate("new");
    b.settle().await;
    assert_eq!(a.strict("new", &source).await.value, format!("v{version}"));
}

/// By its own address it is no second tier: nothing could be invalidated there.
#[tokio::test]
async fn a_replica_is_never_taken_for_the_master() {
    let Some(group) = Group::start().await else {
        return;
    };
    let source = Source::default();
    let a = group.node().await;
    a.get("k", &source).await;
    a.stored(1).await;
    until_replicated(&group).await;
    let b = super::remote(&group.replica.url(), &RemoteConfig::default());
    let connected = tokio::time::timeout(Duration::from_secs(1), b.connected());
    assert!(connected.await.is_err());
    assert_eq!((b.stats().subscriptions, b.stats().applied), (0, 0));
    // As the run of the base, for a server that was a master before.
    let run: String = group.replica.command(&["INFO", "server"]).await;
    let run = run
        .split("run_id:")
        .nth(1)
        .and_then(|rest| rest.lines().next());
    let run = run.expect("it has a run").to_owned();
    let _: u32 = group
        .master
        .command(&["HSET", "{mcp}:stamps", "run", &run])
        .await;
    let connected = tokio::time::timeout(Duration::from_secs(1), b.connected());
    assert!(connected.await.is_err(), "by its role, not by its run");
}

async fn until_replicated(group: &Group) {
    let offset = async |server: &Server| {
        let info: String = server.command(&["INFO", "replication"]).await;
        let at = |name: &str| {
            info.lines()
                .find_map(|line| line.strip_prefix(name).map(str::to_owned))
        };
        at("slave_repl_offset:").or_else(|| at("master_repl_offset:"))
    };
    while offset(&group.master).await != offset(&group.replica).await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
