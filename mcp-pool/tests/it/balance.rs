//! Several endpoints as one, and a primary with replicas.

use crate::support::{Conn, Fake, Outcome, Refused, Server, config, ms, pool, secs};
use mcp_pool::{
    Balance, BalanceConfig, Config, Error, Manager, Node, Pool, Replicas, Replicated, Token,
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

fn balance(count: usize) -> (Balance<Fake>, Vec<Arc<Server>>) {
    let config = Config {
        acquire_timeout: ms(50),
        ..config(100)
    };
    let (pools, servers) = (0..count).map(|_| pool(&config)).unzip();
    let balance = Balance::new(&BalanceConfig::default(), pools);
    (balance.expect("a valid configuration"), servers)
}

/// Four endpoints, of which one takes ten times as long.
#[tokio::test(start_paused = true)]
async fn the_faster_endpoints_get_more() {
    let (balance, _) = balance(4);
    let mut counts = [0u32; 4];
    for _ in 0..400 {
        let lease = balance.get().await.expect("a connection");
        counts[lease.endpoint()] += 1;
        tokio::time::sleep(ms(if lease.endpoint() == 2 { 50 } else { 5 })).await;
    }
    assert!(counts[2] < 20, "{counts:?}");
    for at in [0, 1, 3] {
        assert!(counts[at] > 80, "{counts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn connections_that_are_held_are_spread() {
    let (balance, servers) = balance(4);
    let mut held = Vec::new();
    for _ in 0..200 {
        held.push(balance.get().await.expect("a connection"));
    }
    for server in &servers {
        assert!((45..=55).contains(&server.open()), "{}", server.open());
    }
}

/// One endpoint is down: no call fails, it is soon left alone, and used again
/// when it is back.
#[tokio::test(start_paused = true)]
async fn a_dead_endpoint_is_ejected_and_recovers() {
    let (balance, servers) = balance(3);
    servers[0].all_connects(Outcome::Err);
    for _ in 0..100 {
        let lease = balance.get().await.expect("another one is there");
        assert_ne!(lease.endpoint(), 0);
        tokio::time::sleep(ms(1)).await;
    }
    assert!(balance.stats()[0].ejected);
    assert_eq!(
        balance.pools()[0].stats().timeouts,
        5,
        "then it is left alone"
    );
    servers[0].heal();
    tokio::time::sleep(secs(6)).await;
    let mut used = false;
    for _ in 0..100 {
        let lease = balance.get().await.expect("a connection");
        used |= lease.endpoint() == 0;
        tokio::time::sleep(ms(1)).await;
    }
    assert!(used && !balance.stats()[0].ejected);
}

/// A call that fails on a connection that works counts too.
#[tokio::test(start_paused = true)]
async fn failures_that_the_caller_sees_eject_too() {
    let (balance, _) = balance(2);
    for _ in 0..40 {
        let mut lease = balance.get().await.expect("a connection");
        if lease.endpoint() == 1 {
            lease.fail();
        }
        tokio::time::sleep(ms(1)).await;
    }
    assert_eq!(balance.stats().map_ejected(), [false, true]);
}

trait MapEjected {
    fn map_ejected(&self) -> Vec<bool>;
}

impl MapEjected for Vec<mcp_pool::EndpointStats> {
    fn map_ejected(&self) -> Vec<bool> {
        self.iter().map(|stats| stats.ejected).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn when_all_are_down_the_last_error_is_told() {
    let (balance, servers) = balance(3);
    for server in &servers {
        server.all_connects(Outcome::Err);
    }
    for _ in 0..10 {
        let error = balance.get().await.map(drop).expect_err("all are down");
        assert!(error.to_string().contains("refused today"), "{error}");
    }
    let out = balance.stats().iter().filter(|stats| stats.ejected).count();
    assert_eq!(out, 1, "half of three at the most, and at least one");
}

/// A node that says what it is told to say.
#[derive(Debug)]
struct Nodes {
    fake: Fake,
    /// Bit 63: it is the primary.
    says: Arc<AtomicU64>,
}

const PRIMARY: u64 = 1 << 63;

impl Manager for Nodes {
    type Connection = Conn;
    type Error = Refused;

    async fn connect(&self) -> Result<Conn, Refused> {
        self.fake.connect().await
    }

    fn is_open(&self, conn: &mut Conn) -> bool {
        self.fake.is_open(conn)
    }
}

impl Replicated for Nodes {
    async fn node(&self, conn: &mut Conn) -> Result<Node, Refused> {
        self.fake.check(conn).await?;
        let says = self.says.load(Ordering::SeqCst);
        Ok(Node {
            primary: says & PRIMARY != 0,
            position: says & !PRIMARY,
        })
    }
}

struct Cluster {
    replicas: Replicas<Nodes>,
    servers: Vec<Arc<Server>>,
    says: Vec<Arc<AtomicU64>>,
}

async fn cluster(says: &[u64], max_lag: Option<u64>) -> Cluster {
    let says: Vec<_> = says
        .iter()
        .map(|says| Arc::new(AtomicU64::new(*says)))
        .collect();
    let servers: Vec<Arc<Server>> = says.iter().map(|_| Arc::default()).collect();
    let pools = says.iter().zip(&servers).map(|(says, server)| {
        let manager = Nodes {
            fake: Fake(Arc::clone(server)),
            says: Arc::clone(says),
        };
        let config = Config {
            acquire_timeout: ms(100),
            ..config(10)
        };
        Pool::new(&config, manager).expect("valid")
    });
    let config = BalanceConfig::default();
    let replicas = Replicas::new(&config, pools.collect(), secs(1), max_lag);
    Cluster {
        replicas: replicas.await.expect("valid"),
        servers,
        says,
    }
}

async fn readers(cluster: &Cluster, token: Token) -> Vec<usize> {
    let mut seen = Vec::new();
    for _ in 0..50 {
        seen.push(
            cluster
                .replicas
                .read(token)
                .await
                .expect("a reader")
                .endpoint(),
        );
    }
    seen.sort_unstable();
    seen.dedup();
    seen
}

#[tokio::test(start_paused = true)]
async fn a_reader_sees_what_it_wrote() {
    let cluster = cluster(&[PRIMARY | 100, 100, 90], None).await;
    let mut writer = cluster.replicas.write().await.expect("the primary");
    assert_eq!(writer.endpoint(), 0);
    assert_eq!(
        readers(&cluster, Token::default()).await,
        [1, 2],
        "reads are spread"
    );
    assert_eq!(readers(&cluster, Token::at(95)).await, [1]);
    cluster.says[0].store(PRIMARY | 110, Ordering::SeqCst);
    let token = cluster
        .replicas
        .token(&mut writer)
        .await
        .expect("a position");
    drop(writer);
    assert_eq!(token.position(), Some(110));
    assert_eq!(readers(&cluster, token).await, [0], "no replica has it yet");
    cluster.says[2].store(110, Ordering::SeqCst);
    tokio::time::sleep(ms(1_100)).await;
    assert_eq!(readers(&cluster, token).await, [2]);
    assert_eq!(token.and(Token::default()), token);
}

#[tokio::test(start_paused = true)]
async fn one_that_lags_too_far_serves_nobody() {
    let cluster = cluster(&[PRIMARY | 1_000, 950, 100], Some(100)).await;
    assert_eq!(readers(&cluster, Token::default()).await, [1]);
    cluster.says[1].store(10, Ordering::SeqCst);
    tokio::time::sleep(ms(1_100)).await;
    assert_eq!(readers(&cluster, Token::default()).await, [0]);
}

/// However it dies: it refuses, or it says nothing any more.
#[tokio::test(start_paused = true)]
async fn a_dead_replica_is_out_within_two_intervals() {
    for dies in [Outcome::Err, Outcome::Never] {
        let cluster = cluster(&[PRIMARY | 100, 100, 100], None).await;
        cluster.servers[1].all_checks(dies);
        tokio::time::sleep(ms(2_000)).await;
        assert_eq!(cluster.replicas.nodes()[1], None, "{dies:?}");
        assert_eq!(readers(&cluster, Token::default()).await, [2]);
        cluster.servers[1].heal();
        tokio::time::sleep(ms(2_100)).await;
        assert_eq!(readers(&cluster, Token::default()).await, [1, 2]);
    }
}

/// All of the primary's connections are lent for longer than an interval: it is
/// alive, and writers wait for their turn. Then it panics when it is asked.
#[tokio::test(start_paused = true)]
async fn one_that_is_busy_is_not_dead() {
    let cluster = cluster(&[PRIMARY | 100, 100], None).await;
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(cluster.replicas.write().await.expect("the primary"));
    }
    tokio::time::sleep(ms(5_000)).await;
    assert!(cluster.replicas.nodes()[0].is_some_and(|node| node.primary));
    let returns = async {
        tokio::time::sleep(ms(50)).await;
        drop(held);
    };
    let (writer, ()) = tokio::join!(cluster.replicas.write(), returns);
    drop(writer.expect("its turn came"));
    cluster.servers[0].all_checks(Outcome::Panic);
    tokio::time::sleep(ms(2_000)).await;
    assert_eq!(cluster.replicas.nodes()[0], None);
}

/// Callers that lose patience with a hanging endpoint prove nothing for it.
#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_does_not_forgive() {
    let (balance, servers) = balance(2);
    servers[0].all_connects(Outcome::Err);
    for _ in 0..30 {
        drop(balance.get().await.expect("the other one"));
        let _ = tokio::time::timeout(ms(5), balance.get_among(|at| at == 0)).await;
        tokio::time::sleep(ms(1)).await;
    }
    assert_eq!(balance.stats().map_ejected(), [true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_new_primary_is_found() {
    let cluster = cluster(&[PRIMARY | 100, 100], None).await;
    cluster.servers[0].all_checks(Outcome::Err);
    cluster.says[1].store(PRIMARY | 101, Ordering::SeqCst);
    tokio::time::sleep(ms(2_000)).await;
    let writer = cluster.replicas.write().await.expect("the new primary");
    assert_eq!(writer.endpoint(), 1);
    drop(writer);
    cluster.servers[1].all_checks(Outcome::Err);
    tokio::time::sleep(ms(2_000)).await;
    let error = cluster.replicas.write().await.map(drop).expect_err("none");
    assert!(matches!(error, Error::Unavailable) && error.is_retryable());
}
