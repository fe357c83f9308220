//! A lean MCP client (revision 2026-07-28) on one keep-alive connection: it costs little beside
//! the server that it measures.

use std::{
    io::{self, Write},
    net::SocketAddr,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::Instant,
};

use super::error::BenchError;

const REVISION: &str = "2026-07-28";
/// A head that is longer is no answer to what is asked here.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// More than any answer to what is asked here.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One connection to an MCP server.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
    name: String,
    id: u64,
    request: Vec<u8>,
    message: Vec<u8>,
    body: Vec<u8>,
}

/// A call that was answered.
#[derive(Debug)]
pub struct Answer<T> {
    /// When the request began to be sent.
    pub sent: Instant,
    /// When all of the answer was there.
    pub received: Instant,
    /// Whether the answer says that it came from a cache.
    pub cached: bool,
    /// Whether the answer says that it is out of date.
    pub stale: bool,
    /// The result, or the code of the error that the tool answered with.
    pub result: Result<T, String>,
}

#[derive(Serialize)]
struct Request<'a, A> {
    jsonrpc: &'a str,
    id: u64,
    method: &'a str,
    params: Params<'a, A>,
}

#[derive(Serialize)]
struct Params<'a, A> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<&'a A>,
    #[serde(rename = "_meta")]
    meta: RequestMeta<'a>,
}

#[derive(Serialize)]
struct RequestMeta<'a> {
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    revision: &'a str,
    #[serde(rename = "io.modelcontextprotocol/clientCapabilities")]
    capabilities: Capabilities,
    #[serde(rename = "io.modelcontextprotocol/clientInfo")]
    client: ClientInfo<'a>,
}

#[derive(Serialize)]
struct Capabilities {}

#[derive(Serialize)]
struct ClientInfo<'a> {
    name: &'a str,
    version: &'a str,
}

#[derive(Deserialize)]
struct Response<'a, T> {
    id: u64,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    result: Option<CallResult<T>>,
}

#[derive(Deserialize)]
struct CallResult<T> {
    #[serde(rename = "isError")]
    is_error: bool,
    #[serde(rename = "structuredContent")]
    content: Option<T>,
    #[serde(rename = "_meta")]
    meta: ResultMeta,
}

#[derive(Deserialize)]
struct ResultMeta {
    cached: bool,
    #[serde(default)]
    stale: bool,
    error: Option<ErrorMeta>,
}

#[derive(Deserialize)]
struct Listed {
    id: u64,
    result: ListResult,
}

#[derive(Deserialize)]
struct ListResult {
    tools: Vec<ListedTool>,
}

#[derive(Deserialize)]
struct ListedTool {
    name: String,
}

#[derive(Deserialize)]
struct ErrorMeta {
    code: String,
}

impl Client {
    /// Connects to the server at `address`, as a client called `name`.
    ///
    /// # Errors
    ///
    /// When the connection is refused.
    pub async fn connect(address: SocketAddr, name: &str) -> Result<Self, BenchError> {
        let connect = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        let stream = connect.await.map_err(BenchError::io("cannot connect"))?;
        Ok(Self {
            stream: BufReader::new(stream),
            name: name.to_owned(),
            id: 0,
            request: Vec::new(),
            message: Vec::new(),
            body: Vec::new(),
        })
    }

    /// Calls a tool. A tool that answers with an error has answered.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or the answer is none that a server may give: another status
    /// than 200, another id, a JSON-RPC error, a result of another form.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the connection is of no more use after a call that was dropped.
    pub async fn call<T>(
        &mut self,
        tool: &str,
        arguments: &(impl Serialize + Sync),
    ) -> Result<Answer<T>, BenchError>
    where
        T: for<'de> Deserialize<'de>,
    {
        self.id += 1;
        self.write_request("tools/call", Some((tool, arguments)))
            .map_err(BenchError::io("cannot write a request"))?;
        let sent = Instant::now();
        let status = self
            .exchange()
            .await
            .map_err(BenchError::io("the connection broke"))?;
        let received = Instant::now();
        let (cached, stale, result) = self.read(status).map_err(|reason| BenchError::Answer {
            tool: tool.to_owned(),
            reason,
        })?;
        Ok(Answer {
            sent,
            received,
            cached,
            stale,
            result,
        })
    }

