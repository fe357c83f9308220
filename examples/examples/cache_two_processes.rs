//! A cache in each of two processes, and one word for what is invalid: Redis.
//!
//! ```text
//! cargo run -p examples --example cache_two_processes
//! ```
//!
//! The program starts a `redis-server` of its own and itself a second time. Both
//! processes read the same file through a cache; when the first one writes the
//! file and invalidates the tag, the second one does not answer from what it
//! had. Where `redis-server` is not installed the example says so and ends.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use examples::check;
use mcp_cache::{Cache, Config, Fetch, Loaded, Reach, RedisConfig, RedisStore, Remote, Source};
use std::{
    error::Error,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};

/// A file, read through a cache that hears of every other process's writes.
struct Notes {
    cache: Cache<String, String>,
    remote: Remote,
    path: PathBuf,
}

impl Notes {
    async fn open(redis: &str, path: &Path) -> Result<Self, Box<dyn Error>> {
        let redis = Arc::new(RedisStore::new(&RedisConfig::single(redis))?);
        let remote = Remote::builder(redis.clone(), redis).build()?;
        let cache = Cache::builder(&Config::default())
            .remote(&remote, "notes")
            .build()?;
        remote.connected().await;
        let path = path.to_owned();
        Ok(Self {
            cache,
            remote,
            path,
        })
    }

    /// The file's text, and where it came from. `strict` asks Redis whether what is in memory is
    /// still good; without it an answer may be old for as long as a message takes.
    async fn read(&self) -> Result<(String, Source), Box<dyn Error>> {
        let path = self.path.clone();
        let load = move || async move {
            let text = tokio::fs::read_to_string(path).await?;
            Ok::<_, std::io::Error>(Loaded::new(text).tags(["notes"]))
        };
        let key = "all".to_owned();
        let answer = self
            .cache
            .get_or_fetch_with(&key, Fetch::new().strict(), load)
            .await?;
        Ok((answer.value, answer.source))
    }

    /// Writes the file, and returns when every process knows.
    async fn write(&self, text: &str) -> Result<Reach, Box<dyn Error>> {
        tokio::fs::write(&self.path, text).await?;
        self.cache.invalidate_by_tags(&["notes"]);
        Ok(self.remote.settled().await)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [redis, path] = arguments.as_slice() {
        return second(Notes::open(redis, Path::new(path)).await?).await;
    }
    let folder = tempfile::tempdir()?;
    let Some(redis) = Redis::start(folder.path())? else {
        println!("skipped: redis-server is not installed");
        return Ok(());
    };
    let path = folder.path().join("notes.txt");
    tokio::fs::write(&path, "first").await?;
    let notes = Notes::open(&redis.url, &path).await?;
    let mut other = Other::start(&redis.url, &path)?;

    println!("here: {:?}", notes.read().await?);
    let heard = other.read().await?;
    println!("there: {heard}");
    check(heard.starts_with("first"), "both processes read the file")?;
    let heard = other.read().await?;
    println!("there: {heard}");
    check(heard == "first Hit", "and keep what they have read")?;

    let reach = notes.write("second").await?;
    check(reach == Reach::Everywhere, "a write is told to everybody")?;
    let heard = other.read().await?;
    println!("there: {heard}");
    check(
        heard.starts_with("second"),
        "and nobody answers from before it",
    )?;
    other.end().await
}

/// Answers each line on standard input with what is read.
async fn second(notes: Notes) -> Result<(), Box<dyn Error>> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while lines.next_line().await?.is_some() {
        let (text, source) = notes.read().await?;
        println!("{text} {source:?}");
    }
    Ok(())
}

/// The second process, as the first one sees it.
struct Other {
    process: tokio::process::Child,
    ask: tokio::process::ChildStdin,
    answers: Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Other {
    fn start(redis: &str, path: &Path) -> Result<Self, Box<dyn Error>> {
        let mut process = tokio::process::Command::new(std::env::current_exe()?)
            .arg(redis)
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let ask = process.stdin.take().ok_or("no input")?;
        let answers = process.stdout.take().ok_or("no output")?;
        let answers = BufReader::new(answers).lines();
        Ok(Self {
            process,
            ask,
            answers,
        })
    }

    async fn read(&mut self) -> Result<String, Box<dyn Error>> {
        self.ask.write_all(b"read\n").await?;
        Ok(self.answers.next_line().await?.ok_or("it ended")?)
    }

    async fn end(mut self) -> Result<(), Box<dyn Error>> {
        drop(self.ask);
        let ended = self.process.wait().await?;
        check(ended.success(), "the other process ends well")
    }
}

/// A Redis of our own, which ends with this.
struct Redis {
    url: String,
    process: Child,
}

impl Redis {
    fn start(folder: &Path) -> Result<Option<Self>, Box<dyn Error>> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let started = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--dir"])
            .arg(folder)
            .stdout(Stdio::null())
            .spawn();
        match started {
            Ok(process) => Ok(Some(Self {
                url: format!("redis://127.0.0.1:{port}"),
                process,
            })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
