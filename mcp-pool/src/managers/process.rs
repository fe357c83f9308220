//! Child processes whose standard streams are the connection.

use crate::manager::Manager;
use std::{fmt, io, process::Stdio};
use tokio::{
    io::BufReader,
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// Starts child processes.
pub struct Process<F> {
    command: F,
}

impl<F: Fn() -> Command> Process<F> {
    /// Starts what `command` makes, with pipes for its standard input and
    /// output. What it writes to standard error goes where this process's
    /// goes, unless the command says otherwise.
    pub fn new(command: F) -> Self {
        Self { command }
    }
}

impl<F> fmt::Debug for Process<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").finish_non_exhaustive()
    }
}

/// A running child. Dropping it kills the child.
#[derive(Debug)]
pub struct Connection {
    child: Child,
    /// Its standard input.
    pub stdin: ChildStdin,
    /// Its standard output.
    pub stdout: BufReader<ChildStdout>,
}

impl Connection {
    /// The child's process number, while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }
}

impl<F> Manager for Process<F>
where
    F: Fn() -> Command + Send + Sync + 'static,
{
    type Connection = Connection;
    type Error = io::Error;

    async fn connect(&self) -> Result<Connection, io::Error> {
        let mut child = (self.command)()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let pipe = || io::Error::other("the child has no pipe");
        let stdin = child.stdin.take().ok_or_else(pipe)?;
        let stdout = child.stdout.take().ok_or_else(pipe)?;
        Ok(Connection {
            child,
            stdin,
            stdout: BufReader::new(stdout),
        })
    }

    /// A child that has ended is reaped by this.
    fn is_open(&self, connection: &mut Connection) -> bool {
        matches!(connection.child.try_wait(), Ok(None))
    }

    /// The end of its input tells a child to end; one that does not is killed
    /// when the time for good-byes is over.
    async fn close(&self, connection: Connection) {
        let Connection {
            mut child,
            stdin,
            stdout,
        } = connection;
        drop((stdin, stdout));
        // Gone, or about to be killed: there is nothing else to do about it.
        let _ = child.wait().await;
    }

    /// A program that is not there will not be there.
    fn is_permanent(&self, error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::NotFound
    }
}
