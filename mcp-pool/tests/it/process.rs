//! Child processes as connections.

use crate::support::{config, secs};
use mcp_pool::{Error, Pool, managers::process::Process};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt},
    process::Command,
};

/// What goes in comes out.
async fn echo(lease: &mut mcp_pool::managers::process::Connection, line: &str) -> String {
    lease
        .stdin
        .write_all(line.as_bytes())
        .await
        .expect("it reads");
    let mut answer = String::new();
    lease
        .stdout
        .read_line(&mut answer)
        .await
        .expect("it writes");
    answer
}

#[tokio::test]
async fn a_child_is_used_again_replaced_when_it_ends_and_ended_at_last() {
    let pool = Pool::new(&config(1), Process::new(|| Command::new("cat"))).expect("valid");
    let mut lease = pool.get().await.expect("a child");
    let first = lease.id_of_child();
    assert_eq!(echo(&mut lease, "one\n").await, "one\n");
    drop(lease);
    let mut lease = pool.get().await.expect("a child");
    assert_eq!(
        (lease.id_of_child(), echo(&mut lease, "two\n").await),
        (first, "two\n".to_owned())
    );
    drop(lease);

    let killed = Command::new("kill")
        .args(["-9", &first.to_string()])
        .status()
        .await;
    assert!(killed.expect("kill is there").success());
    // Until the kernel has told us.
    while pool.stats().closes.broken == 0 {
        drop(pool.get().await.expect("a child"));
    }
    let mut lease = pool.get().await.expect("a child");
    let second = lease.id_of_child();
    assert_ne!(second, first);
    assert_eq!(echo(&mut lease, "three\n").await, "three\n");
    drop(lease);
    tokio::time::timeout(secs(10), pool.close())
        .await
        .expect("cat ends with its input");
    let gone = Command::new("kill")
        .args(["-0", &second.to_string()])
        .status()
        .await;
    assert!(!gone.expect("kill is there").success());
}

trait IdOfChild {
    fn id_of_child(&self) -> u32;
}

impl IdOfChild for mcp_pool::managers::process::Connection {
    fn id_of_child(&self) -> u32 {
        self.id().expect("it runs")
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told_at_once() {
    let manager = Process::new(|| Command::new("/no/such/program"));
    let pool = Pool::new(&config(1), manager).expect("valid");
    let error = pool.get().await.map(drop).expect_err("there is none");
    assert!(matches!(error, Error::Connect { .. }), "{error}");
}
