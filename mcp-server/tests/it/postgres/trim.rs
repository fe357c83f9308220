//! The log of changes is shortened as fast as it grows.

use std::time::Duration;

use mcp_server::{
    memory::{
        postgres::{PostgresConfig, PostgresStore},
        search::IndexConfig,
    },
    ports::MemoryStore,
};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    contract::call,
    support::{postgres::Postgres, process::folder, until},
};

/// More than one statement removes, and than one sweep a minute ever did.
const CHANGES: i64 = 35_000;
const KEPT_MAX: u32 = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_shortened_whatever_was_written_and_whoever_writes() {
    let Some(server) = Postgres::start().await else {
        return;
    };
    let dir = folder();
    let config = PostgresConfig {
        index: IndexConfig {
            commit_len: 100.try_into().unwrap(),
            lag_max: KEPT_MAX.try_into().unwrap(),
            ..IndexConfig::default()
        },
        ..server.config()
    };
    let store = PostgresStore::open(dir.path(), &config).await.unwrap();
    let client = server.client().await;
    let many = format!(
        "INSERT INTO mcp_server.memory (id, owner, namespace, content, tags, metadata, version,
                                        created_at, updated_at)
         SELECT 'm' || n, 'somebody', 'default', 'x', '[]', '{{}}', 1, 0, 0
           FROM generate_series(1, {CHANGES}) n"
    );
    client.batch_execute(&many).await.unwrap();
    // Whoever writes all the time holds the head of the log, which a sweep of rows must wait for.
    let writer = client.batch_execute("BEGIN; SELECT FROM mcp_server.head FOR UPDATE");
    writer.await.unwrap();
    let call = call();
    let other = server.client().await;
    let len = async || {
        let counted = "SELECT count(*) FROM mcp_server.change";
        let row = other.query_one(counted, &[]).await.unwrap();
        row.get::<_, i64>(0)
    };
    let left = until("the log to be short", async || {
        // It has to wait and is given up; it asks for a sweep all the same.
        let mut late = call.clone();
        late.deadline = Some(Instant::now() + Duration::from_millis(50));
        let delete = serde_json::from_value(json!({"id": "m1"})).unwrap();
        let _ = store.delete(&late, delete).await;
        let len = len().await;
        (len <= i64::from(2 * KEPT_MAX)).then_some(len)
    })
    .await;
    assert!(left >= i64::from(KEPT_MAX), "the index still needs them");
    store.close().await;
}
