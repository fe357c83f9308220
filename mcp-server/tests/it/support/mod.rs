//! What the tests share: real servers, and clients that can also misbehave.

pub(crate) mod gate;
pub(crate) mod http;
pub(crate) mod mcp;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod raw;
pub(crate) mod redis;
pub(crate) mod server;
pub(crate) mod stdio;
pub(crate) mod upstream;

use std::{path::Path, time::Duration};

use rusqlite::Connection;

/// Far longer than anything here takes; a test that hangs fails by it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The result of `future`, which must come.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: nothing within {PATIENCE:?}"),
    }
}

/// Asks until there is an answer: for conditions that raise no event a test could wait for.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    within(what, async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}

/// A connection of somebody else to the database in `dir`.
pub(crate) fn database(dir: &Path) -> Connection {
    Connection::open(dir.join("memory.db")).expect("SQLite opens the file")
}

/// Holds the write lock of the database in `dir` until dropped, so that writes wait.
pub(crate) struct WriteLock(Connection);

impl WriteLock {
    pub(crate) fn take(dir: &Path) -> Self {
        let connection = database(dir);
        connection
            .busy_timeout(PATIENCE)
            .and_then(|()| connection.execute_batch("BEGIN IMMEDIATE"))
            .expect("the lock is free");
        Self(connection)
    }
}

impl Drop for WriteLock {
    fn drop(&mut self) {
        self.0.execute_batch("ROLLBACK").expect("the lock was held");
    }
}
