//! The address, who answers there, and Redis.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::Finding;
use crate::config::{Config, StoreKind};

/// The longest that a server is waited for.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// More than any answer here takes.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// An answer to a GET.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Asked {
    /// The status.
    pub status: u16,
    /// The body; null where it is no JSON.
    pub body: Value,
}

/// Asks the server at `address` for `path`, within 5 s.
///
/// # Errors
///
/// Nobody listens there, or what answers speaks no HTTP.
///
/// # Cancel safety
///
/// Cancel safe: the connection is closed.
pub async fn ask(address: SocketAddr, path: &str, token: Option<&str>) -> io::Result<Asked> {
    let asked = async {
        let mut stream = TcpStream::connect(reached(address)).await?;
        let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\
             Accept: application/json\r\n{}\r\n",
            address.port(),
            authorization.unwrap_or_default()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream
            .take(ANSWER_BYTES_MAX)
            .read_to_end(&mut answer)
            .await?;
        parse(&answer).ok_or_else(|| io::Error::other("what answers there speaks no HTTP"))
    };
    let elapsed = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
    timeout(ASK_TIMEOUT, asked).await.map_err(elapsed)?
}

fn parse(answer: &[u8]) -> Option<Asked> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = str::from_utf8(&answer[..end]).ok()?;
    let line = head.lines().next()?.strip_prefix("HTTP/1.1 ")?;
    Some(Asked {
        status: line.get(..3)?.parse().ok()?,
        body: serde_json::from_slice(&answer[end + 4..]).unwrap_or_default(),
    })
}

/// Where a server that listens on `address` is reached from its own machine.
#[must_use]
pub fn reached(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Whether the address is free, taken by a server like this, or by something else.
pub(super) async fn look(config: &Config) -> Vec<Finding> {
    const CHECK: &str = "address";
    let address = config.http.listen;
    if address.port() == 0 {
        return vec![Finding::ok(CHECK, "any free port is taken at the start")];
    }
    match ask(address, "/readyz", None).await {
        Ok(answer) if answer.body["parts"].is_object() => {
            let mut findings = vec![Finding::ok(CHECK, format!("a server runs on {address}"))];
            findings.extend(parts(&answer.body["parts"]));
            findings
        }
        Ok(_) => vec![taken(config, "another HTTP server")],
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => vec![free(address).await],
        // Nobody can be asked, and yet the address may be none of this machine.
        Err(_) => match free(address).await {
            finding if finding.mend.is_none() => vec![finding],
            _ => vec![taken(config, "something that is no server like this")],
        },
    }
}

async fn free(address: SocketAddr) -> Finding {
    match TcpListener::bind(address).await {
        Ok(_) => Finding::ok("address", format!("{address} is free")),
        Err(error) => Finding::failure(
            "address",
            format!("cannot listen on {address}: {error}"),
            "choose another one with http.listen or --listen",
        ),
    }
}

fn taken(config: &Config, by: &str) -> Finding {
    Finding::failure(
        "address",
        format!("{} is taken by {by}", config.http.listen),
        "stop that program, or choose another port with http.listen or --listen",
    )
}

/// What `/readyz` says of each part.
fn parts(parts: &Value) -> Vec<Finding> {
    let parts = parts.as_object().into_iter().flatten();
    parts
        .map(|(name, part)| {
            let check = format!("running: {name}");
            match (part["status"].as_str(), part["reason"].as_str()) {
                (Some("ok"), _) => Finding::ok(check, "fit"),
                (Some("degraded"), reason) => Finding::warning(
                    check,
                    reason.unwrap_or("not fit").to_owned(),
                    "the server works without that part, only less well",
                ),
                (status, reason) => Finding::failure(
                    check,
                    reason.or(status).unwrap_or("not fit").to_owned(),
                    "see what is said of that part here; the server's log has more",
                ),
            }
        })
        .collect()
}

/// Whether each Redis that is configured answers.
pub(super) async fn redis(config: &Config) -> Vec<Finding> {
    let redis = &config.memory.cache.redis;
    if config.memory.store == StoreKind::Sqlite || !redis.enabled {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for endpoint in &redis.endpoints {
        // Behind TLS, nothing can be said without it: a connection has to do.
        let address = endpoint.place();
        let address = address.as_str();
        let asked = async {
            match endpoint.as_str().starts_with("rediss:") {
                true => TcpStream::connect(address).await.map(drop),
                false => ping(address).await,
            }
        };
        findings.push(match timeout(ASK_TIMEOUT, asked).await {
            Ok(Ok(())) => Finding::ok("redis", format!("{address} answers")),
            Ok(Err(error)) => unreachable(address, &error.to_string()),
            Err(_) => unreachable(address, "no answer in time"),
        });
    }
    findings
}

/// Without Redis the server serves on.
fn unreachable(address: &str, reason: &str) -> Finding {
    Finding::warning(
        "redis",
        format!("{address} does not answer: {reason}"),
        "start it, or correct the address; until then everything works without it, only slower",
    )
}

async fn ping(address: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 8];
    let read = stream.read(&mut answer).await?;
    match &answer[..read] {
        // `-NOAUTH`, `-DENIED`: it is there, and wants to know who asks.
        answer
            if [&b"+PONG"[..], b"-NOAUTH", b"-DENIED"]
                .iter()
                .any(|it| answer.starts_with(it)) =>
        {
            Ok(())
        }
        _ => Err(io::Error::other("what answers there is no Redis")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doctor::{Verdict, worst};

    #[test]
    fn an_answer_is_a_status_and_json() {
        let answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}";
        let asked = parse(answer).unwrap();
        assert_eq!((asked.status, asked.body), (503, json!({})));
        assert_eq!(parse(b"SSH-2.0-OpenSSH\r\n\r\n"), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn a_part_that_is_not_fit_is_a_failure() {
        let findings = parts(&json!({"store": {"status": "ok"}}));
        assert_eq!(worst(&findings), Verdict::Ok);
        let findings = parts(&json!({"store": {"status": "failed", "reason": "disk full"}}));
        assert_eq!(
            (worst(&findings), &*findings[0].says),
            (Verdict::Failure, "disk full")
        );
    }

    #[tokio::test]
    async fn who_is_on_the_port_is_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = Config::default();
        config.http.listen = listener.local_addr().unwrap();
        let stranger = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"220 mail\r\n").await.unwrap();
            // It stays: the port is tried again afterwards.
            std::future::pending::<()>().await;
        });
        let findings = look(&config).await;
        assert_eq!(worst(&findings), Verdict::Failure, "{findings:?}");
        stranger.abort();
        let _ = stranger.await;
        let findings = look(&config).await;
        assert_eq!(worst(&findings), Verdict::Ok, "{findings:?}");
    }
}
