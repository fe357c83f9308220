//! The history of three processes that share a Redis which is killed, stopped,
//! restored, flushed, damaged and cut off at random.
//!
//! `MCP_CACHE_REMOTE_HISTORY_SECS=600` makes it that long (`.ci/run` a minute), and
//! `MCP_CACHE_REMOTE_HISTORY_SEED=7` repeats the faults and the operations of a
//! run (not their interleaving, which is the machine's).
//!
//! The verdict is about real time: all processes read one monotonic clock. A read
//! must answer with at least
//! - the version of every invalidation that had returned in its own process,
//! - that of every invalidation that had been settled one lease before, and
//! - if it is strict, that of every one that had been settled.
//!
//! It is seen to find what it is for: it fails within seconds without the look at
//! what is pending, and if a new subscription does not empty the first tier. What
//! is guarded twice it does not see; `faults` and `rules` have a test for each.

mod faults;
mod log;
mod process;
mod source;

use super::{proxy::Proxy, server};
use faults::Faults;
use log::{Verdict, judge, read_log};
use process::LEASE;
use std::{
    process::{Command, Stdio},
    time::Duration,
};

const PROCESSES: usize = 3;

fn number(name: &str) -> Option<u64> {
    let asked = std::env::var(name).ok()?;
    Some(asked.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_and_a_redis_in_trouble() {
    let Some(server) = server().await else { return };
    let seconds = number("MCP_CACHE_REMOTE_HISTORY_SECS").unwrap_or(5);
    let seed = number("MCP_CACHE_REMOTE_HISTORY_SEED").unwrap_or_else(|| log::now() % 1_000_000);
    println!("MCP_CACHE_REMOTE_HISTORY_SEED={seed}");
    let source = source::serve().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (mut proxies, mut processes) = (Vec::new(), Vec::new());
    for n in 0..PROCESSES {
        let proxy = Proxy::start(server.port()).await;
        let log = folder.path().join(format!("{n}.log"));
        let child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "redis::history::process::main", "--nocapture"])
            .env(process::ASKED, "1")
            .env("HISTORY_REDIS", proxy.url())
            .env("HISTORY_SOURCE", source.port().to_string())
            .env("HISTORY_SEED", (seed * 31 + n as u64).to_string())
            .env("HISTORY_SECS", seconds.to_string())
            .env("HISTORY_LOG", &log)
            .stdout(Stdio::inherit())
            .spawn();
        processes.push((child.expect("it starts"), log));
        proxies.push(proxy);
    }
    let mut faults = Faults::new(server, seed);
    faults.inject(&proxies, Duration::from_secs(seconds)).await;
    let mut logs = Vec::new();
    for (mut child, log) in processes {
        let ended = tokio::task::spawn_blocking(move || child.wait()).await;
        let ended = ended.expect("no panic").expect("it ran");
        assert!(ended.success(), "no call fails; seed {seed}");
        logs.push(read_log(&log));
    }
    let verdict = judge(&logs, LEASE);
    println!("{verdict:?}; {faults}");
    let Verdict {
        stale,
        reads,
        settled,
        from_remote,
        ..
    } = verdict;
    assert_eq!(stale, None, "seed {seed}; {faults}");
    assert!(reads > 100 * seconds && settled > 10 * seconds && from_remote > 10);
}
