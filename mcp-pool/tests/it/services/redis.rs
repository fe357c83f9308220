//! Redis: restart, killed clients, refusal, silence.

use super::{Server, folder, free_port, program, signal};
use crate::support::{ms, secs};
use mcp_pool::{Config, Error, Lease, Pool, managers::redis::Redis};
use redis::{AsyncCommands, cmd};
use std::process::Command;

fn start() -> Option<Server> {
    let redis = program("redis-server")?;
    let (dir, port) = (folder(), free_port());
    let path = dir.path().to_owned();
    let command = move || {
        let mut command = Command::new(&redis);
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
        command
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(&path);
        command
    };
    Some(Server::start(port, dir, command))
}

fn pool(port: u16) -> Pool<Redis> {
    let manager = Redis::new(format!("redis://127.0.0.1:{port}/")).expect("an address");
    let config = Config {
        max_connections: 10,
        check_timeout: ms(300),
        connect_backoff_max: ms(200),
        ..Config::default()
    };
    Pool::new(&config, manager).expect("a valid configuration")
}

async fn client_id(lease: &mut Lease<'_, Redis>) -> i64 {
    cmd("CLIENT")
        .arg("ID")
        .query_async(&mut ***lease)
        .await
        .expect("an answer")
}

/// Of 200 borrowers after as many kills, at least 99 % see a connection that
/// works.
#[tokio::test]
async fn a_killed_client_is_replaced_before_it_is_lent() {
    const TRIALS: usize = 200;
    let Some(server) = start() else { return };
    let pool = pool(server.port);
    let mut admin = pool.get().await.expect("a connection");
    let mut seen_broken = 0;
    for _ in 0..TRIALS {
        let mut lease = pool.get().await.expect("a connection");
        let victim = client_id(&mut lease).await;
        drop(lease);
        let kill = || cmd("CLIENT").arg("KILL").arg("ID").arg(victim).to_owned();
        let killed: i64 = kill().query_async(&mut **admin).await.expect("an answer");
        assert_eq!(killed, 1);
        // The second answer comes after the end of the first connection was
        // sent, and both come through the same machine.
        let again: i64 = kill().query_async(&mut **admin).await.expect("an answer");
        assert_eq!(again, 0);
        tokio::task::yield_now().await;
        let mut lease = pool.get().await.expect("a connection");
        let answer: Result<String, _> = cmd("PING").query_async(&mut **lease).await;
        seen_broken += usize::from(answer.is_err());
    }
    assert!(seen_broken * 100 <= TRIALS, "{seen_broken} of {TRIALS}");
}

#[tokio::test]
async fn a_restart_is_survived() {
    let Some(mut server) = start() else { return };
    let pool = pool(server.port);
    let mut lease = pool.get().await.expect("a connection");
    let _: () = lease.set("key", 1).await.expect("stored");
    drop(lease);
    server.stop();
    let error = pool
        .get_timeout(ms(500))
        .await
        .map(drop)
        .expect_err("it is down");
    assert!(
        matches!(&error, Error::Timeout { cause: Some(_), .. }),
        "{error}"
    );
    server.start_again();
    let mut lease = pool.get().await.expect("it is up again");
    let value: Option<i64> = lease.get("key").await.expect("an answer");
    assert_eq!(value, None, "nothing was saved");
}

#[tokio::test]
async fn a_refusal_is_told_with_its_cause() {
    let pool = pool(free_port());
    let error = pool
        .get_timeout(ms(300))
        .await
        .map(drop)
        .expect_err("nobody there");
    assert!(
        error.manager_error::<redis::RedisError>().is_some(),
        "{error}"
    );
}

/// The server hangs with an idle connection open: the check finds it, and who
/// waits is served when it goes on.
#[tokio::test]
async fn a_server_that_hangs_is_found_by_the_check() {
    let Some(server) = start() else { return };
    let pool = pool(server.port);
    drop(pool.get().await.expect("a connection"));
    let process = server.child.as_ref().expect("it runs").id();
    signal("STOP", process);
    let report = pool.health_check().await;
    assert_eq!((report.passed, report.removed), (0, 1));
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move {
            let mut lease = pool.get_timeout(secs(20)).await?;
            let answer: Result<String, _> = cmd("PING").query_async(&mut **lease).await;
            Ok::<_, Error>(answer.is_ok())
        }
    });
    tokio::time::sleep(ms(200)).await;
    signal("CONT", process);
    assert!(waiter.await.expect("no panic").expect("served"));
}

#[tokio::test]
async fn tls_addresses_are_refused_rather_than_spoken_plainly() {
    assert!(Redis::new("rediss://127.0.0.1/").is_err());
}

/// Longer than what the client library waits for of its own accord.
#[tokio::test]
async fn a_blocking_command_may_block() {
    let Some(server) = start() else { return };
    let pool = pool(server.port);
    let mut lease = pool.get().await.expect("a connection");
    let popped: Option<(String, String)> = cmd("BLPOP")
        .arg("empty")
        .arg(1)
        .query_async(&mut **lease)
        .await
        .expect("an answer, after a second");
    assert_eq!(popped, None);
}
