//! A lean MCP client (revision 2026-07-28) on one keep-alive connection: it costs little beside
//! the server that it measures.

use std::{io, net::SocketAddr};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// One connection to an MCP server.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
    head: String,
    body: Vec<u8>,
}

impl Client {
    /// Connects to the server at `address`.
    ///
    /// # Errors
    ///
    /// When the connection is refused.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
            head: String::new(),
            body: Vec::new(),
        })
    }

    /// Calls a tool and returns its structured result.
    ///
    /// # Errors
    ///
    /// When the connection breaks or the answer is anything but a success.
    pub async fn call(&mut self, tool: &str, arguments: &Value) -> io::Result<Value> {
        let request = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {
                "name": tool,
                "arguments": arguments,
                "_meta": {
                    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientCapabilities": {},
                },
            },
        })
        .to_string();
        let message = format!(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\n\
             mcp-method: tools/call\r\nmcp-name: {tool}\r\ncontent-length: {}\r\n\r\n{request}",
            request.len(),
        );
        self.stream.get_mut().write_all(message.as_bytes()).await?;
        self.read_response().await?;
        let mut answer: Value = serde_json::from_slice(&self.body)?;
        let result = &mut answer["result"];
        if result["isError"] == json!(false) {
            return Ok(result["structuredContent"].take());
        }
        Err(io::Error::other(format!("`{tool}` failed: {answer}")))
    }

    async fn read_response(&mut self) -> io::Result<()> {
        let mut length = None;
        loop {
            self.head.clear();
            if self.stream.read_line(&mut self.head).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = self.head.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().ok();
            }
        }
        let length: usize =
            length.ok_or_else(|| io::Error::other("the answer has no content-length"))?;
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body).await?;
        Ok(())
    }
}
