//! The server that is measured: this same program, as a process of its own on data of its own.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStderr, Command},
    sync::oneshot,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{client::Client, error::BenchError, usage::Usage};

/// A server that is not ready by then never will be: an index of a million memories is made again
/// in less.
const READY_TIMEOUT: Duration = Duration::from_secs(300);
/// Longer than the server gives the calls in flight.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// How often it is asked whether it is ready.
const READY_EVERY: Duration = Duration::from_millis(1);
const SETTLED_EVERY: Duration = Duration::from_millis(50);
/// Lines of its log that are kept.
const LOG_LINES: usize = 5;

/// How the server is started.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program.
    pub binary: PathBuf,
    /// Its file of settings. Where its data is and where it listens are set in any case.
    pub config: Option<PathBuf>,
    /// Settings besides, each as a variable of the environment, `NAME=value`.
    pub settings: Vec<String>,
    /// Whether it leaves out what makes it faster.
    pub safe_mode: bool,
    /// Ends the benchmark.
    pub stop: CancellationToken,
}

/// A server that is ready.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// From the start of the process to the first answer that says that it is ready.
    pub started: Duration,
    pid: u32,
}

impl Launch {
    /// Starts a server on the data in `dir`, works with it, and stops it, whatever the work says.
    ///
    /// # Errors
    ///
    /// Those of the work; [`BenchError::Server`] when the server does not start or does not end;
    /// [`BenchError::Stopped`].
    ///
    /// # Cancel safety
    ///
    /// Dropped, it kills the server.
    pub async fn with<T>(
        &self,
        dir: &Path,
        work: impl AsyncFnOnce(&Server) -> Result<T, BenchError>,
    ) -> Result<T, BenchError> {
        let mut process = Process::spawn(self, dir)?;
        let done = tokio::select! {
            done = async { work(&process.ready().await?).await } => done,
            () = self.stop.cancelled() => Err(BenchError::Stopped),
        };
        let stopped = process.stop().await;
        match done {
            // What went wrong first is what matters.
            Err(error) => Err(error),
            Ok(done) => stopped.map(|()| done),
        }
    }
}

impl Server {
    /// What it has used so far; `None` where that cannot be known.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        Usage::of(self.pid)
    }

    /// Waits until it is ready again: after many writes, its search index may be far behind.
    ///
    /// # Errors
    ///
    /// As for a call; [`BenchError::Server`] when it takes too long.
    pub async fn settled(&self) -> Result<(), BenchError> {
        let settled = async {
            let mut client = Client::connect(self.address, "mcp-server bench").await?;
            while !client.is_ok("/readyz").await? {
                sleep(SETTLED_EVERY).await;
            }
            Ok(())
        };
        let late = |_| BenchError::Server {
            what: "does not get ready again after the filling",
            log: "see its search index under /readyz".to_owned(),
        };
        timeout(READY_TIMEOUT, settled).await.map_err(late)?
    }
}

struct Process {
    child: Child,
    spawned: Instant,
    address: Option<oneshot::Receiver<SocketAddr>>,
    log: Log,
}

impl Process {
    fn spawn(launch: &Launch, dir: &Path) -> Result<Self, BenchError> {
        let mut command = Command::new(&launch.binary);
        command
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--log",
                "warn,mcp_server=info",
            ])
            .arg("--data-dir")
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let settings = launch.settings.iter();
        command.envs(settings.filter_map(|setting| setting.split_once('=')));
        if let Some(config) = &launch.config {
            command.arg("--config").arg(config);
        }
        if launch.safe_mode {
            command.arg("--safe-mode");
        }
        let spawned = Instant::now();
        let mut child = command
            .spawn()
            .map_err(BenchError::io("cannot start a server"))?;
        let (log, address) = Log::read(child.stderr.take());
        Ok(Self {
            child,
            spawned,
            address: Some(address),
            log,
        })
    }

    async fn ready(&mut self) -> Result<Server, BenchError> {
        let spawned = self.spawned;
        let address = self.address.take();
        let ready = async {
            let address = address?.await.ok()?;
            loop {
                if let Ok(mut client) = Client::connect(address, "mcp-server bench").await
                    && matches!(client.is_ok("/readyz").await, Ok(true))
                {
                    return Some(address);
                }
                sleep(READY_EVERY).await;
            }
        };
        let address = timeout(READY_TIMEOUT, ready).await.ok().flatten();
        let started = spawned.elapsed();
        match (address, self.child.id()) {
            (Some(address), Some(pid)) => Ok(Server {
                address,
                started,
                pid,
            }),
            _ => Err(self.failed("does not get ready")),
        }
    }

    async fn stop(mut self) -> Result<(), BenchError> {
        self.ask_to_stop();
        let ended = timeout(STOP_TIMEOUT, self.child.wait()).await;
        match ended {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(_) => Err(self.failed("ended badly")),
            // Dropping it kills it.
            Err(_) => Err(self.failed("does not stop")),
        }
    }

    #[cfg(unix)]
    fn ask_to_stop(&mut self) {
        use rustix::process::{Pid, Signal, kill_process};

        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw)
            && let Err(error) = kill_process(pid, Signal::TERM)
        {
            tracing::debug!(%error, "the server is gone already");
        }
    }

    /// There is no gentle way here, and nothing of worth in its data.
    #[cfg(not(unix))]
    fn ask_to_stop(&mut self) {
        if let Err(error) = self.child.start_kill() {
            tracing::debug!(%error, "the server is gone already");
        }
    }

    fn failed(&self, what: &'static str) -> BenchError {
        BenchError::Server {
            what,
            log: self.log.last(),
        }
    }
}

/// The last lines of the server's log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<VecDeque<String>>>);

impl Log {
    /// Reads until the server ends, and tells the address from the line that names it.
    fn read(stderr: Option<ChildStderr>) -> (Self, oneshot::Receiver<SocketAddr>) {
        let log = Self::default();
        let (sender, address) = oneshot::channel();
        if let Some(stderr) = stderr {
            let log = log.clone();
            // Ends with the server, whose owner ends that.
            tokio::spawn(async move {
                let mut sender = Some(sender);
                let mut lines = BufReader::new(stderr).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    if let Some(address) = address_in(&line)
                        && let Some(sender) = sender.take()
                    {
                        // Nobody waits for it any more after a time-out.
                        let _ = sender.send(address);
                    }
                    log.push(line);
                }
            });
        }
        (log, address)
    }

    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LOG_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    fn last(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match lines.is_empty() {
            true => "it logged nothing".to_owned(),
            false => lines.iter().cloned().collect::<Vec<_>>().join(" | "),
        }
    }
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("ready: http://")?;
    rest.split_once("/mcp")?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_either_form_of_the_log() {
        for line in [
            "2026 INFO ready: http://127.0.0.1:4711/mcp (data in /x)",
            r#"{"message":"ready: http://127.0.0.1:4711/mcp (data in /x)"}"#,
        ] {
            assert_eq!(address_in(line), "127.0.0.1:4711".parse().ok(), "{line}");
        }
        assert_eq!(address_in("not yet ready"), None);
    }
}
