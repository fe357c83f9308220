//! Three server processes on one database and one Redis, asked over MCP while Redis is hung, killed
//! and brought back with old content. The checker of `mcp-cache` is the judge.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::report;
use crate::{
    postgres::processes::Processes,
    support::{
        http::Http,
        mcp::{Client, Era},
        postgres::Postgres,
        redis::Redis,
        until,
    },
};

const OPERATIONS: u64 = 250;
/// How long each trouble lasts, and how long the time between two.
const SPELL: Duration = Duration::from_millis(400);

async fn readiness(processes: &Processes, at: usize) -> (u16, Value) {
    let mut connection = Http::connect(processes.all[at].address).await;
    let response = connection.get("/readyz", &[]).await;
    let parts = serde_json::from_str(&response.body).unwrap();
    (response.status(), parts)
}

async fn trouble(redis: &mut Redis, spells: &mut u32) {
    loop {
        sleep(SPELL).await;
        *spells += 1;
        match *spells % 3 {
            0 => {
                redis.hang();
                sleep(SPELL).await;
                redis.go_on();
            }
            1 => redis.save(),
            _ => {
                redis.kill();
                sleep(SPELL).await;
                redis.start_again().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_stale_whatever_becomes_of_redis() {
    let (Some(database), Some(mut redis)) = (Postgres::start().await, Redis::start().await) else {
        return;
    };
    // So little room in memory that most reads ask Redis.
    let settings = format!(
        "memory:\n  store: postgres\n  postgres:\n    dsn: '{}'\n  cache:\n    entries_max: 8\n    \
         redis:\n      enabled: true\n      endpoints: ['127.0.0.1:{}']\n      pause: 100ms\n",
        database.dsn(),
        redis.port
    );
    let processes = Processes::begin(&settings).await;
    let (status, parts) = readiness(&processes, 0).await;
    assert_eq!(status, 200, "{parts}");
    assert_eq!(parts["parts"]["shared_cache"]["status"], "ok", "{parts}");
    let (began, mut spells) = (Instant::now(), 0);
    let (operations, cached, reads) = tokio::select! {
        checked = processes.check(OPERATIONS) => checked,
        () = trouble(&mut redis, &mut spells) => unreachable!("it never ends"),
    };
    report(&format!(
        "3 processes on one Redis, {operations} operations in {:?} and {spells} troubles: 0 failed, 0 \
         stale reads; {cached} of {reads} reads from a cache",
        began.elapsed()
    ));
    assert!(cached > 0 && spells > 0);

    // Gone for good: the server is ready, and says what is missing.
    redis.kill();
    let mut client = Client::http(Era::Modern, processes.all[1].address).await;
    client
        .ok("memory_add", json!({"content": "without it"}))
        .await;
    let (status, parts) = readiness(&processes, 1).await;
    assert_eq!(
        (status, &parts["status"]),
        (200, &json!("degraded")),
        "{parts}"
    );
    assert_eq!(
        parts["parts"]["shared_cache"]["status"], "degraded",
        "{parts}"
    );
    redis.start_again().await;
    until("Redis to be used again", async || {
        let (_, parts) = readiness(&processes, 1).await;
        (parts["parts"]["shared_cache"]["status"] == "ok").then_some(())
    })
    .await;
}
