//! Three masters with a replica each.

use super::{
    Node, Source,
    server::{Server, free_port, is_installed},
    until,
};
use mcp_cache::{Reach, RedisConfig, RedisEndpoint, RemoteConfig, Source as From};
use std::{
    process::{Command, Stdio},
    time::Duration,
};

struct Cluster {
    nodes: Vec<Server>,
}

impl Cluster {
    async fn start() -> Option<Self> {
        if !is_installed() {
            return None;
        }
        let mut nodes = Vec::new();
        for _ in 0..6 {
            let bus = free_port().to_string();
            let args = [
                &["--cluster-enabled", "yes", "--cluster-port", &bus][..],
                &["--cluster-node-timeout", "1000"],
                &["--cluster-replica-validity-factor", "0"],
                &["--repl-diskless-sync-delay", "0"],
            ];
            nodes.push(Server::with(&args.concat()).await);
        }
        let addresses = nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port()));
        let made = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(addresses)
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .stdout(Stdio::null())
            .status();
        assert!(made.expect("redis-cli").success());
        let cluster = Self { nodes };
        for node in &cluster.nodes {
            while !Self::is_whole(node).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Some(cluster)
    }

    /// It knows that all is served, and by whom.
    async fn is_whole(node: &Server) -> bool {
        let info: String = node.command(&["CLUSTER", "INFO"]).await;
        let nodes: String = node.command(&["CLUSTER", "NODES"]).await;
        info.contains("cluster_state:ok")
            && nodes.matches("master").count() == 3
            && nodes.matches("slave").count() == 3
    }

    fn config(&self) -> RedisConfig {
        RedisConfig {
            endpoint: RedisEndpoint::Cluster {
                urls: self.nodes.iter().map(Server::url).collect(),
            },
            ..RedisConfig::default()
        }
    }

    async fn node(&self) -> Node {
        let config = RemoteConfig {
            lease: Some(Duration::from_millis(400)),
            // Of six servers on two cores.
            deadline: Duration::from_millis(200),
            ..RemoteConfig::default()
        };
        Node::at(&self.config(), &config).await
    }

    /// The one that has the tier's own keys.
    async fn holder(&self) -> usize {
        for (at, node) in self.nodes.iter().enumerate() {
            let epoch: redis::RedisResult<Option<u64>> =
                node.try_command(&["GET", "{mcp}:epoch"]).await;
            if epoch.is_ok() {
                return at;
            }
        }
        panic!("somebody has it");
    }

    async fn keys(&self, at: usize) -> u64 {
        self.nodes[at].command(&["DBSIZE"]).await
    }
}

#[tokio::test]
async fn a_tier_on_a_cluster_keeps_its_promise() {
    let Some(cluster) = Cluster::start().await else {
        return;
    };
    let source = Source::default();
    let (a, b) = (cluster.node().await, cluster.node().await);
    let keys: Vec<String> = (0..60).map(|n| format!("k{n}")).collect();
    for key in &keys {
        assert_eq!(a.get(key, &source).await.source, From::Loaded);
    }
    a.stored(60).await;
    let mut used = 0;
    for at in 0..cluster.nodes.len() {
        used += u32::from(cluster.keys(at).await > 5);
    }
    assert!(used >= 6, "records are on all of them: {used}");
    assert_eq!(b.get(&keys[0], &source).await.source, From::Remote);
    let many = b.cache.get_many(&keys).await;
    let remote = many
        .iter()
        .flatten()
        .filter(|answer| answer.source == From::Remote);
    assert_eq!(remote.count(), 59, "and in one look");
    let forms: [&dyn Fn(); 4] = [
        &|| assert!(a.cache.invalidate(&keys[0])),
        &|| a.cache.invalidate_by_tags(&["all"]),
        &|| a.cache.invalidate_namespace("n"),
        &|| a.cache.clear(),
    ];
    for invalidate in forms {
        a.get(&keys[0], &source).await;
        b.get(&keys[0], &source).await;
        let version = source.write();
        invalidate();
        assert_eq!(a.remote.settled().await, Reach::Everywhere);
        let read = b.strict(&keys[0], &source).await;
        assert_eq!(read.value, format!("v{version}"));
    }
    b.get("heard", &source).await;
    a.cache.invalidate_by_tags(&["all"]);
    until(|| b.cache.try_get("heard").is_none()).await;
}

/// What the replica of the tier's own keys has not heard of is lost with their
/// master, and known to be lost: it numbers nothing before there is a new base.
#[tokio::test]
async fn a_failover_of_the_stamps_begins_a_new_base() {
    let Some(mut cluster) = Cluster::start().await else {
        return;
    };
    let source = Source::default();
    let (a, b) = (cluster.node().await, cluster.node().await);
    for node in [&a, &b] {
        node.get("k", &source).await;
    }
    a.stored(1).await;
    let holder = cluster.holder().await;
    let base: String = cluster.nodes[holder]
        .command(&["HGET", "{mcp}:stamps", "base"])
        .await;
    let lost = source.write();
    a.cache.invalidate("k");
    assert_eq!(a.remote.settled().await, Reach::Everywhere);
    cluster.nodes[holder].kill();
    let version = source.write().max(lost);
    b.cache.invalidate_by_tags(&["all"]);
    for n in 0..50 {
        a.get(&format!("meanwhile{n}"), &source).await;
    }
    b.settle().await;
    a.cache.invalidate("other");
    a.settle().await;
    for node in [&a, &b] {
        let read = node.strict("k", &source).await;
        assert_eq!(read.value, format!("v{version}"));
    }
    until(|| a.remote.stats().applied > 0 && b.remote.stats().applied > 0).await;
    let mut after: Option<String> = None;
    for (at, node) in cluster.nodes.iter().enumerate() {
        if at != holder && after.is_none() {
            let asked = node.try_command(&["HGET", "{mcp}:stamps", "base"]).await;
            after = asked.unwrap_or(None);
        }
    }
    assert!(after.is_some_and(|after| after != base), "a new base");
}
