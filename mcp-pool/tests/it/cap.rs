//! Who makes room for whom under the cap of a set.

use crate::{
    set::{key, set, take, ten},
    support::{ms, secs, settle},
};
use mcp_pool::{ClassConfig, OTHER};
use tokio::task::JoinSet;

/// Two tasks of one key share the only connection that their class may have: it
/// is never closed to make room for the connect that was begun for the second.
#[tokio::test(start_paused = true)]
async fn a_pool_makes_no_room_for_itself() {
    let mut config = ten();
    let class = config.classes.get_mut("vscode").expect("a class");
    (class.guaranteed, class.max_connections) = (1, Some(1));
    let (set, server) = set(&config);
    let key = key("a", "vscode");
    for _ in 0..20 {
        let first = set.get(&key).await.expect("a connection");
        let waiter = tokio::spawn({
            let (set, key) = (set.clone(), key.clone());
            async move { set.get(&key).await.map(drop) }
        });
        settle().await;
        drop(first);
        waiter.await.expect("no panic").expect("served");
        settle().await;
        tokio::time::sleep(ms(50)).await;
    }
    let stats = set.pool(&key).expect("a pool").stats();
    assert_eq!((server.connects_begun(), stats.closes.total()), (1, 0));
    assert_eq!((stats.opening, stats.connect_failures), (0, 0));
}

/// A caller that waits under the cap for longer than it wants to is no failed
/// connect, and costs whoever comes next no delay.
#[tokio::test(start_paused = true)]
async fn to_wait_for_a_place_is_not_to_fail() {
    let (set, _) = set(&ten());
    let held = take(&set, &key("a", OTHER), 4).await;
    let error = set.get(&key("b", OTHER)).await.map(drop);
    assert!(error.expect_err("no place").to_string().contains("cap"));
    let waiter = tokio::spawn({
        let set = set.clone();
        async move { set.get(&key("b", OTHER)).await.map(drop) }
    });
    settle().await;
    let start = tokio::time::Instant::now();
    drop(held);
    waiter.await.expect("no panic").expect("served");
    assert!(start.elapsed() <= ms(20), "{:?}", start.elapsed());
    let stats = set.pool(&key("b", OTHER)).expect("a pool").stats();
    assert_eq!(stats.connect_failures, 0);
}

/// One key is always in demand, so that none of its connections is ever idle:
/// another key is served all the same, in its turn.
#[tokio::test(start_paused = true)]
async fn a_pool_in_demand_starves_no_other() {
    let (set, server) = set(&ten());
    let mut busy = JoinSet::new();
    for _ in 0..12 {
        let set = set.clone();
        busy.spawn(async move {
            for _ in 0..400 {
                let lease = set.get(&key("busy", OTHER)).await.expect("a connection");
                tokio::time::sleep(ms(5)).await;
                drop(lease);
            }
        });
    }
    tokio::time::sleep(ms(100)).await;
    for _ in 0..10 {
        let start = tokio::time::Instant::now();
        let lease = set.get(&key("quiet", OTHER)).await.expect("its turn comes");
        assert!(start.elapsed() <= ms(60), "{:?}", start.elapsed());
        drop(lease);
        tokio::time::sleep(ms(30)).await;
    }
    busy.join_all().await;
    assert!(server.most() <= 10);
    assert!(server.connects_begun() < 60, "{}", server.connects_begun());
}

/// What is idle makes room even if its class keeps a minimum of it, and is not
/// made again in the place of others.
#[tokio::test(start_paused = true)]
async fn a_minimum_blocks_nobody() {
    let mut config = ten();
    let kept = ClassConfig {
        min_connections: 1,
        ..ClassConfig::default()
    };
    config.classes.insert(OTHER.to_owned(), kept);
    let (set, server) = set(&config);
    for number in 0..12 {
        let lease = set.get(&key(&format!("up{number}"), OTHER)).await;
        drop(lease.expect("the idle make room"));
        tokio::time::sleep(ms(10)).await;
    }
    tokio::time::sleep(secs(10)).await;
    assert_eq!((server.open(), server.most()), (4, 4));
    assert!(server.connects_begun() <= 24, "{}", server.connects_begun());
}
