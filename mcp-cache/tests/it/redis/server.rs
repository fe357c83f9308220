//! A `redis-server` of our own.

use super::until;
use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

pub(crate) struct Server {
    port: u16,
    dir: TempDir,
    args: Vec<String>,
    process: Option<Child>,
}

/// Whether the programs are there; where they are not, that is said.
pub(crate) fn is_installed() -> bool {
    let version = |program| {
        let asked = Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        asked.is_ok()
    };
    let found = version("redis-server") && version("redis-cli");
    let required = std::env::var_os("MCP_TEST_REQUIRE_SERVICES").is_some_and(|on| on == "1");
    assert!(found || !required, "Redis is missing, and required");
    if !found {
        eprintln!("skipped: redis-server or redis-cli is not installed");
    }
    found
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

impl Server {
    pub(crate) async fn start() -> Option<Self> {
        if !is_installed() {
            return None;
        }
        Some(Self::with(&[]).await)
    }

    /// With these arguments, too; Redis is installed.
    pub(crate) async fn with(args: &[&str]) -> Self {
        let mut server = Self {
            port: free_port(),
            dir: tempfile::tempdir().expect("a folder"),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            process: None,
        };
        server.resume_from_disk().await;
        server
    }

    /// A sentinel of the group `tier` with this master.
    pub(crate) async fn sentinel(master: u16) -> Self {
        let mut server = Self {
            port: free_port(),
            dir: tempfile::tempdir().expect("a folder"),
            args: Vec::new(),
            process: None,
        };
        let config = format!(
            "port {}\nbind 127.0.0.1\nsentinel monitor tier 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds tier 400\nsentinel failover-timeout tier 3000\n",
            server.port
        );
        let file = server.dir.path().join("sentinel.conf");
        std::fs::write(&file, config).expect("a file");
        let process = Command::new("redis-server")
            .arg(&file)
            .arg("--sentinel")
            .stdout(Stdio::null())
            .spawn();
        server.process = Some(process.expect("redis-server starts"));
        server.listens().await;
        server
    }

    async fn listens(&self) {
        let address = ("127.0.0.1", self.port);
        until(|| std::net::TcpStream::connect(address).is_ok()).await;
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Starts it with what was [saved](Self::save) last.
    pub(crate) async fn resume_from_disk(&mut self) {
        let process = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(self.dir.path())
            .args(&self.args)
            .stdout(Stdio::null())
            .spawn();
        self.process = Some(process.expect("redis-server starts"));
        self.listens().await;
    }

    /// Starts it with nothing.
    pub(crate) async fn resume_empty(&mut self) {
        let _ = std::fs::remove_file(self.dir.path().join("dump.rdb"));
        self.resume_from_disk().await;
    }

    pub(crate) async fn save(&self) {
        let () = self.command(&["SAVE"]).await;
    }

    /// As power fails.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it ran");
            process.wait().expect("it ended");
        }
    }

    /// It holds its connections and answers nothing.
    pub(crate) fn stop(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn cont(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let process = self.process.as_ref().expect("it runs");
        let pid = process.id().to_string();
        let sent = Command::new("kill")
            .args([signal, &pid])
            .status()
            .expect("kill");
        assert!(sent.success());
    }

    /// A command on a connection of its own.
    pub(crate) async fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_command(words).await.expect("a good command")
    }

    pub(crate) async fn try_command<T: redis::FromRedisValue>(
        &self,
        words: &[&str],
    ) -> redis::RedisResult<T> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query_async(&mut connection).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // A stopped one, too.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
