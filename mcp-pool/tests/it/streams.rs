//! Connections that carry many at a time.

use crate::support::{Fake, Outcome, Server, assert_at_rest, config, ms, pool, settle};
use mcp_pool::{Config, Error, Streams};
use std::{num::NonZero, sync::Arc};
use tokio::task::JoinSet;

fn streams(config: &Config, max_in_flight: usize) -> (Streams<Fake>, Arc<Server>) {
    let (pool, server) = pool(config);
    let max_in_flight = NonZero::new(max_in_flight).expect("not zero");
    (Streams::new(pool, max_in_flight), server)
}

#[tokio::test(start_paused = true)]
async fn a_connection_carries_up_to_its_limit() {
    let (streams, server) = streams(&config(3), 10);
    server.all_connects(Outcome::Slow(5));
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let streams = streams.clone();
        tasks.spawn(async move {
            let stream = streams.get().await.expect("room");
            tokio::time::sleep(ms(10)).await;
            drop(stream);
        });
    }
    tokio::time::sleep(ms(8)).await;
    assert_eq!(streams.in_flight(), (30, 3));
    tasks.join_all().await;
    assert_eq!((streams.in_flight(), server.connects_begun()), ((0, 0), 3));
    settle().await;
    assert_at_rest(streams.pool(), &server);
}

/// Ten at a time need one connection, and go on needing one.
#[tokio::test(start_paused = true)]
async fn no_more_connections_are_made_than_are_needed() {
    let (streams, server) = streams(&config(5), 10);
    for _ in 0..20 {
        let mut held = Vec::new();
        for _ in 0..10 {
            held.push(streams.get().await.expect("room"));
        }
        assert_eq!(streams.in_flight(), (10, 1));
    }
    assert_eq!(server.connects_begun(), 1);
    assert_at_rest(streams.pool(), &server);
}

/// A slow connect is under way; room on another connection comes first.
#[tokio::test(start_paused = true)]
async fn a_waiter_takes_whichever_is_first() {
    let (streams, server) = streams(&config(2), 1);
    let held = streams.get().await.expect("room");
    server.connects([Outcome::Slow(1_000)]);
    let start = tokio::time::Instant::now();
    let frees = async {
        tokio::time::sleep(ms(10)).await;
        drop(held);
    };
    let (stream, ()) = tokio::join!(streams.get(), frees);
    assert_eq!(start.elapsed(), ms(10));
    drop(stream);
    tokio::time::sleep(ms(2_000)).await;
    assert_at_rest(streams.pool(), &server);
}

/// One that is retired takes nobody new, serves those it has, and goes.
#[tokio::test(start_paused = true)]
async fn a_retired_connection_serves_those_it_has() {
    let (streams, server) = streams(&config(2), 10);
    let (mut first, second) = (streams.get().await.expect("room"), streams.get().await);
    let second = second.expect("room");
    let id = first.id();
    assert_eq!(second.id(), id);
    first.retire();
    drop(first);
    let third = streams.get().await.expect("room");
    assert_ne!(third.id(), id);
    assert_eq!(server.open(), 2);
    drop(second);
    settle().await;
    assert_eq!(
        (server.open(), streams.pool().stats().closes.broken),
        (1, 1)
    );
    drop(third);
    assert_at_rest(streams.pool(), &server);
}

#[tokio::test(start_paused = true)]
async fn a_caller_may_leave_at_any_moment() {
    for outcome in [Outcome::Ok, Outcome::Err, Outcome::Slow(20), Outcome::Never] {
        for after_ms in [0, 1, 20, 40, 150] {
            let config = Config {
                connect_timeout: ms(100),
                ..config(2)
            };
            let (streams, server) = streams(&config, 2);
            server.connects([outcome; 2]);
            let mut tasks = JoinSet::new();
            for _ in 0..10 {
                let streams = streams.clone();
                tasks.spawn(tokio::time::timeout(ms(after_ms), async move {
                    let stream = streams.get().await;
                    tokio::time::sleep(ms(15)).await;
                    drop(stream);
                }));
            }
            tasks.join_all().await;
            server.heal();
            let mut held = Vec::new();
            for _ in 0..4 {
                held.push(streams.get().await.expect("room"));
            }
            assert_eq!(streams.in_flight(), (4, 2), "{outcome:?} {after_ms}");
            drop(held);
            tokio::time::sleep(ms(1_000)).await;
            assert_at_rest(streams.pool(), &server);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_and_a_close_are_told() {
    let config = Config {
        acquire_timeout: ms(100),
        ..config(1)
    };
    let (streams, server) = streams(&config, 1);
    let held = streams.get().await.expect("room");
    let start = tokio::time::Instant::now();
    assert!(matches!(
        streams.get().await,
        Err(Error::Timeout { in_use: 1, .. })
    ));
    assert_eq!(start.elapsed(), ms(100));
    server.all_connects(Outcome::Fatal);
    let waiter = tokio::spawn({
        let streams = streams.clone();
        async move { streams.get().await.map(drop) }
    });
    settle().await;
    let closing = tokio::spawn({
        let pool = streams.pool().clone();
        async move { pool.close().await }
    });
    assert!(matches!(
        waiter.await.expect("no panic"),
        Err(Error::Closed)
    ));
    drop(held);
    closing.await.expect("closed");
    assert_eq!(server.open(), 0);
}
