//! What an observer hears, and what the counters say.

use crate::support::{Fake, Outcome, config, ms, pool, secs, settle};
use mcp_pool::{CloseReason, Config, Observer, Pool};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<String>>);

impl Heard {
    fn note(&self, what: String) {
        self.0.lock().expect("no panic").push(what);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("no panic"))
    }
}

impl Observer for Heard {
    fn on_opened(&self, took: Duration) {
        self.note(format!("opened in {took:?}"));
    }

    fn on_connect_failed(&self, cause: &str) {
        self.note(format!("failed: {cause}"));
    }

    fn on_closed(&self, reason: CloseReason, uses: u64) {
        self.note(format!("closed: {reason:?} after {uses}"));
    }

    fn on_timeout(&self, limit: Duration) {
        self.note(format!("timeout after {limit:?}"));
    }

    fn on_lent_long(&self, lent: Duration) {
        self.note(format!("lent for {lent:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_hears_all_that_is_rare() {
    let (heard, server) = (Arc::new(Heard::default()), Arc::default());
    let config = Config {
        lent_warn: Some(secs(10)),
        ..config(1)
    };
    let observer = Arc::clone(&heard);
    let pool = Pool::<Fake>::builder(&config).observer(observer);
    let pool = pool.build(Fake(Arc::clone(&server))).expect("valid");
    server.connects([Outcome::Slow(7), Outcome::Err]);
    let mut lease = pool.get().await.expect("a connection");
    assert_eq!(heard.take(), ["opened in 7ms"]);
    assert!(pool.get_timeout(ms(50)).await.is_err());
    assert_eq!(heard.take(), ["timeout after 50ms"]);
    tokio::time::sleep(secs(60)).await;
    assert_eq!(heard.take(), ["lent for 10s"], "once");
    lease.retire();
    drop(lease);
    settle().await;
    assert_eq!(heard.take(), ["closed: Broken after 1"]);
    drop(pool.get().await.expect("a connection"));
    assert_eq!(heard.take(), ["failed: refused today", "opened in 0ns"]);
    assert_eq!(pool.stats().lent_long, 1);
}

/// Each lease that is out for long is reported, even if all else is quiet.
#[tokio::test(start_paused = true)]
async fn a_leak_is_reported_at_its_time() {
    let (pool, _) = pool(&Config {
        lent_warn: Some(secs(10)),
        ..config(3)
    });
    let first = pool.get().await.expect("a connection");
    tokio::time::sleep(secs(4)).await;
    let second = pool.get().await.expect("a connection");
    let third = pool.get().await.expect("a connection");
    tokio::time::sleep(ms(6_100)).await;
    assert_eq!(pool.stats().lent_long, 1);
    drop(third);
    tokio::time::sleep(ms(4_100)).await;
    assert_eq!(pool.stats().lent_long, 2);
    drop((first, second));
}

#[tokio::test(start_paused = true)]
async fn the_counters_add_up() {
    let (pool, _) = pool(&config(1));
    assert!((pool.stats().reuse_ratio() - 0.0).abs() < f64::EPSILON);
    let lease = pool.get().await.expect("a connection");
    assert!((pool.stats().utilization() - 1.0).abs() < f64::EPSILON);
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { drop(pool.get().await.expect("a connection")) }
    });
    tokio::time::sleep(ms(100)).await;
    drop(lease);
    waiter.await.expect("served");
    let stats = pool.stats();
    assert_eq!((stats.checkouts, stats.reused, stats.opened), (2, 1, 1));
    // The first caller waited for the connect.
    assert_eq!(stats.waits.count(), 2);
    assert_eq!(stats.waits.sum(), ms(100));
    assert!(stats.waits.percentile(99) >= ms(100) && stats.waits.percentile(99) <= ms(200));
    assert!(
        serde_json::to_string(&stats)
            .expect("JSON")
            .contains("\"checkouts\":2")
    );
}
