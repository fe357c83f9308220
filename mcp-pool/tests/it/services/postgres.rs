//! PostgreSQL: restart, killed backends, refusal, silence, statements, replicas.

use super::{Server, as_user, folder, free_port, is_root, program, run, signal, wait_until};
use crate::support::{ms, secs};
use mcp_pool::{
    Config, Error, Lease, Pool,
    managers::postgres::{ConnectError, Postgres},
};
use std::{
    net::TcpListener,
    num::NonZero,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tokio_postgres::NoTls;

pub(super) type Manager = Postgres<NoTls>;

pub(super) fn start() -> Option<Server> {
    let (initdb, postgres) = (program("initdb")?, program("postgres")?);
    let dir = folder();
    let data = dir.path().join("data");
    if is_root() {
        run(Command::new("chown").arg("postgres:").arg(dir.path())).expect("a user postgres");
    }
    let mut init = as_user(&initdb);
    init.args(["--auth=trust", "--username=postgres", "--no-sync", "-D"])
        .arg(&data);
    run(&mut init).expect("a database");
    let port = free_port();
    Some(Server::start(port, dir, move || {
        postgres_command(&postgres, &data, port)
    }))
}

pub(super) fn postgres_command(postgres: &Path, data: &Path, port: u16) -> Command {
    let mut command = as_user(postgres);
    command
        .arg("-D")
        .arg(data)
        .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k", ""]);
    command.args([
        "-c",
        "fsync=off",
        "-c",
        "max_connections=40",
        "-c",
        "max_wal_senders=4",
    ]);
    command
}

fn manager(port: u16) -> Manager {
    let mut config = tokio_postgres::Config::new();
    config
        .host("127.0.0.1")
        .port(port)
        .user("postgres")
        .dbname("postgres");
    Postgres::new(config, NoTls)
}

pub(super) fn config() -> Config {
    Config {
        max_connections: 4,
        connect_backoff_max: ms(200),
        ..Config::default()
    }
}

/// A pool whose server answers: it accepts a little before it is ready.
pub(super) async fn pool(port: u16, config: &Config) -> Pool<Manager> {
    let pool = Pool::new(config, manager(port)).expect("a valid configuration");
    let lease = pool.get().await.expect("a connection");
    drop(lease);
    pool
}

async fn pid(lease: &Lease<'_, Manager>) -> i32 {
    let row = lease
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .expect("an answer");
    row.get(0)
}

/// Ends the server's side of a connection, and waits until its process is gone:
/// a moment before, a server that is about to end may still say nothing.
async fn kill_backend(admin: &Lease<'_, Manager>, pid: i32) {
    let kill = "SELECT pg_terminate_backend($1, 10000)";
    let row = admin.query_one(kill, &[&pid]).await.expect("it is told");
    assert!(row.get::<_, bool>(0), "it ends");
    let process = PathBuf::from(format!("/proc/{pid}"));
    wait_until(|| !process.exists());
}

/// Of 200 borrowers after as many kills, at least 99 % see a connection that
/// works.
#[tokio::test]
async fn a_killed_backend_is_replaced_before_it_is_lent() {
    const TRIALS: usize = 200;
    let Some(server) = start() else { return };
    let pool = pool(server.port, &config()).await;
    let admin = pool.get().await.expect("a connection");
    let mut seen_broken = 0;
    for _ in 0..TRIALS {
        let lease = pool.get().await.expect("a connection");
        let victim = pid(&lease).await;
        drop(lease);
        kill_backend(&admin, victim).await;
        let lease = pool.get().await.expect("a connection");
        let answer = lease.query_one("SELECT 1", &[]).await;
        seen_broken += usize::from(answer.is_err());
    }
    assert!(seen_broken * 100 <= TRIALS, "{seen_broken} of {TRIALS}");
    assert!(pool.stats().closes.broken >= TRIALS as u64 * 99 / 100);
}

#[tokio::test]
async fn a_restart_is_survived() {
    let Some(mut server) = start() else { return };
    let pool = pool(server.port, &config()).await;
    let mut leases = Vec::new();
    for _ in 0..4 {
        leases.push(pool.get().await.expect("a connection"));
    }
    drop(leases);
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
    assert!(error.manager_error::<ConnectError>().is_some(), "{error}");
    server.start_again();
    let lease = pool.get().await.expect("it is up again");
    let answer = lease.query_one("SELECT 1", &[]).await;
    assert_eq!(answer.expect("an answer").get::<_, i32>(0), 1);
}

#[tokio::test]
async fn a_refusal_is_told_with_its_cause() {
    // A bound port without a listener behind it refuses.
    let pool = Pool::new(&config(), manager(free_port())).expect("valid");
    let error = pool
        .get_timeout(ms(300))
        .await
        .map(drop)
        .expect_err("nobody there");
    let text = error.to_string();
    assert!(
        error.is_retryable() && text.contains("the last connect failed"),
        "{text}"
    );
    assert!(pool.stats().connect_failures >= 2, "it is tried again");
}

#[tokio::test]
async fn a_wrong_database_is_told_at_once() {
    let Some(server) = start() else { return };
    drop(pool(server.port, &config()).await);
    let mut wrong = tokio_postgres::Config::new();
    wrong
        .host("127.0.0.1")
        .port(server.port)
        .user("postgres")
        .dbname("nowhere");
    let pool = Pool::new(&config(), Postgres::new(wrong, NoTls)).expect("valid");
    let error = pool.get().await.map(drop).expect_err("there is none");
    assert!(matches!(error, Error::Connect { .. }), "{error}");
}

/// It accepts and says nothing.
#[tokio::test]
async fn a_silent_server_costs_the_caller_its_limit_and_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let config = Config {
        connect_timeout: ms(100),
        ..config()
    };
    let pool = Pool::new(&config, manager(port)).expect("valid");
    let start = tokio::time::Instant::now();
    let error = pool
        .get_timeout(ms(400))
        .await
        .map(drop)
        .expect_err("it is silent");
    assert!(
        error.to_string().contains("not connected within 100ms"),
        "{error}"
    );
    assert!(start.elapsed() >= ms(400) && start.elapsed() < secs(5));
}

