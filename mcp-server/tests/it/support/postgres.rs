//! Real PostgreSQL servers, each on a free port and in a folder of its own.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use mcp_server::{
    config::Dsn,
    memory::postgres::{PostgresConfig, PostgresStore},
};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Child;

use super::{process::folder, until, within};

/// A running server, stopped when this is dropped.
pub(crate) struct Postgres {
    postgres: PathBuf,
    dir: TempDir,
    pub(crate) port: u16,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Postgres {
    /// An empty server; `None`, and a word on it, where PostgreSQL is not installed, unless
    /// `MCP_TEST_REQUIRE_SERVICES` is 1.
    pub(crate) async fn start() -> Option<Self> {
        Self::start_with("trust", &[]).await
    }

    /// The same with a way to log in (`--auth` of `initdb`; passwords are `secret`) and settings.
    pub(crate) async fn start_with(auth: &str, settings: &[&str]) -> Option<Self> {
        let (initdb, postgres) = (program("initdb")?, program("postgres")?);
        let dir = owned_folder();
        let password = dir.path().join("password");
        std::fs::write(&password, "secret").unwrap();
        let mut init = as_user(&initdb);
        init.args([
            "--username=postgres",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C",
        ]);
        init.arg(format!("--auth={auth}"));
        init.arg(format!("--pwfile={}", password.display()));
        init.arg("-D").arg(dir.path().join("data"));
        run(&mut init);
        Some(Self::serve(postgres, dir, settings).await)
    }

    /// A standby that follows this one by streaming.
    pub(crate) async fn standby(&self) -> Self {
        let basebackup = program("pg_basebackup").expect("it comes with the server");
        let dir = owned_folder();
        let mut backup = as_user(&basebackup);
        backup.args([
            "-h",
            "127.0.0.1",
            "-U",
            "postgres",
            "-p",
            &self.port.to_string(),
        ]);
        backup.args([
            "--checkpoint=fast",
            "--no-sync",
            "--write-recovery-conf",
            "-D",
        ]);
        backup.arg(dir.path().join("data"));
        run(&mut backup);
        Self::serve(self.postgres.clone(), dir, &[]).await
    }

    async fn serve(postgres: PathBuf, dir: TempDir, settings: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        drop(listener);
        let mut server = Self {
            postgres,
            dir,
            port,
            arguments: settings
                .iter()
                .map(|setting| format!("-c{setting}"))
                .collect(),
            child: None,
        };
        server.start_again().await;
        server
    }

    /// Starts it, or starts it again, and waits until it answers.
    pub(crate) async fn start_again(&mut self) {
        let mut command = as_user(&self.postgres);
        command.arg("-D").arg(self.dir.path().join("data"));
        command.args(["-p", &self.port.to_string(), "-h", "127.0.0.1", "-k", ""]);
        command.args([
            "-cfsync=off",
            "-cmax_connections=100",
            "-cmax_wal_senders=4",
        ]);
        command.args(&self.arguments);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = tokio::process::Command::from(command).spawn();
        self.child = Some(child.expect("it starts"));
        let ready = program("pg_isready").expect("it comes with the server");
        until("an answer of PostgreSQL", async || {
            let mut asked = Command::new(&ready);
            asked.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
            let status = tokio::process::Command::from(asked).status().await;
            status.is_ok_and(|status| status.success()).then_some(())
        })
        .await;
    }

    /// Ends it at once and with all its processes, as a crash would: nothing is written down.
    pub(crate) async fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        self.signal_all("KILL", &child);
        within("the end of PostgreSQL", child.wait()).await.unwrap();
        // The next start must not believe that the old one still runs.
        let _ = std::fs::remove_file(self.dir.path().join("data/postmaster.pid"));
    }

    /// Stops all its processes where they are.
    pub(crate) fn hang(&self) {
        self.signal_all("STOP", self.child.as_ref().expect("it runs"));
    }

    /// Lets them go on.
    pub(crate) fn go_on(&self) {
        self.signal_all("CONT", self.child.as_ref().expect("it runs"));
    }

    fn signal_all(&self, signal: &str, child: &Child) {
        let Some(pid) = child.id() else { return };
        let pid = pid.to_string();
        // The server itself last when it is to die: it would start others again.
        let kill = |arguments: &[&str]| {
            let _ = Command::new("pkill").args(arguments).status();
        };
        kill(&[&format!("-{signal}"), "-P", &pid]);
        let _ = Command::new("kill")
            .args([&format!("-{signal}"), &pid])
            .status();
        kill(&[&format!("-{signal}"), "-P", &pid]);
    }

    pub(crate) fn dsn(&self) -> String {
        format!(
            "postgres://postgres:secret@127.0.0.1:{}/postgres",
            self.port
        )
    }

    /// A store's settings for this database.
    pub(crate) fn config(&self) -> PostgresConfig {
        PostgresConfig {
            dsn: Some(dsn(&self.dsn())),
            ..PostgresConfig::default()
        }
    }

    /// A store in this database, with its index in `dir`.
    pub(crate) async fn open(&self, dir: &Path) -> PostgresStore {
        PostgresStore::open(dir, &self.config())
            .await
            .expect("the database answers")
    }

    /// Somebody else's connection.
    pub(crate) async fn client(&self) -> tokio_postgres::Client {
        let connected = tokio_postgres::connect(&self.dsn(), tokio_postgres::NoTls).await;
        let (client, connection) = connected.expect("the database answers");
        tokio::spawn(connection);
        client
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            self.signal_all("CONT", &child);
            if let Some(pid) = child.id() {
                // Ends its children, too.
                let _ = Command::new("kill")
                    .args(["-QUIT", &pid.to_string()])
                    .status();
            }
        }
    }
}

/// Whether PostgreSQL is; where it is not, that is said.
pub(crate) fn is_installed() -> bool {
    program("initdb").is_some()
}

pub(crate) fn dsn(text: &str) -> Dsn {
    serde_json::from_value(json!(text)).expect("an address")
}

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

/// Where Debian puts PostgreSQL, or in the path.
fn find(name: &str) -> Option<PathBuf> {
    let mut dirs = Vec::new();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        dirs.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    dirs.extend(std::env::split_paths(&path));
    dirs.into_iter()
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// A folder of the user whom PostgreSQL runs as.
pub(crate) fn owned_folder() -> TempDir {
    let dir = folder();
    if is_root() {
        run(Command::new("chown").arg("postgres:").arg(dir.path()));
    }
    dir
}

/// Gives a file to the user whom PostgreSQL runs as, who alone may read it.
pub(crate) fn own(file: &Path) {
    run(Command::new("chmod").arg("600").arg(file));
    if is_root() {
        run(Command::new("chown").arg("postgres:").arg(file));
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id is there");
    id.stdout.starts_with(b"0\n")
}

/// PostgreSQL does not run as root.
fn as_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid=postgres",
        "--regid=postgres",
        "--clear-groups",
        "--",
    ]);
    command.arg(program);
    command
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
