//! As much of an MCP client as an example takes, over a pipe in memory.

use rmcp::{RoleServer, Service, ServiceExt};
use serde_json::{Value, json};
use std::{error::Error, io};
use tokio::io::{
    AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf,
};

/// A client of one server, of revision 2025-11-25.
#[derive(Debug)]
pub struct Client {
    answers: Lines<BufReader<ReadHalf<DuplexStream>>>,
    pipe: WriteHalf<DuplexStream>,
    sent: u64,
}

impl Client {
    /// Serves `server` on the other end of a pipe, and greets it.
    ///
    /// # Errors
    /// The server ended.
    pub async fn connect(server: impl Service<RoleServer>) -> Result<Self, Box<dyn Error>> {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        tokio::spawn(async move {
            let running = server.serve(tokio::io::split(theirs)).await?;
            running.waiting().await?;
            Ok::<_, Box<dyn Error + Send + Sync>>(())
        });
        let (read, pipe) = tokio::io::split(ours);
        let mut client = Self {
            answers: BufReader::new(read).lines(),
            pipe,
            sent: 0,
        };
        let hello = json!({"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "example", "version": "1.0"}}});
        client.write(&hello).await?;
        client.answers.next_line().await?.ok_or("no server")?;
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        client.write(&ready).await?;
        Ok(client)
    }

    /// Calls a tool without waiting for the answer.
    ///
    /// # Errors
    /// The server ended.
    pub async fn send(&mut self, tool: &str, arguments: &Value) -> io::Result<()> {
        self.sent += 1;
        let call = json!({"jsonrpc": "2.0", "id": self.sent, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments}});
        self.write(&call).await
    }

    /// The text of the next answer, of whichever call, or the message of its error.
    ///
    /// # Errors
    /// The server ended, or what it says is no answer.
    pub async fn answer(&mut self) -> Result<String, Box<dyn Error>> {
        let line = self.answers.next_line().await?.ok_or("the server ended")?;
        let answer: Value = serde_json::from_str(&line)?;
        let text = answer["result"]["content"][0]["text"].as_str();
        let text = text.or_else(|| answer["error"]["message"].as_str());
        Ok(text.ok_or(line.as_str())?.to_owned())
    }

    /// Calls a tool that takes nothing, and waits for its answer.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub async fn call(&mut self, tool: &str) -> Result<String, Box<dyn Error>> {
        self.send(tool, &json!({})).await?;
        self.answer().await
    }

    async fn write(&mut self, message: &Value) -> io::Result<()> {
        self.pipe.write_all(format!("{message}\n").as_bytes()).await
    }
}
