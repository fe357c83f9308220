//! A plain HTTP client, and a call of a tool with it.

use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::{io, net::SocketAddr};
use tokio::net::TcpStream;

/// Sends one request over a connection of its own, and reads the whole answer.
///
/// # Errors
/// The connection could not be made, or broke.
pub async fn send(addr: SocketAddr, request: Request<Full<Bytes>>) -> io::Result<Response<Bytes>> {
    let stream = TcpStream::connect(addr).await?;
    let io = TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io)
        .await
        .map_err(io::Error::other)?;
    let exchange = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(io::Error::other)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        Ok(Response::from_parts(head, body))
    };
    tokio::select! {
        result = exchange => result,
        ended = connection => Err(ended.err().map_or_else(
            || io::Error::from(io::ErrorKind::UnexpectedEof),
            io::Error::other,
        )),
    }
}

/// The request by which a client of revision 2026-07-28 calls a tool.
///
/// # Errors
/// The tool's name cannot stand in a header.
pub fn tool_call(
    addr: SocketAddr,
    tool: &str,
    arguments: &Value,
) -> ::http::Result<Request<Full<Bytes>>> {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": tool, "arguments": arguments,
        "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "example", "version": "1.0"},
            "io.modelcontextprotocol/clientCapabilities": {}}}});
    Request::post("/mcp")
        .header("host", addr.to_string())
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", tool)
        .body(Bytes::from(body.to_string()).into())
}

/// Calls a tool of the MCP server at `addr`, and reads what it answers.
///
/// # Errors
/// The connection broke, or the answer is no JSON.
pub async fn call_tool(addr: SocketAddr, tool: &str, arguments: &Value) -> io::Result<Value> {
    let request = tool_call(addr, tool, arguments).map_err(io::Error::other)?;
    let response = send(addr, request).await?;
    Ok(serde_json::from_slice(response.body())?)
}
