//! A raw HTTP/1.1 client: sends any bytes, reads what comes back, leaves nothing to a library.

use std::{io, net::SocketAddr};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpSocket, TcpStream},
};

use super::within;

/// One connection.
pub(crate) struct Http {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
}

/// The head of a response, before its body.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
}

/// A response with its whole body.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) head: Head,
    pub(crate) body: String,
}

impl Http {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address)
            .await
            .expect("the server listens")
    }

    /// A connection whose kernel takes only a little before it is read.
    pub(crate) async fn connect_with_small_buffer(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        let stream = socket.connect(address).await.expect("the server listens");
        Self {
            stream: BufReader::new(stream),
            address,
        }
    }

    pub(crate) async fn try_connect(address: SocketAddr) -> io::Result<Self> {
        let stream = within("connecting", TcpStream::connect(address)).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
            address,
        })
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.expect("the connection is open");
    }

    /// For a server that may hang up while it is being talked to.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        within("sending", self.stream.write_all(bytes.as_ref())).await
    }

    /// Sends a whole request; `Host` and `Content-Length` are added.
    pub(crate) async fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) {
        self.try_request(method, path, headers, body)
            .await
            .expect("the connection is open");
    }

    pub(crate) async fn try_request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> io::Result<()> {
        let body = body.as_ref();
        let mut bytes = self.head_of(method, path, headers, body.len());
        bytes.extend_from_slice(body);
        self.try_send(bytes).await
    }

    /// Starts a POST to `/mcp` and returns once the server is at work on it, which is when it asks
    /// for the body.
    pub(crate) async fn begin(&mut self, headers: &[(&str, &str)], body_len: usize) {
        let mut headers = headers.to_vec();
        headers.push(("Expect", "100-continue"));
        let head = self.head_of("POST", "/mcp", &headers, body_len);
        self.send(head).await;
        assert_eq!(self.head().await.status, 100);
    }

    fn head_of(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body_len: usize,
    ) -> Vec<u8> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {body_len}\r\n\r\n"));
        head.into_bytes()
    }

    pub(crate) async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Response {
        self.request("GET", path, headers, "").await;
        self.response().await
    }

    pub(crate) async fn head(&mut self) -> Head {
        self.try_head().await.expect("the server answers")
    }

    pub(crate) async fn response(&mut self) -> Response {
        self.try_response().await.expect("the server answers")
    }

    /// Waits until the server has closed, and returns what it sent before that.
    pub(crate) async fn closed(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset is a close, too.
        let _ = within("the close", self.stream.read_to_end(&mut rest)).await;
        String::from_utf8_lossy(&rest).into_owned()
    }

    /// Reads on until a line holds `text`.
    pub(crate) async fn hears(&mut self, text: &str) {
        let heard = async {
            let mut line = String::new();
            while !line.contains(text) {
                line.clear();
                let read = self.stream.read_line(&mut line).await.expect("it goes on");
                assert!(read > 0, "the end, and no {text}");
            }
        };
        within(text, heard).await;
    }

    /// For a server that may be gone at any moment: an error is a connection that broke.
    pub(crate) async fn try_response(&mut self) -> io::Result<Response> {
        let head = self.try_head().await?;
        self.try_rest_of(head).await
    }

    /// The body of an answer whose head was read.
    pub(crate) async fn rest_of(&mut self, head: Head) -> Response {
        self.try_rest_of(head).await.expect("the answer goes on")
    }

    async fn try_rest_of(&mut self, head: Head) -> io::Result<Response> {
        let body = self.try_bytes_of(&head).await?;
        Ok(Response {
            head,
            body: String::from_utf8(body).expect("bodies are UTF-8"),
        })
    }

    /// The body of an answer whose head was read, as it was sent.
    pub(crate) async fn bytes_of(&mut self, head: &Head) -> Vec<u8> {
        self.try_bytes_of(head).await.expect("the answer goes on")
    }

    async fn try_bytes_of(&mut self, head: &Head) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if head.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk().await? {
                body.extend(chunk);
            }
        } else if let Some(length) = head.header("content-length") {
            body = self.exactly(length.parse().expect("a number")).await?;
        }
        Ok(body)
    }

    async fn try_head(&mut self) -> io::Result<Head> {
        let status_line = self.line().await?;
        let status = status_line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .unwrap_or_else(|| panic!("not a status line: {status_line:?}"));
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(Head { status, headers });
            }
            let (name, value) = line.split_once(':').expect("a header has a colon");
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// The next chunk of a chunked body; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let size = self.line().await?;
        let size = usize::from_str_radix(&size, 16).expect("a chunk size");
        let chunk = self.exactly(size).await?;
        self.line().await?;
        Ok((size > 0).then_some(chunk))
    }

    /// As many bytes of a body.
    pub(crate) async fn exactly(&mut self, bytes: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; bytes];
        within("a body", self.stream.read_exact(&mut buffer)).await?;
        Ok(buffer)
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        within("a line", self.stream.read_line(&mut line)).await?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        values.next().map(|(_, value)| value.as_str())
    }
}

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    /// The last JSON message of the body, be it plain or an event stream.
    pub(crate) fn message(&self) -> Value {
        let is_stream = self.head.header("content-type") == Some("text/event-stream");
        let text = match is_stream {
            true => self
                .body
                .lines()
                .filter_map(|line| line.strip_prefix("data:"))
                .rfind(|data| !data.trim().is_empty())
                .unwrap_or_else(|| panic!("no event in {self:?}")),
            false => &self.body,
        };
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The JSON-RPC error code of the body.
    pub(crate) fn code(&self) -> Option<i64> {
        self.message()["error"]["code"].as_i64()
    }
}
