//! A client in a session, on a connection of its own.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use super::Failure;

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1.0.0"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
const CALL: &str = r#"{"jsonrpc":"2.0","id":12,"method":"tools/call","params":{"name":"bench_text","arguments":{}}}"#;

pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    /// The call as it goes over the wire.
    call: String,
    line: Vec<u8>,
    body: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::with_capacity(64 * 1024, stream),
            call: String::new(),
            line: Vec::new(),
            body: Vec::new(),
        })
    }

    /// Opens a session and goes on in it.
    pub(crate) async fn open(&mut self) -> Result<(), Failure> {
        self.send(&request("", INITIALIZE)).await?;
        let session = self.answer("200 OK").await?.ok_or("a session has an id")?;
        let header = format!("mcp-session-id: {session}\r\n");
        self.send(&request(&header, INITIALIZED)).await?;
        self.answer("202 Accepted").await?;
        self.call = request(&header, CALL);
        Ok(())
    }

    pub(crate) async fn call(&mut self) -> Result<(), Failure> {
        let call = std::mem::take(&mut self.call);
        let sent = self.send(&call).await;
        self.call = call;
        sent?;
        self.answer("200 OK").await?;
        let is_result = self.body.windows(9).any(|part| part == b"\"result\":");
        match is_result {
            true => Ok(()),
            false => Err(format!("not a result: {}", String::from_utf8_lossy(&self.body)).into()),
        }
    }

    async fn send(&mut self, request: &str) -> Result<(), Failure> {
        Ok(self.stream.get_mut().write_all(request.as_bytes()).await?)
    }

    /// Reads a response, whole or in chunks; the session that it names, if it names one.
    async fn answer(&mut self, status: &str) -> Result<Option<String>, Failure> {
        let (mut length, mut session) = (None, None);
        self.read_line().await?;
        let first = str::from_utf8(&self.line)?.trim_end();
        if first.strip_prefix("HTTP/1.1 ") != Some(status) {
            return Err(format!("not {status}: {first}").into());
        }
        loop {
            self.read_line().await?;
            let text = str::from_utf8(&self.line)?.trim_end();
            let Some((name, value)) = text.split_once(": ") else {
                break;
            };
            match name {
                "content-length" => length = Some(value.parse()?),
                "mcp-session-id" => session = Some(value.to_owned()),
                _ => {}
            }
        }
        self.body.clear();
        match length {
            Some(length) => self.read_exactly(length).await?,
            None if status.starts_with("202") => {}
            None => self.read_chunks().await?,
        }
        Ok(session)
    }

    async fn read_chunks(&mut self) -> Result<(), Failure> {
        loop {
            self.read_line().await?;
            let length = usize::from_str_radix(str::from_utf8(&self.line)?.trim_end(), 16)?;
            self.read_exactly(length).await?;
            self.read_line().await?;
            if length == 0 {
                return Ok(());
            }
        }
    }

    async fn read_line(&mut self) -> Result<(), Failure> {
        self.line.clear();
        match self.stream.read_until(b'\n', &mut self.line).await? {
            0 => Err("the server closed the connection".into()),
            _ => Ok(()),
        }
    }

    async fn read_exactly(&mut self, length: usize) -> Result<(), Failure> {
        let had = self.body.len();
        self.body.resize(had + length, 0);
        self.stream.read_exact(&mut self.body[had..]).await?;
        Ok(())
    }
}

fn request(session: &str, body: &str) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: \
         application/json, text/event-stream\r\nmcp-protocol-version: 2025-11-25\r\n{session}\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}
