//! The HTTP server's configuration.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    CompressionConfig, ConfigError, DashboardConfig, HostPort, Origin, RateLimitConfig,
    WebSocketConfig,
};

/// As deep as the JSON parser goes.
const JSON_DEPTH_MAX: usize = 128;
/// Less than this hyper does not take.
const HEADER_BYTES_MIN: usize = 8_192;

/// With less, a stream would hold hardly a message.
const SESSION_BYTES_MIN: u64 = 64 << 10;

/// Configuration of the HTTP server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// The address to listen on. Default `127.0.0.1:7420`. Port 0 takes any free port.
    pub listen: SocketAddr,
    /// Whether clients must show a token on a loopback address, too; beyond loopback they always
    /// must. Tokens are made by `mcp-server token add`. Default false: who shows none there works
    /// as the tenant `local` and may do everything.
    pub require_token: bool,
    /// Lets the server listen beyond loopback and ask for no token: everybody who reaches the
    /// address can read, change and delete all memories of the tenant `local`. Default false.
    pub danger_listen_without_auth: bool,
    /// Names by which clients may call the server in their `Host` header, besides the loopback
    /// names: `name` for any port, `name:port` for one. Default none.
    pub allowed_hosts: Vec<String>,
    /// Web origins whose pages may call the server, such as `https://app.example.com`, besides
    /// pages of the server itself. Default none.
    pub allowed_origins: Vec<String>,
    /// Whether requests that can be decided in one pass are answered without the SDK. The answers
    /// are the same. Default true.
    pub front: bool,
    /// How answers are packed.
    pub compression: CompressionConfig,
    /// The largest request body, in bytes, as it is sent and as it is unpacked. Default 4 MiB. Every call in flight may hold as much.
    /// Reloadable.
    pub body_bytes_max: usize,
    /// How deep the arrays and objects of a request may lie in each other. Default 128, and at most
    /// that. Reloadable.
    pub json_depth_max: usize,
    /// The most bytes of a request's line and headers, at least 8,192. Default 64 KiB. Every
    /// connection may hold as much.
    pub header_bytes_max: usize,
    /// How long a client may take to send a request's headers, counted from the connection's
    /// opening or the previous answer: idle connections are closed after it, too. Default 30 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub header_timeout: Duration,
    /// How long a client may take to send a request's body. Default 30 s. Reloadable.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub body_timeout: Duration,
    /// How long a client may leave an answer lying: after it, who has taken less than 4 KiB for each
    /// second is hung up. Default 30 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub write_timeout: Duration,
    /// How often one caller may ask. Reloadable.
    pub rate_limit: RateLimitConfig,
    /// MCP over WebSockets.
    pub websocket: WebSocketConfig,
    /// The page at `/dashboard`.
    pub dashboard: DashboardConfig,
    /// The most connections at once; further ones wait in the operating system's queue.
    /// Default 20,000. Each costs a file descriptor and a few KiB.
    pub connections_max: NonZeroUsize,
    /// The most sessions at once (clients before revision 2026-07-28 only). For one more, the
    /// longest idle is closed; where all were used within the last minute it is refused with 503.
    /// Default 10,000. Each costs a few KiB. Reloadable.
    pub sessions_max: usize,
    /// The most sessions of one client at once; without authentication there is one client.
    /// Default 100. Reloadable.
    pub sessions_per_client_max: usize,
    /// Bytes that the streams of one session may hold, unread and kept for a client that comes
    /// back; half of it in one stream, so that a larger answer does not get into one. Default 32 MiB.
    pub session_bytes_max: u64,
    /// Bytes that the streams of all sessions may hold. Default 256 MiB.
    pub sessions_bytes_max: u64,
    /// How long a session may go without a message before it is closed; an open stream is none.
    /// Default 4 h. A client whose session has gone must open another, which not all do.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub session_idle_timeout: Duration,
    /// How long calls in flight may take to finish when the server stops. Default 10 s.
    /// Reloadable.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub drain_timeout: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7420)),
            require_token: false,
            danger_listen_without_auth: false,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            front: true,
            compression: CompressionConfig::default(),
            body_bytes_max: 4 * 1024 * 1024,
            json_depth_max: JSON_DEPTH_MAX,
            header_bytes_max: 64 * 1024,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            rate_limit: RateLimitConfig::default(),
            websocket: WebSocketConfig::default(),
            dashboard: DashboardConfig::default(),
            connections_max: NonZeroUsize::new(20_000).expect("20,000 is not zero"),
            sessions_max: 10_000,
            sessions_per_client_max: 100,
            session_bytes_max: 32 << 20,
            sessions_bytes_max: 256 << 20,
            session_idle_timeout: Duration::from_secs(4 * 3600),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

impl HttpConfig {
    /// Whether clients must show a token.
    #[must_use]
    pub fn asks_for_tokens(&self) -> bool {
        let open = self.listen.ip().is_loopback() || self.danger_listen_without_auth;
        self.require_token || !open
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if let Some(odd) = odd_one(&self.allowed_hosts, |host| HostPort::parse(host).is_some()) {
            return Err(ConfigError::invalid(
                "http.allowed_hosts",
                format!("has `{odd}`, which is no host: write `name` or `name:port`"),
            ));
        }
        if let Some(odd) = odd_one(&self.allowed_origins, |origin| {
            Origin::parse(origin).is_some()
        }) {
            return Err(ConfigError::invalid(
                "http.allowed_origins",
                format!(
                    "has `{odd}`, which is no origin: write `https://name` or `https://name:port`"
                ),
            ));
        }
        if self.body_bytes_max == 0 {
            return Err(ConfigError::invalid(
                "http.body_bytes_max",
                "must not be 0: every request would be refused",
            ));
        }
        if !(1..=JSON_DEPTH_MAX).contains(&self.json_depth_max) {
            return Err(ConfigError::invalid(
                "http.json_depth_max",
                format!("must be from 1 to {JSON_DEPTH_MAX}, which is as deep as is parsed"),
            ));
        }
        if self.header_bytes_max < HEADER_BYTES_MIN {
            return Err(ConfigError::invalid(
                "http.header_bytes_max",
                format!("must be at least {HEADER_BYTES_MIN}"),
            ));
        }
        self.rate_limit.validate()?;
        self.websocket.validate()?;
        let bytes = SESSION_BYTES_MIN..=mcp_streaming::BUDGET_BYTES_MAX;
        for (field, bytes_max) in [
            ("http.session_bytes_max", self.session_bytes_max),
            ("http.sessions_bytes_max", self.sessions_bytes_max),
        ] {
            if !bytes.contains(&bytes_max) {
                let reason = format!("must be from {} to {}", bytes.start(), bytes.end());
                return Err(ConfigError::invalid(field, reason));
            }
        }
        for (field, timeout) in [
            ("http.header_timeout", self.header_timeout),
            ("http.body_timeout", self.body_timeout),
            ("http.write_timeout", self.write_timeout),
            ("http.session_idle_timeout", self.session_idle_timeout),
        ] {
            if timeout.is_zero() {
                return Err(ConfigError::invalid(field, "must be longer than 0"));
            }
        }
        Ok(())
    }
}

fn odd_one(list: &[String], is_good: impl Fn(&str) -> bool) -> Option<&String> {
    list.iter().find(|entry| !is_good(entry))
}
