//! A real PostgreSQL primary with a standby.

use super::{
    Server, as_user, folder, free_port, is_root,
    postgres::{config, pool, postgres_command, start},
    program, run, wait_until,
};
use crate::support::ms;
use mcp_pool::{BalanceConfig, Replicas, Token};
use std::process::Command;

/// A primary with a real standby: roles are found, reads see their writes, and
/// a dead standby is out within one interval.
#[tokio::test]
async fn reads_go_to_a_replica_that_has_applied_their_writes() {
    let Some(primary) = start() else { return };
    let Some(mut standby) = standby_of(primary.port).await else {
        return;
    };
    let pools = vec![
        pool(primary.port, &config()).await,
        pool(standby.port, &config()).await,
    ];
    let every = ms(200);
    let replicas = Replicas::new(&BalanceConfig::default(), pools, every, None).await;
    let replicas = replicas.expect("valid");
    let roles: Vec<_> = replicas
        .nodes()
        .iter()
        .map(|node| node.map(|node| node.primary))
        .collect();
    assert_eq!(roles, [Some(true), Some(false)]);

    let mut writer = replicas.write().await.expect("the primary");
    writer
        .batch_execute("CREATE TABLE t (n int8)")
        .await
        .expect("a table");
    for number in 0..20i64 {
        writer
            .execute("INSERT INTO t VALUES ($1)", &[&number])
            .await
            .expect("a row");
        let token = replicas.token(&mut writer).await.expect("a position");
        let reader = replicas.read(token).await.expect("a reader");
        let row = reader
            .query_one("SELECT count(*) FROM t", &[])
            .await
            .expect("an answer");
        assert_eq!(
            row.get::<_, i64>(0),
            number + 1,
            "node {}",
            reader.endpoint()
        );
    }
    let reader = replicas.read(Token::default()).await.expect("a reader");
    assert_eq!(
        reader.endpoint(),
        1,
        "a reader that needs no write is the standby's"
    );
    drop(reader);

    standby.stop();
    tokio::time::sleep(every * 2).await;
    assert_eq!(replicas.nodes()[1], None);
    let reader = replicas.read(Token::default()).await.expect("a reader");
    assert_eq!(reader.endpoint(), 0);
}

async fn standby_of(primary: u16) -> Option<Server> {
    let (basebackup, postgres) = (program("pg_basebackup")?, program("postgres")?);
    let dir = folder();
    let data = dir.path().join("data");
    if is_root() {
        run(Command::new("chown").arg("postgres:").arg(dir.path())).expect("a user postgres");
    }
    // It accepts a little before it is ready.
    drop(pool(primary, &config()).await);
    let mut backup = as_user(&basebackup);
    backup.args([
        "-h",
        "127.0.0.1",
        "-U",
        "postgres",
        "-p",
        &primary.to_string(),
    ]);
    backup
        .args([
            "--checkpoint=fast",
            "--no-sync",
            "--write-recovery-conf",
            "-D",
        ])
        .arg(&data);
    run(&mut backup).expect("a copy of the primary");
    let port = free_port();
    let server = Server::start(port, dir, move || postgres_command(&postgres, &data, port));
    wait_until(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    Some(server)
}
