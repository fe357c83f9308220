//! `mcp-pool` beside its peers, each with 8 connections and a wait of 30 s.
//!
//! ```text
//! cargo bench -p benches --features peers --bench pool     # every figure
//! cargo bench -p benches --bench pool                      # without the peers
//! ```
//!
//! A connection is a number, so that what is timed is the pool: a checkout and
//! return by a lone task, and 64 tasks on 8 connections that hold theirs over
//! one pass of the scheduler or for a millisecond and ask again at once, which
//! is the worst case for whoever waits. Then a cold start of 64 tasks with
//! connects of 5 ms, and a storm of waits that are cancelled.
#![expect(clippy::print_stdout, reason = "a bench reports on stdout")]

#[path = "pool/floor.rs"]
mod floor;
#[path = "pool/loads.rs"]
mod loads;
#[cfg(feature = "peers")]
#[path = "pool/peers.rs"]
mod peers;

use loads::{Conn, Gauge, POOL_SIZE, Rival, print_head, run};
use mcp_pool::{Config, Lease, Manager, Pool};
use std::{convert::Infallible, time::Duration};

fn main() {
    print_head();
    for _ in 0..rounds() {
        run("mcp-pool", Ours::new);
        run("floor: one mutex, handed over", floor::Floor::new);
        #[cfg(feature = "peers")]
        peers::run_all();
    }
    println!(
        "targets: lone <= 60 ns; yield >= 3000000/s, p99 <= 25 µs, most/fewest <= 1.05 in both \
         holds; reuse >= 99 %; never more than 8 open, none stuck"
    );
}

/// `-- --rounds N` repeats all, so that a noisy moment shows.
fn rounds() -> usize {
    let mut args = std::env::args().skip_while(|arg| arg != "--rounds");
    args.nth(1).and_then(|n| n.parse().ok()).unwrap_or(1)
}

struct Connector {
    gauge: Gauge,
    takes: Duration,
}

impl Manager for Connector {
    type Connection = Conn;
    type Error = Infallible;

    async fn connect(&self) -> Result<Conn, Infallible> {
        Ok(self.gauge.connect(self.takes).await)
    }
}

#[derive(Clone)]
struct Ours(Pool<Connector>);

impl Ours {
    fn new(gauge: Gauge, takes: Duration) -> Self {
        let config = Config {
            max_connections: POOL_SIZE,
            max_connecting: POOL_SIZE,
            ..Config::default()
        };
        let pool = Pool::new(&config, Connector { gauge, takes });
        Self(pool.expect("a valid configuration"))
    }
}

impl Rival for Ours {
    type Held<'a> = Lease<'a, Connector>;

    async fn get(&self) -> Self::Held<'_> {
        self.0.get().await.expect("a connection")
    }

    fn reuse(&self) -> Option<f64> {
        Some(self.0.stats().reuse_ratio())
    }
}