/// One backend hangs: the check finds it, the others go on.
#[tokio::test]
async fn a_backend_that_hangs_is_found_by_its_check() {
    let Some(server) = start() else { return };
    let config = Config {
        check_timeout: ms(300),
        ..config()
    };
    let pool = pool(server.port, &config).await;
    let (first, second) = (pool.get().await, pool.get().await);
    let (first, second) = (first.expect("a connection"), second.expect("a connection"));
    let victim = u32::try_from(pid(&first).await).expect("a process");
    drop((first, second));
    signal("STOP", victim);
    let report = pool.health_check().await;
    assert_eq!((report.passed, report.removed), (1, 1));
    let lease = pool.get().await.expect("a connection");
    lease.simple_query("SELECT 1").await.expect("an answer");
    signal("CONT", victim);
}

/// The statement is cancelled by its caller; the connection is not to blame.
#[tokio::test]
async fn a_request_that_times_out_keeps_its_connection() {
    let Some(server) = start() else { return };
    let pool = pool(server.port, &config()).await;
    let lease = pool.get().await.expect("a connection");
    let id = lease.id();
    let slow = lease.simple_query("SELECT pg_sleep(0.2)");
    assert!(tokio::time::timeout(ms(20), slow).await.is_err());
    drop(lease);
    let lease = pool.get().await.expect("a connection");
    assert_eq!(lease.id(), id);
    lease.simple_query("SELECT 1").await.expect("an answer");
}

/// It ends at the server, not only for its caller.
#[tokio::test]
async fn a_statement_is_cancelled_from_outside() {
    let Some(server) = start() else { return };
    let pool = pool(server.port, &config()).await;
    let lease = pool.get().await.expect("a connection");
    let canceller = lease.canceller();
    let slow = lease.simple_query("SELECT pg_sleep(60)");
    let cancel = async {
        tokio::time::sleep(ms(50)).await;
        pool.manager().cancel(canceller).await
    };
    let (ended, cancelled) = tokio::join!(slow, cancel);
    cancelled.expect("the server is there");
    let code = ended.expect_err("it was cancelled").code().cloned();
    assert_eq!(code, Some(tokio_postgres::error::SqlState::QUERY_CANCELED));
    lease.simple_query("SELECT 1").await.expect("an answer");
}

#[tokio::test]
async fn statements_are_prepared_once_and_bounded() {
    let Some(server) = start() else { return };
    drop(pool(server.port, &config()).await);
    let manager = manager(server.port).statements_max(NonZero::new(3).expect("three"));
    let pool = Pool::new(&config(), manager).expect("valid");
    let lease = pool.get().await.expect("a connection");
    let prepared = async || {
        let query = "SELECT count(*) FROM pg_prepared_statements WHERE NOT from_sql";
        let rows = lease.simple_query(query).await.expect("an answer");
        let count = rows.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0)?.parse::<usize>().ok(),
            _ => None,
        });
        count.expect("a count")
    };
    for _ in 0..10 {
        lease
            .prepare_cached("SELECT $1::int8 + 1")
            .await
            .expect("a statement");
    }
    assert_eq!((lease.statements(), prepared().await), (1, 1));
    let stats = pool.manager().statement_stats();
    assert_eq!((stats.hits, stats.misses), (9, 1));
    for number in 0..10 {
        let query = format!("SELECT $1::int8 + {number}");
        let statement = lease.prepare_cached(&query).await.expect("a statement");
        let row = lease
            .query_one(&statement, &[&1i64])
            .await
            .expect("an answer");
        assert_eq!(row.get::<_, i64>(0), 1 + number);
    }
    assert_eq!((lease.statements(), prepared().await), (3, 3));
    lease.forget_statements();
    assert_eq!((lease.statements(), prepared().await), (0, 0));
}

/// Callers that lose patience for a second and a half: never more backends
/// than the limit, and nobody is stuck after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_leavers_leaves_no_backend_behind() {
    let Some(server) = start() else { return };
    let config = Config {
        max_connections: 8,
        ..config()
    };
    let pool = pool(server.port, &config).await;
    let start = tokio::time::Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..64u64 {
        let pool = pool.clone();
        tasks.spawn(async move {
            let mut patience_us = task;
            while start.elapsed() < Duration::from_millis(1_500) {
                patience_us = (patience_us * 31 + 7) % 900;
                let query = async {
                    let lease = pool.get().await.expect("a connection");
                    lease.simple_query("SELECT 1").await
                };
                drop(tokio::time::timeout(Duration::from_micros(patience_us), query).await);
            }
        });
    }
    tasks.join_all().await;
    let mut leases = Vec::new();
    for _ in 0..8 {
        leases.push(pool.get().await.expect("a connection"));
    }
    let query = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'";
    let row = leases[0].query_one(query, &[]).await.expect("an answer");
    assert_eq!(row.get::<_, i64>(0), 8);
}
