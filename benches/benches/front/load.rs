//! Connections that call, each as soon as it was answered: by HTTP/1.1, whatever form the answer's
//! body has.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    task::JoinSet,
    time::Instant,
};

use super::{Failure, tool::CALL, usage::cpu_seconds};

/// The call, of revision 2026-07-28.
pub(crate) fn modern() -> String {
    let headers = "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\n\
                   mcp-name: bench_text\r\n";
    request(headers, CALL)
}

/// The same of an earlier revision, without a session.
#[allow(dead_code, reason = "not every benchmark asks")]
pub(crate) fn stateless() -> String {
    let call = r#"{"jsonrpc":"2.0","id":12,"method":"tools/call","params":{"name":"bench_text","arguments":{}}}"#;
    request("mcp-protocol-version: 2025-11-25\r\n", call)
}

fn request(headers: &str, body: &str) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: \
         application/json, text/event-stream\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Calls to one server.
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) process: u32,
    pub(crate) connections: usize,
    pub(crate) request: String,
}

/// What came of a load.
pub(crate) struct Sample {
    latencies: Vec<Duration>,
    elapsed: Duration,
    /// Seconds of the server's processor time.
    cpu: f64,
}

impl Sample {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    fn calls(&self) -> f64 {
        self.latencies.len() as f64
    }

    /// Calls per second.
    pub(crate) fn rate(&self) -> f64 {
        self.calls() / self.elapsed.as_secs_f64()
    }

    /// The server's processor time for a call.
    pub(crate) fn cpu_micros(&self) -> f64 {
        self.cpu * 1e6 / self.calls()
    }

    pub(crate) fn p50_micros(&self) -> f64 {
        self.latencies[self.latencies.len() / 2].as_secs_f64() * 1e6
    }
}

impl Load {
    pub(crate) fn run(&self, duration: Duration) -> Result<Sample, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let mut connections = JoinSet::new();
            let cpu = cpu_seconds(self.process)?;
            let began = Instant::now();
            for _ in 0..self.connections {
                let request = self.request.clone();
                connections.spawn(call_until(self.address, request, began + duration));
            }
            let mut latencies = Vec::new();
            while let Some(done) = connections.join_next().await {
                latencies.extend(done??);
            }
            let elapsed = began.elapsed();
            let cpu = cpu_seconds(self.process)? - cpu;
            if latencies.is_empty() {
                return Err("no call was answered in time".into());
            }
            latencies.sort_unstable();
            Ok(Sample {
                latencies,
                elapsed,
                cpu,
            })
        })
    }
}

async fn call_until(
    address: SocketAddr,
    request: String,
    end: Instant,
) -> Result<Vec<Duration>, Failure> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut stream = BufReader::with_capacity(64 * 1024, stream);
    let (mut line, mut body, mut latencies) = (Vec::new(), Vec::new(), Vec::new());
    while Instant::now() < end {
        let began = Instant::now();
        stream.get_mut().write_all(request.as_bytes()).await?;
        read_answer(&mut stream, &mut line, &mut body).await?;
        latencies.push(began.elapsed());
        let is_result = body.windows(9).any(|part| part == b"\"result\":");
        if !is_result {
            return Err(format!("not a result: {}", String::from_utf8_lossy(&body)).into());
        }
    }
    Ok(latencies)
}

async fn read_answer(
    stream: &mut BufReader<TcpStream>,
    line: &mut Vec<u8>,
    body: &mut Vec<u8>,
) -> Result<(), Failure> {
    body.clear();
    let status = read_line(stream, line).await?.to_owned();
    let (mut length, mut is_chunked) = (None, false);
    loop {
        let text = read_line(stream, line).await?;
        if text.is_empty() {
            break;
        }
        let (name, value) = text.split_once(':').ok_or("a header")?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = Some(value.trim().parse::<usize>()?),
            "transfer-encoding" => is_chunked = value.trim() == "chunked",
            _ => {}
        }
    }
    while is_chunked {
        let size = usize::from_str_radix(read_line(stream, line).await?, 16)?;
        read_more(stream, body, size).await?;
        read_line(stream, line).await?;
        is_chunked = size > 0;
    }
    if let Some(length) = length {
        read_more(stream, body, length).await?;
    }
    match status.starts_with("HTTP/1.1 200") {
        true => Ok(()),
        false => Err(format!("{status}: {}", String::from_utf8_lossy(body)).into()),
    }
}

async fn read_more(
    stream: &mut BufReader<TcpStream>,
    body: &mut Vec<u8>,
    length: usize,
) -> Result<(), Failure> {
    let place = body.len();
    body.resize(place + length, 0);
    stream.read_exact(&mut body[place..]).await?;
    Ok(())
}

async fn read_line<'a>(
    stream: &mut BufReader<TcpStream>,
    line: &'a mut Vec<u8>,
) -> Result<&'a str, Failure> {
    line.clear();
    if stream.read_until(b'\n', line).await? == 0 {
        return Err("the server hung up".into());
    }
    Ok(str::from_utf8(line)?.trim_end())
}
