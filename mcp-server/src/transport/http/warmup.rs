//! The first request, sent by the server itself: to the way of a request it is what reading once
//! is to a file.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How often: the first time reads the program in, the next ones reach the other worker threads.
const ROUNDS: usize = 4;
/// A list and a call: a read of a memory that is not there.
const REQUESTS: [(&str, &str); 2] = [
    ("tools/list", ""),
    (
        "tools/call",
        r#""name":"memory_get","arguments":{"id":"warm-up"},"#,
    ),
];

/// Asks the memory server that listens on `address` for its tools and for a memory that it does
/// not have, each time on a connection of its own. Counts as a few calls in the lane `other`.
///
/// # Errors
///
/// When a connection breaks.
pub async fn warm(address: SocketAddr) -> io::Result<()> {
    for _ in 0..ROUNDS {
        for (method, params) in REQUESTS {
            send(address, method, params).await?;
        }
    }
    Ok(())
}

async fn send(address: SocketAddr, method: &str, params: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect((loopback(address.ip()), address.port())).await?;
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}"_meta":{{
        "io.modelcontextprotocol/protocolVersion":"2026-07-28",
        "io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    );
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\nMcp-Name: memory_get\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    match answer.starts_with(b"HTTP/1.1 200 ") {
        true => Ok(()),
        false => Err(io::Error::other(format!("`{method}` was refused"))),
    }
}

/// Where a server that listens on `ip` is reached from its own machine.
fn loopback(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}