    /// Asks for the names of all tools; returns them, and how long that took.
    ///
    /// # Errors
    ///
    /// As for [`call`](Self::call).
    pub async fn list(&mut self) -> Result<(Vec<String>, Duration), BenchError> {
        self.id += 1;
        self.write_request("tools/list", None::<(&str, &())>)
            .map_err(BenchError::io("cannot write a request"))?;
        let sent = Instant::now();
        let status = self
            .exchange()
            .await
            .map_err(BenchError::io("the connection broke"))?;
        let took = sent.elapsed();
        let listed: Result<Listed, _> = serde_json::from_slice(&self.body);
        match listed {
            Ok(listed) if status == 200 && listed.id == self.id => {
                let tools = listed.result.tools.into_iter();
                Ok((tools.map(|tool| tool.name).collect(), took))
            }
            _ => Err(BenchError::Answer {
                tool: "tools/list".to_owned(),
                reason: format!("status {status}: {}", String::from_utf8_lossy(&self.body)),
            }),
        }
    }

    /// Whether a GET of `path` is answered with success.
    ///
    /// # Errors
    ///
    /// When the connection breaks.
    pub async fn is_ok(&mut self, path: &str) -> Result<bool, BenchError> {
        self.message = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into();
        let status = self.exchange().await;
        Ok(status.map_err(BenchError::io("the connection broke"))? == 200)
    }

    fn write_request(
        &mut self,
        method: &str,
        call: Option<(&str, &impl Serialize)>,
    ) -> io::Result<()> {
        let (name, arguments) = call.unzip();
        let request = Request {
            jsonrpc: "2.0",
            id: self.id,
            method,
            params: Params {
                name,
                arguments,
                meta: RequestMeta {
                    revision: REVISION,
                    capabilities: Capabilities {},
                    client: ClientInfo {
                        name: &self.name,
                        version: env!("CARGO_PKG_VERSION"),
                    },
                },
            },
        };
        self.request.clear();
        serde_json::to_writer(&mut self.request, &request)?;
        self.message.clear();
        write!(
            self.message,
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\nmcp-protocol-version: {REVISION}\r\n\
             mcp-method: {method}\r\ncontent-length: {}\r\n",
            self.request.len(),
        )?;
        if let Some(name) = name {
            write!(self.message, "mcp-name: {name}\r\n")?;
        }
        self.message.extend_from_slice(b"\r\n");
        self.message.extend_from_slice(&self.request);
        Ok(())
    }

    /// Sends the message, reads the answer's body, and returns its status.
    async fn exchange(&mut self) -> io::Result<u16> {
        self.stream.get_mut().write_all(&self.message).await?;
        let (status, length) = self.read_head().await?;
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body).await?;
        Ok(status)
    }

    async fn read_head(&mut self) -> io::Result<(u16, usize)> {
        let head = &mut self.message;
        head.clear();
        while !head.ends_with(b"\r\n\r\n") {
            if self.stream.read_until(b'\n', head).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if head.len() > HEAD_BYTES_MAX {
                return Err(io::Error::other("the head of the answer is too long"));
            }
        }
        let head = str::from_utf8(head).map_err(io::Error::other)?;
        parse_head(head)
            .filter(|(_, length)| *length <= BODY_BYTES_MAX)
            .ok_or_else(|| io::Error::other("an answer without a status or a content-length"))
    }

    fn read<T>(&self, status: u16) -> Result<(bool, bool, Result<T, String>), String>
    where
        T: for<'de> Deserialize<'de>,
    {
        let body = || String::from_utf8_lossy(&self.body);
        if status != 200 {
            return Err(format!("status {status}: {}", body()));
        }
        let response: Response<'_, T> =
            serde_json::from_slice(&self.body).map_err(|error| format!("{error}: {}", body()))?;
        if response.id != self.id {
            return Err(format!("asked with id {}: {}", self.id, body()));
        }
        let Some(result) = response.result.filter(|_| response.error.is_none()) else {
            return Err(body().into_owned());
        };
        let value = match (result.is_error, result.content, result.meta.error) {
            (false, Some(content), _) => Ok(content),
            (true, _, Some(error)) => Err(error.code),
            _ => return Err(format!("neither a result nor an error: {}", body())),
        };
        Ok((result.meta.cached, result.meta.stale, value))
    }
}

/// The status and the length of the body.
fn parse_head(head: &str) -> Option<(u16, usize)> {
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    Some((status, length.1.trim().parse().ok()?))
}
