//! `mcp-server stdio` as a process, and a client that writes and reads lines.

use std::{
    path::Path,
    process::{ExitStatus, Stdio},
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
};

use super::{
    process::{Log, command, signal},
    within,
};

/// One client and its own server.
pub(crate) struct Pipe {
    child: Child,
    input: Option<ChildStdin>,
    output: Option<Lines<BufReader<ChildStdout>>>,
    pub(crate) log: Log,
}

impl Pipe {
    pub(crate) fn start(data_dir: &Path, environment: &[(&str, &str)]) -> Self {
        let mut child = command()
            .args(["stdio", "--client", "test", "--data-dir"])
            .arg(data_dir)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        Self {
            input: child.stdin.take(),
            output: child.stdout.take().map(|out| BufReader::new(out).lines()),
            log: Log::collect(child.stderr.take().expect("it is piped")),
            child,
        }
    }

    /// Writes bytes as they are.
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let input = self.input.as_mut().expect("the input was not closed");
        within("writing", input.write_all(bytes.as_ref()))
            .await
            .expect("the server reads");
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        self.write(format!("{message}\n")).await;
    }

    /// The next line, which must be a JSON-RPC message; `None` at the end of the output.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        let output = self.output.as_mut().expect("the output was not closed");
        let line = within("a line", output.next_line())
            .await
            .expect("lines are UTF-8")?;
        let message: Value = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{error} on standard output: {line:?}"));
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
        Some(message)
    }

    pub(crate) async fn receive(&mut self) -> Value {
        self.next().await.expect("the server still answers")
    }

    pub(crate) fn close_input(&mut self) {
        self.input = None;
    }

    pub(crate) fn close_output(&mut self) {
        self.output = None;
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
