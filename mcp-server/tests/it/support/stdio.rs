//! `mcp-server stdio` as a process, and a client that writes and reads lines.

use std::{
    os::fd::OwnedFd,
    path::Path,
    process::{ExitStatus, Stdio},
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, Lines},
    net::UnixStream,
    process::Child,
};

use super::{
    process::{Log, UNHURRIED, command, signal},
    within,
};

type Input = Box<dyn AsyncWrite + Send + Unpin>;
type Output = Box<dyn AsyncRead + Send + Unpin>;

/// One client and its own server.
pub(crate) struct Pipe {
    child: Child,
    input: Option<Input>,
    output: Option<Lines<BufReader<Output>>>,
    pub(crate) log: Log,
}

impl Pipe {
    pub(crate) fn start(data_dir: &Path, environment: &[(&str, &str)]) -> Self {
        Self::start_with(data_dir, &["--client", "test"], environment)
    }

    pub(crate) fn start_with(
        data_dir: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let (stdin, stdout) = (Stdio::piped(), Stdio::piped());
        let mut child = spawn(data_dir, arguments, environment, stdin, stdout);
        let input = Box::new(child.stdin.take().expect("it is piped"));
        let output = Box::new(child.stdout.take().expect("it is piped"));
        Self::new(child, input, output)
    }

    /// With sockets for standard input and output, as Node.js makes them.
    pub(crate) fn start_on_sockets(data_dir: &Path) -> Self {
        let (input, stdin) = socket();
        let (output, stdout) = socket();
        let child = spawn(data_dir, &[], &[], stdin, stdout);
        Self::new(child, Box::new(input), Box::new(output))
    }

    fn new(mut child: Child, input: Input, output: Output) -> Self {
        Self {
            input: Some(input),
            output: Some(BufReader::new(output).lines()),
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

fn spawn(
    data_dir: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
    stdin: Stdio,
    stdout: Stdio,
) -> Child {
    command()
        .args(["stdio", "--data-dir"])
        .arg(data_dir)
        .args(arguments)
        .envs([UNHURRIED])
        .envs(environment.iter().copied())
        .stdin(stdin)
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

/// The test's end of a pair of sockets, and the child's.
fn socket() -> (UnixStream, Stdio) {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("there are sockets");
    ours.set_nonblocking(true).expect("it is a socket");
    let ours = UnixStream::from_std(ours).expect("there is a runtime");
    (ours, OwnedFd::from(theirs).into())
}
