//! The real binary as a real process.

use std::{
    net::SocketAddr,
    path::Path,
    process::{ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStderr, Command},
};

use super::{until, within};

/// The binary, without the settings of whoever runs the tests.
pub(crate) fn command() -> Command {
    wrapped(&[])
}

/// The binary, started by another program that ends in its place.
fn wrapped(wrapper: &[String]) -> Command {
    const BINARY: &str = env!("CARGO_BIN_EXE_mcp-server");
    let mut command = match wrapper {
        [] => Command::new(BINARY),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(BINARY);
            command
        }
    };
    command.kill_on_drop(true).stdin(Stdio::null());
    for (name, _) in std::env::vars() {
        if name.starts_with("MCP_SERVER__") {
            command.env_remove(name);
        }
    }
    command
}

/// A server of a test that is not about time may take its time: its machine may be busy.
pub(crate) const UNHURRIED: (&str, &str) = ("MCP_SERVER__MEMORY__OPERATION_TIMEOUT", "30s");

/// Runs the binary to its end.
pub(crate) async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = command();
    command
        .args(arguments)
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    within("the command", command.output())
        .await
        .expect("the binary runs")
}

/// Runs a command that must fail, and checks its exit code and the one error it prints.
pub(crate) async fn refused(
    arguments: &[&str],
    environment: &[(&str, &str)],
    code: i32,
    says: &[&str],
) {
    let output = run(arguments, environment).await;
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    assert_eq!(output.stdout, b"", "{arguments:?}");
    assert!(error.contains("error: "), "{arguments:?}: {error}");
    for part in says {
        assert!(
            error.contains(part),
            "{arguments:?}: {part:?} is not in {error:?}"
        );
    }
    assert!(!error.contains("panicked"), "{arguments:?}: {error}");
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What a process wrote to standard error so far.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn collect(stderr: ChildStderr) -> Self {
        let log = Self::default();
        let collected = log.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                collected.0.lock().expect("no panic").push(line);
            }
        });
        log
    }

    /// The first line that contains `text`, once it is there.
    pub(crate) async fn line(&self, text: &str) -> String {
        until(text, async || self.find(text)).await
    }

    /// How many lines contain `text` so far.
    pub(crate) fn count(&self, text: &str) -> usize {
        let lines = self.0.lock().expect("no panic");
        lines.iter().filter(|line| line.contains(text)).count()
    }

    /// The first line that contains `text`, if it is there already.
    pub(crate) fn find(&self, text: &str) -> Option<String> {
        let lines = self.0.lock().expect("no panic");
        lines.iter().find(|line| line.contains(text)).cloned()
    }
}

/// `mcp-server serve` on a free port.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) log: Log,
}

impl Process {
    pub(crate) async fn serve(data_dir: &Path) -> Self {
        Self::serve_with(data_dir, &["--listen", "127.0.0.1:0"], &[]).await
    }

    pub(crate) async fn serve_with(
        data_dir: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        Self::serve_wrapped(&[], data_dir, arguments, environment).await
    }

    /// As a program makes it that ends in the server's place.
    pub(crate) async fn serve_wrapped(
        wrapper: &[String],
        data_dir: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut child = wrapped(wrapper)
            .args(["serve", "--data-dir"])
            .arg(data_dir)
            .args(arguments)
            .envs([UNHURRIED])
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let log = Log::collect(child.stderr.take().expect("it is piped"));
        let ready = log.line("ready: http://").await;
        let address = ready
            .split_once("ready: http://")
            .and_then(|(_, rest)| rest.split_once("/mcp"))
            .and_then(|(address, _)| address.parse().ok())
            .unwrap_or_else(|| panic!("no address in {ready:?}"));
        Self {
            child,
            address,
            log,
        }
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it is running")
    }

    /// SIGKILL, and gone when this returns.
    pub(crate) async fn kill(mut self) {
        within("the kill", self.child.kill())
            .await
            .expect("it was running");
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    pub(crate) async fn exit(&mut self) -> ExitStatus {
        within("the exit", self.child.wait())
            .await
            .expect("it was running")
    }
}

/// Sends a signal by name, such as `TERM`.
pub(crate) fn signal(child: &Child, name: &str) {
    let pid = child.id().expect("it is running");
    let sent = std::process::Command::new("sh")
        .args(["-c", &format!("kill -{name} {pid}")])
        .status()
        .expect("there is a shell");
    assert!(sent.success(), "kill -{name}: {sent}");
}

/// A folder that is gone after the test.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("the disk has room")
}
