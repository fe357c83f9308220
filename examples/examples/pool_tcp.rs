//! A pool of TCP connections to a server that often hangs up, and a set of
//! pools in which a flood of one class of clients takes nobody else's share.
//!
//! ```text
//! cargo run -p examples --example pool_tcp
//! ```
#![expect(clippy::print_stdout, reason = "an example reports on stdout")]

use examples::check;
use mcp_pool::{ClassConfig, Config, Key, Manager, Pool, PoolSet, SetConfig};
use std::{error::Error, io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

const CALLS: usize = 1_000;
const TASKS: usize = 20;
/// The server hangs up after so many lines.
const PATIENCE: usize = 100;

/// Connections to the server below.
struct Lines(SocketAddr);

impl Manager for Lines {
    type Connection = BufReader<TcpStream>;
    type Error = io::Error;

    async fn connect(&self) -> io::Result<Self::Connection> {
        Ok(BufReader::new(TcpStream::connect(self.0).await?))
    }

    /// An end that has already arrived shows without a wait.
    fn is_open(&self, connection: &mut Self::Connection) -> bool {
        let nothing_to_read = connection.get_ref().try_read(&mut [0]);
        matches!(nothing_to_read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    async fn check(&self, connection: &mut Self::Connection) -> io::Result<()> {
        ask(connection, "ping").await.map(drop)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    tokio::spawn(serve(listener));

    let config = Config {
        max_connections: 8,
        acquire_timeout: Duration::from_secs(10),
        ..Config::default()
    };
    let pool = Pool::new(&config, Lines(addr))?;
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let pool = pool.clone();
        tasks.spawn(async move {
            for call in 0..CALLS / TASKS {
                let mut lease = pool.get().await.expect("the server is there");
                let line = call.to_string();
                // A borrower whose exchange broke off says so.
                match ask(&mut lease, &line).await {
                    Ok(answer) => assert_eq!(answer, line),
                    Err(_) => lease.retire(),
                }
            }
        });
    }
    tasks.join_all().await;
    let stats = pool.stats();
    println!(
        "{} calls by {TASKS} tasks made {} connections",
        stats.checkouts, stats.opened
    );
    check(
        stats.reuse_ratio() >= 0.95,
        "at least 95 % used a connection again",
    )?;
    check(
        stats.closes.broken >= 5,
        "the server hung up, and the pool noticed",
    )?;
    pool.close().await;
    check(pool.stats().in_use == 0, "the pool is closed and empty")?;

    shares(addr).await
}

/// Six connections in all, of which two are `cursor`'s.
async fn shares(addr: SocketAddr) -> Result<(), Box<dyn Error>> {
    let cursor = ClassConfig {
        guaranteed: 2,
        ..ClassConfig::default()
    };
    let config = SetConfig {
        pool: Config {
            acquire_timeout: Duration::from_millis(100),
            ..Config::default()
        },
        max_connections: 6,
        classes: [("cursor".to_owned(), cursor)].into(),
        ..SetConfig::default()
    };
    let set = PoolSet::new(&config, move |_| Lines(addr))?;
    let flood = Key::new("lines", "me", "a script");
    let mut held = Vec::new();
    while let Ok(lease) = set.get(&flood).await {
        held.push(lease);
    }
    check(held.len() == 4, "a flood gets what nobody is guaranteed")?;
    let cursor = Key::new("lines", "me", "cursor");
    let mut lease = set.get(&cursor).await?;
    let answer = ask(&mut lease, "hello").await?;
    check(answer == "hello", "and the guaranteed share is still there")
}

/// Sends a line and reads one.
async fn ask(connection: &mut BufReader<TcpStream>, line: &str) -> io::Result<String> {
    connection
        .get_mut()
        .write_all(format!("{line}\n").as_bytes())
        .await?;
    let mut answer = String::new();
    match connection.read_line(&mut answer).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(answer.trim_end().to_owned()),
    }
}

/// Says each line back, and hangs up when it has had enough.
async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            for _ in 0..PATIENCE {
                line.clear();
                if stream.read_line(&mut line).await? == 0 {
                    break;
                }
                stream.get_mut().write_all(line.as_bytes()).await?;
            }
            io::Result::Ok(())
        });
    }
}
