//! Real Redis servers, each on a free port and in a folder of its own.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use mcp_server::adapters::{CacheConfig, SharedConfig};
use serde_json::json;
use tempfile::TempDir;

use super::{process::folder, until};

/// A running server, killed when this is dropped.
pub(crate) struct Redis {
    pub(crate) port: u16,
    dir: TempDir,
    child: Option<Child>,
}

impl Redis {
    /// An empty server; `None`, and a word on it, where Redis is not installed, unless
    /// `MCP_TEST_REQUIRE_SERVICES` is 1.
    pub(crate) async fn start() -> Option<Self> {
        if !is_installed() {
            return None;
        }
        let mut server = Self {
            port: free_port(),
            dir: folder(),
            child: None,
        };
        server.start_again().await;
        Some(server)
    }

    /// Starts it, or starts it again with what was [saved](Self::save) last.
    pub(crate) async fn start_again(&mut self) {
        let child = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.expect("redis-server starts"));
        let address = ("127.0.0.1", self.port);
        until("an answer of Redis", async || {
            tokio::net::TcpStream::connect(address).await.ok()
        })
        .await;
    }

    /// Keeps what it holds now for the next start.
    pub(crate) fn save(&self) {
        assert_eq!(self.ask(&["SAVE"]).trim(), "OK");
    }

    /// As power fails.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it ran");
            child.wait().expect("it ended");
        }
    }

    /// It holds its connections and answers nothing.
    pub(crate) fn hang(&self) {
        self.signal("-STOP");
    }

    /// It goes on.
    pub(crate) fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().expect("it runs").id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status();
        assert!(sent.expect("kill is there").success());
    }

    /// What the server says to a command.
    pub(crate) fn ask(&self, command: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-p", &self.port.to_string()])
            .args(command)
            .output()
            .expect("redis-cli starts");
        String::from_utf8(output.stdout).expect("text")
    }

    /// The answers that are kept there.
    pub(crate) fn keys(&self) -> Vec<String> {
        let said = self.ask(&["KEYS", "mcp-server:a:*"]);
        said.lines().map(str::to_owned).collect()
    }

    pub(crate) fn config(&self) -> SharedConfig {
        endpoint(&format!("127.0.0.1:{}", self.port))
    }
}

/// What is shared by the server at `address`.
pub(crate) fn endpoint(address: &str) -> SharedConfig {
    SharedConfig {
        enabled: true,
        endpoints: serde_json::from_value(json!([address])).expect("an address"),
        ..SharedConfig::default()
    }
}

/// A cache that shares what it reads.
pub(crate) fn sharing(redis: SharedConfig) -> CacheConfig {
    CacheConfig {
        redis,
        ..CacheConfig::default()
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // A stopped one, too.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn is_installed() -> bool {
    let there = |program| {
        let asked = Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        asked.is_ok()
    };
    let found = there("redis-server") && there("redis-cli");
    let required = std::env::var_os("MCP_TEST_REQUIRE_SERVICES").is_some_and(|value| value == "1");
    assert!(found || !required, "Redis is not installed");
    if !found {
        eprintln!("skipped: redis-server or redis-cli is not installed");
    }
    found
}
