//! Pools by key under one cap.

use crate::support::{Fake, Server, config, ms, secs, settle};
use mcp_pool::{ClassConfig, Config, Error, Key, Lease, OTHER, PoolSet, SetConfig};
use std::sync::Arc;
use tokio::task::JoinSet;

pub(crate) fn set(config: &SetConfig) -> (PoolSet<Fake>, Arc<Server>) {
    let server = Arc::new(Server::default());
    let inside = Arc::clone(&server);
    let set = PoolSet::new(config, move |_| Fake(Arc::clone(&inside)));
    (set.expect("a valid configuration"), server)
}

/// 10 in all: 4 for cursor, 2 for vscode, which may have 3, and 4 for whoever
/// comes.
pub(crate) fn ten() -> SetConfig {
    let class = |guaranteed, max_connections| ClassConfig {
        guaranteed,
        max_connections,
        ..ClassConfig::default()
    };
    SetConfig {
        pool: Config {
            acquire_timeout: ms(500),
            ..config(10)
        },
        max_connections: 10,
        max_keys: 64,
        classes: [
            ("cursor".to_owned(), class(4, None)),
            ("vscode".to_owned(), class(2, Some(3))),
        ]
        .into(),
    }
}

pub(crate) fn key(upstream: &str, class: &str) -> Key {
    Key::new(upstream, "me", class)
}

pub(crate) async fn take(
    set: &PoolSet<Fake>,
    key: &Key,
    count: usize,
) -> Vec<Lease<'static, Fake>> {
    let mut leases = Vec::new();
    for _ in 0..count {
        leases.push(set.get(key).await.expect("a connection"));
    }
    leases
}

#[tokio::test(start_paused = true)]
async fn equal_keys_share_connections_and_others_do_not() {
    let (set, server) = set(&ten());
    let keys = [
        key("a", "cursor"),
        key("b", "cursor"),
        key("a", "vscode"),
        Key::new("a", "somebody", "cursor"),
    ];
    for round in 0..3 {
        for key in &keys {
            let lease = set.get(key).await.expect("a connection");
            assert_eq!(lease.reuses(), round);
        }
    }
    assert_eq!((server.connects_begun(), set.stats().len()), (4, 4));
    // Classes that are not known are one.
    drop(set.get(&key("a", "emacs")).await);
    assert_eq!(set.get(&key("a", "vim")).await.expect("one").reuses(), 1);
}

/// A flood of one class leaves the others their share, at once.
#[tokio::test(start_paused = true)]
async fn a_flood_takes_nobodys_share() {
    let (set, server) = set(&ten());
    let flood = take(&set, &key("a", "flood"), 4).await;
    let error = set.get(&key("a", "flood")).await.map(drop);
    assert!(error.expect_err("no more").to_string().contains("4 in use"));
    let start = tokio::time::Instant::now();
    let cursor = take(&set, &key("a", "cursor"), 4).await;
    let vscode = take(&set, &key("a", "vscode"), 2).await;
    assert_eq!(start.elapsed(), ms(0));
    assert_eq!((server.open(), server.most()), (10, 10));
    drop(flood);
    // What nobody is guaranteed is for whoever comes, up to its maximum.
    let third = set
        .get(&key("b", "vscode"))
        .await
        .expect("the flood's idle one made room");
    assert!(
        set.get(&key("b", "vscode")).await.is_err(),
        "three at the most"
    );
    drop((cursor, vscode, third));
    assert_eq!(server.most(), 10);
    assert_eq!(
        set.used().iter().map(|(_, used)| used).sum::<usize>(),
        server.open()
    );
}

/// The cap is reached with idle connections of other keys: the one that has
/// been idle for longest makes room.
#[tokio::test(start_paused = true)]
async fn the_least_recently_used_of_all_makes_room() {
    let (set, server) = set(&ten());
    let keys: Vec<_> = (0..4).map(|n| key(&format!("up{n}"), OTHER)).collect();
    for key in &keys {
        drop(set.get(key).await.expect("a connection"));
        tokio::time::sleep(secs(1)).await;
    }
    let idle = |set: &PoolSet<Fake>| {
        let mut idle: Vec<_> = set
            .stats()
            .into_iter()
            .filter(|(_, stats)| stats.idle > 0)
            .map(|(key, _)| key.upstream.to_string())
            .collect();
        idle.sort();
        idle
    };
    assert_eq!(idle(&set), ["up0", "up1", "up2", "up3"]);
    let fresh = set.get(&key("new", OTHER)).await.expect("a connection");
    assert_eq!(idle(&set), ["up1", "up2", "up3"]);
    drop(set.get(&keys[1]).await.expect("a connection"));
    let also_fresh = set.get(&key("newer", OTHER)).await.expect("a connection");
    assert_eq!(idle(&set), ["up1", "up3"], "up1 was used since");
    assert_eq!((server.open(), server.most()), (4, 4));
    drop((fresh, also_fresh));
}

/// All are lent; the next one that comes back makes room for another key, and
/// no more than that.
#[tokio::test(start_paused = true)]
async fn what_comes_back_makes_room_for_who_waits() {
    let (set, server) = set(&ten());
    let mut held = take(&set, &key("a", OTHER), 4).await;
    let waiter = tokio::spawn({
        let set = set.clone();
        async move { set.get(&key("b", OTHER)).await }
    });
    tokio::time::sleep(ms(100)).await;
    held.drain(..2);
    let lease = waiter.await.expect("no panic").expect("served");
    let stats = set.pool(&key("a", OTHER)).expect("a pool").stats();
    assert_eq!((stats.idle, stats.in_use, stats.closes.surplus), (1, 2, 1));
    assert_eq!((server.open(), server.most()), (4, 4));
    drop(lease);
}

