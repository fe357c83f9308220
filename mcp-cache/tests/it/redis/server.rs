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
    process: Option<Child>,
}

impl Server {
    pub(crate) async fn start() -> Option<Self> {
        let found = Command::new("redis-server")
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        if found.is_err() {
            let required =
                std::env::var_os("MCP_TEST_REQUIRE_SERVICES").is_some_and(|on| on == "1");
            assert!(!required, "redis-server is missing, and required");
            eprintln!("skipped: redis-server is not installed");
            return None;
        }
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        let dir = tempfile::tempdir().expect("a folder");
        let mut server = Self {
            port,
            dir,
            process: None,
        };
        server.resume_from_disk().await;
        Some(server)
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
            .stdout(Stdio::null())
            .spawn();
        self.process = Some(process.expect("redis-server starts"));
        let address = ("127.0.0.1", self.port);
        until(|| std::net::TcpStream::connect(address).is_ok()).await;
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
        let client = redis::Client::open(self.url()).expect("an address");
        let connection = client.get_multiplexed_async_connection().await;
        let mut connection = connection.expect("it runs");
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command
            .query_async(&mut connection)
            .await
            .expect("a good command")
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
