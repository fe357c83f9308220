//! All five crates around one slow backend, without the server.
//!
//! ```text
//! cargo run -p examples --example all_five
//! ```
//!
//! A hundred callers ask a backend that takes 20 ms for a line, however many
//! questions are on it. Who asks what others ask shares their answer (cache);
//! other questions share a line (batch), over a few connections (pool); once
//! the backend fails, nobody waits for it (breaker). The answers reach their
//! client through a stream that holds a bounded number of bytes (streaming).
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use examples::{chain, check};
use mcp_batch::BatchProcessor;
use mcp_breaker::{Breaker, CallError};
use mcp_cache::{Cache, Loaded};
use mcp_pool::{Manager, Pool};
use mcp_streaming::{Budget, SessionConfig, Sessions};
use std::{
    error::Error,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// Why a question has no answer; all who asked together hear the same.
type Failure = Arc<CallError<io::Error>>;

/// The backend as callers see it: each part stands in front of the next one.
#[derive(Clone)]
struct Answers {
    cache: Cache<String, String>,
    batch: BatchProcessor<String, String, Failure>,
}

impl Answers {
    fn new(backend: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let pool = Pool::new(&mcp_pool::Config::default(), Lines(backend))?;
        let breaker = Breaker::new(&mcp_breaker::Config::default())?;
        let batch = BatchProcessor::new(&mcp_batch::Config::default(), move |asked| {
            let (pool, breaker) = (pool.clone(), breaker.clone());
            async move {
                match breaker.call(|| ask(&pool, &asked)).await {
                    Ok(answers) => answers.into_iter().map(Ok).collect(),
                    Err(error) => vec![Err(Arc::new(error)); asked.len()],
                }
            }
        })?;
        let cache = Cache::new(&mcp_cache::Config::default())?;
        Ok(Self { cache, batch })
    }

    async fn get(&self, question: String) -> Result<String, String> {
        let batch = self.batch.clone();
        let asked = question.clone();
        let load = move || async move { batch.submit(asked).await.map(Loaded::new) };
        let answer = self.cache.get_or_fetch(&question, load).await;
        answer.map(|it| it.value).map_err(|error| chain(&error))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let backend = Backend::start().await?;
    let answers = Answers::new(backend.addr)?;

    let mut callers = JoinSet::new();
    for caller in 0..100 {
        let answers = answers.clone();
        callers.spawn(async move { answers.get(format!("question {}", caller % 50)).await });
    }
    let heard = callers.join_all().await;
    let all_well = heard.iter().flatten().all(|a| a.starts_with("QUESTION"));
    let lines = backend.lines.swap(0, Ordering::Relaxed);
    println!("100 callers, 50 questions, {lines} lines to the backend");
    check(heard.len() == 100 && all_well, "all are answered")?;
    check(lines <= 10, "who asks together travels together")?;

    let budget = Budget::new(&mcp_streaming::BudgetConfig::default())?;
    let sessions = Sessions::new(&budget, &SessionConfig::default())?;
    let session = sessions.open("ann")?;
    let (tx, mut rx) = session.open_stream()?;
    for number in 0..3 {
        tx.send(answers.get(format!("question {number}")).await?)
            .await?;
    }
    tx.finish();
    let mut streamed = 0;
    while let Some(event) = rx.next().await {
        println!("to the client: {event:?}");
        streamed += 1;
    }
    check(streamed == 3, "the client has its answers")?;
    let lines = backend.lines.swap(0, Ordering::Relaxed);
    check(lines == 0, "and they were all in the cache")?;

    backend.is_broken.store(true, Ordering::Relaxed);
    let mut failures = Vec::new();
    for number in 0..8 {
        failures.extend(answers.get(format!("unknown {number}")).await.err());
    }
    println!("first: {}\nlast: {}", failures[0], failures[7]);
    let reached = backend.lines.load(Ordering::Relaxed);
    check(failures.len() == 8, "a broken backend is an error")?;
    check(reached == 5, "and after five of them it is left alone")?;
    let known = answers.get("question 1".to_owned()).await;
    check(known.is_ok(), "what is known is still answered")
}

/// Sends all questions as one line, and reads the line of the answers.
async fn ask(pool: &Pool<Lines>, asked: &[String]) -> Result<Vec<String>, io::Error> {
    let mut lease = pool.get().await.map_err(io::Error::other)?;
    let answers = exchange(&mut lease, asked).await;
    if answers.is_err() {
        lease.retire();
    }
    answers
}

async fn exchange(
    connection: &mut BufReader<TcpStream>,
    asked: &[String],
) -> io::Result<Vec<String>> {
    let line = format!("{}\n", asked.join(";"));
    connection.get_mut().write_all(line.as_bytes()).await?;
    let mut answers = String::new();
    match connection.read_line(&mut answers).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(answers.trim_end().split(';').map(str::to_owned).collect()),
    }
}

/// Connections to the backend.
struct Lines(SocketAddr);

impl Manager for Lines {
    type Connection = BufReader<TcpStream>;
    type Error = io::Error;

    async fn connect(&self) -> io::Result<Self::Connection> {
        Ok(BufReader::new(TcpStream::connect(self.0).await?))
    }
}

/// Says every line in capitals, after 20 ms; when it is broken it hangs up.
struct Backend {
    addr: SocketAddr,
    lines: Arc<AtomicU32>,
    is_broken: Arc<AtomicBool>,
}

impl Backend {
    async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let backend = Self {
            addr: listener.local_addr()?,
            lines: Arc::default(),
            is_broken: Arc::default(),
        };
        let (lines, is_broken) = (backend.lines.clone(), backend.is_broken.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (lines, is_broken) = (lines.clone(), is_broken.clone());
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    let mut line = String::new();
                    while stream.read_line(&mut line).await? > 0 {
                        lines.fetch_add(1, Ordering::Relaxed);
                        if is_broken.load(Ordering::Relaxed) {
                            break;
                        }
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        let answer = line.to_uppercase();
                        stream.get_mut().write_all(answer.as_bytes()).await?;
                        line.clear();
                    }
                    io::Result::Ok(())
                });
            }
        });
        Ok(backend)
    }
}