#[tokio::test(start_paused = true)]
async fn prewarming_opens_the_minimum_of_the_class() {
    let mut config = ten();
    config
        .classes
        .get_mut("cursor")
        .expect("a class")
        .min_connections = 3;
    let (set, server) = set(&config);
    set.prewarm(&key("a", "cursor")).expect("room");
    settle().await;
    assert_eq!((server.open(), server.connects_begun()), (3, 3));
    let lease = set.get(&key("a", "cursor")).await.expect("a connection");
    assert_eq!(server.connects_begun(), 3);
    drop(lease);
}

/// Whatever is lent elsewhere, no pool of a closed set lends any more, and no
/// new key is served.
#[tokio::test(start_paused = true)]
async fn a_closed_set_serves_nobody() {
    let (set, server) = set(&ten());
    let held: Vec<_> = [
        set.get(&key("a", OTHER)).await.expect("a connection"),
        set.get(&key("b", OTHER)).await.expect("a connection"),
    ]
    .into();
    let closing = tokio::spawn({
        let set = set.clone();
        async move { set.close().await }
    });
    settle().await;
    for upstream in ["a", "b", "new"] {
        let got = set.get(&key(upstream, OTHER)).await.map(drop);
        assert!(matches!(got, Err(Error::Closed)), "{upstream}: {got:?}");
    }
    assert!(!closing.is_finished(), "two are lent");
    drop(held);
    closing.await.expect("no panic");
    assert_eq!((server.open(), server.connects_begun()), (0, 2));
}

/// A pool that somebody holds is not unused: there is one pool for each key.
#[tokio::test(start_paused = true)]
async fn a_pool_that_is_held_stays() {
    let mut config = ten();
    config.max_keys = 1;
    let (set, _) = set(&config);
    let kept = set.pool(&key("kept", OTHER)).expect("room");
    for number in 0..200 {
        drop(set.pool(&key(&format!("up{number}"), OTHER)));
        settle().await;
    }
    drop(kept.get().await.expect("a connection"));
    let lease = set.get(&key("kept", OTHER)).await.expect("a connection");
    assert_eq!(lease.reuses(), 1, "it is the same pool");
}

#[tokio::test(start_paused = true)]
async fn keys_are_bounded() {
    let mut config = ten();
    config.max_keys = 16;
    let (set, server) = set(&config);
    for number in 0..1_000 {
        drop(
            set.get(&key(&format!("up{number}"), OTHER))
                .await
                .expect("a connection"),
        );
        settle().await;
    }
    assert!(set.stats().len() <= 16);
    assert!(
        server.open() <= 4 && server.most() <= 4,
        "{} {}",
        server.open(),
        server.most()
    );
    let mut held = Vec::new();
    let refused = loop {
        match set.pool(&key(&format!("held{}", held.len()), "cursor")) {
            Ok(pool) => held.push(pool.get_owned().await),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::Overloaded { .. }) && held.len() <= 16);
}

/// Tasks of all classes and many keys, with patience and without: the cap
/// holds at every moment, and everything is back in the end.
#[tokio::test(start_paused = true)]
async fn the_cap_holds_under_a_storm() {
    let (set, server) = set(&ten());
    let mut tasks = JoinSet::new();
    for task in 0..60usize {
        let set = set.clone();
        tasks.spawn(async move {
            let class = ["cursor", "vscode", "flood"][task % 3];
            let mut served = 0;
            for turn in 0..50usize {
                let key = key(&format!("up{}", (task + turn) % 7), class);
                let patience = ms(((task * 7 + turn * 13) % 40) as u64);
                let got = tokio::time::timeout(patience, set.get(&key)).await;
                if let Ok(Ok(lease)) = got {
                    served += 1;
                    tokio::time::sleep(ms(((task + turn) % 5) as u64)).await;
                    drop(lease);
                }
            }
            served
        });
    }
    let served = tasks.join_all().await;
    assert!(served.iter().all(|served| *served > 0), "{served:?}");
    tokio::time::sleep(secs(60)).await;
    assert!(server.most() <= 10, "{}", server.most());
    assert_eq!(
        set.used().iter().map(|(_, used)| used).sum::<usize>(),
        server.open()
    );
    let cursor = take(&set, &key("z", "cursor"), 4).await;
    let vscode = take(&set, &key("z", "vscode"), 2).await;
    let flood = take(&set, &key("z", "flood"), 4).await;
    assert_eq!(server.open(), 10);
    drop((cursor, vscode, flood));
    set.close().await;
    settle().await;
    assert_eq!(server.open(), 0);
}

#[test]
fn a_senseless_set_is_named() {
    type Change = fn(&mut SetConfig);
    let cases: [(&str, Change); 6] = [
        ("max_connections", |c| c.max_connections = 0),
        ("max_keys", |c| c.max_keys = 0),
        ("classes.guaranteed", |c| c.max_connections = 40),
        ("classes.guaranteed", |c| {
            c.classes.remove(OTHER);
            c.max_connections = 40;
        }),
        ("classes.max_connections", |c| {
            c.classes.get_mut("cursor").expect("there").max_connections = Some(0);
        }),
        ("classes.min_connections", |c| {
            c.classes.get_mut("cursor").expect("there").min_connections = 101;
        }),
    ];
    for (field, change) in cases {
        let mut config = SetConfig::default();
        change(&mut config);
        assert_eq!(config.validate().expect_err(field).field, field);
    }
    SetConfig::default()
        .validate()
        .expect("the default makes sense");
}
