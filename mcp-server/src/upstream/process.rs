//! Upstreams that are programs of this machine: the protocol on their standard input and output.

use std::{collections::BTreeMap, path::PathBuf, process::Stdio, sync::Mutex, time::Duration};

use async_trait::async_trait;
use rmcp::{RoleClient, transport::async_rw::AsyncRwTransport};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
};
use tokio_util::task::TaskTracker;

use super::{
    Connection, Dial, Listener, Secret, Template, UpstreamError, dial::connect, failure::shortened,
};

/// Variables that a program gets from this one's environment; it gets no others, which may hold
/// secrets that are none of its business.
const INHERITED: &[&str] = &[
    "HOME",
    "LANG",
    "LC_ALL",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "APPDATA",
    "LOCALAPPDATA",
    "PATHEXT",
    "PROGRAMFILES",
    "SYSTEMROOT",
    "TEMP",
    "USERPROFILE",
];
/// How long a program may take to end after its input was closed, and again after it was asked to.
const GRACE: Duration = Duration::from_secs(2);
/// The longest line of a program's standard error that is logged, in bytes.
const LOG_BYTES_MAX: u64 = 4_096;

type Pipe = AsyncRwTransport<RoleClient, ChildStdout, ChildStdin>;

/// Starts a program for each connection.
#[derive(Debug)]
pub struct ProcessDial {
    argv: Vec<Template>,
    env: BTreeMap<String, Secret>,
    cwd: Option<PathBuf>,
    line_bytes_max: usize,
    /// The program of the last connection: there is one at a time.
    running: Mutex<Option<Child>>,
    logs: TaskTracker,
}

impl ProcessDial {
    /// Starts `argv`, without a shell. Lines longer than `line_bytes_max` are thrown away.
    #[must_use]
    pub fn new(
        argv: &[Template],
        env: &BTreeMap<String, Secret>,
        cwd: Option<PathBuf>,
        line_bytes_max: usize,
    ) -> Self {
        Self {
            argv: argv.to_vec(),
            env: env.clone(),
            cwd,
            line_bytes_max,
            running: Mutex::default(),
            logs: TaskTracker::new(),
        }
    }

    fn command(&self) -> Result<Command, UpstreamError> {
        let variable = |name: &str| std::env::var(name).ok();
        let failed = |error: super::MissingVariable| UpstreamError::Settings {
            reason: error.to_string(),
        };
        let argv: Result<Vec<_>, _> = self.argv.iter().map(|text| text.expand(variable)).collect();
        let argv = argv.map_err(failed)?;
        let Some((program, arguments)) = argv.split_first() else {
            let reason = "`command` is empty".to_owned();
            return Err(UpstreamError::Settings { reason });
        };
        let mut command = Command::new(program);
        command.args(arguments).env_clear();
        for name in INHERITED {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        for (name, value) in &self.env {
            command.env(name, value.expand(variable).map_err(failed)?);
        }
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // What it starts itself ends with it; and an interrupt at the terminal is for this program.
        #[cfg(unix)]
        command.process_group(0);
        Ok(command)
    }

    /// Starts the program. It is killed when a later one is started, or with this.
    fn open(&self) -> Result<Pipe, UpstreamError> {
        let mut command = self.command()?;
        let mut child = command
            .spawn()
            .map_err(|error| UpstreamError::Unavailable {
                reason: format!("`{}` cannot be started: {error}", self.argv[0]),
                unsent: true,
            })?;
        let taken = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        if let Some(before) = self.replace(Some(child)) {
            drop(Group::new(before));
        }
        let (Some(input), Some(output), Some(errors)) = taken else {
            unreachable!("all three are piped");
        };
        self.logs.spawn(log(self.argv[0].to_string(), errors));
        let pipe = AsyncRwTransport::new_client(output, input);
        Ok(pipe.with_max_line_length(self.line_bytes_max))
    }

    fn replace(&self, child: Option<Child>) -> Option<Child> {
        let mut running = self
            .running
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        std::mem::replace(&mut running, child)
    }
}

#[async_trait]
impl Dial for ProcessDial {
    async fn dial(&self, listener: Listener) -> Result<Connection, UpstreamError> {
        if let Some(before) = self.replace(None) {
            end(before).await;
        }
        connect(&listener, || self.open()).await
    }

    async fn close(&self) {
        if let Some(child) = self.replace(None) {
            end(child).await;
        }
        self.logs.close();
        // What has left the program's group may hold the pipe for ever.
        let _ = tokio::time::timeout(GRACE, self.logs.wait()).await;
    }
}

impl Drop for ProcessDial {
    fn drop(&mut self) {
        if let Some(child) = self.replace(None) {
            drop(Group::new(child));
        }
    }
}

/// A program that is killed with all that it has started, also when it has ended before that.
struct Group {
    child: Child,
    id: Option<u32>,
}

impl Group {
    fn new(child: Child) -> Self {
        let id = child.id();
        Self { child, id }
    }

    fn signal(&self, signal: Signal) {
        signal_group(self.id, signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The child itself is killed and reaped by tokio.
        self.signal(Signal::Kill);
    }
}

/// Ends a program whose input was closed: waits, asks, and kills, it and all that it has started.
async fn end(child: Child) {
    let mut group = Group::new(child);
    for ask in [None, Some(Signal::Terminate)] {
        if let Some(ask) = ask {
            group.signal(ask);
        }
        if tokio::time::timeout(GRACE, group.child.wait())
            .await
            .is_ok()
        {
            return;
        }
    }
    group.signal(Signal::Kill);
    // It cannot refuse.
    let _ = group.child.wait().await;
}

#[derive(Clone, Copy)]
enum Signal {
    Terminate,
    Kill,
}

#[cfg(unix)]
fn signal_group(id: Option<u32>, signal: Signal) {
    let signal = match signal {
        Signal::Terminate => rustix::process::Signal::TERM,
        Signal::Kill => rustix::process::Signal::KILL,
    };
    let id = id.and_then(|id| i32::try_from(id).ok());
    if let Some(group) = id.and_then(rustix::process::Pid::from_raw) {
        // It may have ended by itself.
        let _ = rustix::process::kill_process_group(group, signal);
    }
}

#[cfg(not(unix))]
fn signal_group(_id: Option<u32>, _signal: Signal) {}

/// Logs what a program says on its standard error, line by line, until it is closed.
async fn log(program: String, errors: ChildStderr) {
    let mut errors = BufReader::new(errors);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut errors)
            .take(LOG_BYTES_MAX)
            .read_until(b'\n', &mut line)
            .await;
        match read {
            Ok(1..) => {
                let text = shortened(String::from_utf8_lossy(&line).trim_end());
                tracing::debug!(%program, "{text}");
            }
            Ok(0) | Err(_) => return,
        }
    }
}
