//! Real servers, started by the tests on free ports in folders of their own.

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "postgres")]
mod replicas;

const READY_WITHIN: Duration = Duration::from_secs(30);

/// A server process, and how to start it again.
struct Server {
    command: Box<dyn Fn() -> Command + Send>,
    child: Option<Child>,
    port: u16,
    _dir: TempDir,
}

impl Server {
    fn start(port: u16, dir: TempDir, command: impl Fn() -> Command + Send + 'static) -> Self {
        let mut server = Self {
            command: Box::new(command),
            child: None,
            port,
            _dir: dir,
        };
        server.start_again();
        server
    }

    fn start_again(&mut self) {
        let mut command = (self.command)();
        let quiet = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.child = Some(quiet.spawn().expect("it starts"));
        wait_until(|| TcpStream::connect_timeout(&addr(self.port), READY_WITHIN).is_ok());
    }

    /// At once, and with all that it has started.
    fn stop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        // SIGQUIT: PostgreSQL ends its children too; Redis ends as well.
        signal("QUIT", child.id());
        let ended = wait_for(
            || matches!(child.try_wait(), Ok(Some(_))),
            Duration::from_secs(10),
        );
        if !ended {
            child.kill().expect("it can be killed");
            child.wait().expect("it ends");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .status();
    assert!(sent.expect("kill is there").success());
}

fn addr(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind(addr(0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

#[track_caller]
fn wait_until(holds: impl FnMut() -> bool) {
    assert!(wait_for(holds, READY_WITHIN), "not within {READY_WITHIN:?}");
}

#[expect(clippy::disallowed_methods, reason = "waits for another process")]
fn wait_for(mut holds: impl FnMut() -> bool, limit: Duration) -> bool {
    let start = Instant::now();
    while start.elapsed() < limit {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

/// Where a program is, or a reason to skip the test. `MCP_TEST_REQUIRE_SERVICES`
/// makes it a failure.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn program(name: &str) -> Option<PathBuf> {
    let found = find(name);
    let required = std::env::var_os("MCP_TEST_REQUIRE_SERVICES").is_some_and(|value| value == "1");
    assert!(found.is_some() || !required, "{name} is not installed");
    if found.is_none() {
        eprintln!("skipped: {name} is not installed");
    }
    found
}

/// In the path, or where Debian puts PostgreSQL.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<_> = std::env::split_paths(&path).collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        let versions = versions.filter_map(Result::ok);
        dirs.extend(versions.map(|version| version.path().join("bin")));
    }
    // Some distributions wrap the programs of PostgreSQL by links that only
    // work for the user that they were made for.
    dirs.sort_by_key(|dir| !dir.starts_with("/usr/lib/postgresql"));
    let file = dirs.into_iter().map(|dir| dir.join(name));
    file.into_iter().find(|file| file.is_file())
}

fn folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("mcp-pool-")
        .tempdir()
        .expect("a folder")
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id is there");
    id.stdout.starts_with(b"0")
}

/// PostgreSQL does not run as root.
fn as_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args([
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
            "--",
        ])
        .arg(program);
    command
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(text))
}
