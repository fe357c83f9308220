//! The load: connections that call, each as soon as it was answered, on one thread.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    task::JoinSet,
    time::Instant,
};

use super::{Failure, tool::CALL, usage::cpu_seconds};

/// Calls to one server.
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) process: u32,
    pub(crate) connections: usize,
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
                connections.spawn(call_until(self.address, began + duration));
            }
            let mut latencies = Vec::new();
            while let Some(done) = connections.join_next().await {
                latencies.extend(done??);
            }
            let elapsed = began.elapsed();
            let cpu = cpu_seconds(self.process)? - cpu;
            latencies.sort_unstable();
            Ok(Sample {
                latencies,
                elapsed,
                cpu,
            })
        })
    }
}

async fn call_until(address: SocketAddr, end: Instant) -> Result<Vec<Duration>, Failure> {
    let request = format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: \
         application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: \
         tools/call\r\nmcp-name: bench_text\r\ncontent-length: {}\r\n\r\n{CALL}",
        CALL.len()
    );
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut stream = BufReader::with_capacity(64 * 1024, stream);
    let (mut line, mut body, mut latencies) = (Vec::new(), Vec::new(), Vec::new());
    while Instant::now() < end {
        let began = Instant::now();
        stream.get_mut().write_all(request.as_bytes()).await?;
        let length = read_head(&mut stream, &mut line).await?;
        body.resize(length, 0);
        stream.read_exact(&mut body).await?;
        latencies.push(began.elapsed());
        if !body.ends_with(b"}}")
            || !body
                .windows(12)
                .take(120)
                .any(|part| part == b"\"result\":{\"r")
        {
            return Err(format!("not a result: {}", String::from_utf8_lossy(&body)).into());
        }
    }
    Ok(latencies)
}

/// The length of the body behind the head.
async fn read_head(
    stream: &mut BufReader<TcpStream>,
    line: &mut Vec<u8>,
) -> Result<usize, Failure> {
    let mut length = None;
    let mut first = true;
    loop {
        line.clear();
        stream.read_until(b'\n', line).await?;
        let text = str::from_utf8(line)?.trim_end();
        if first && text != "HTTP/1.1 200 OK" {
            return Err(format!("not an answer: {text}").into());
        }
        first = false;
        if text.is_empty() {
            return length.ok_or_else(|| "an answer without a length".into());
        }
        if let Some((name, value)) = text.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = Some(value.trim().parse()?);
        }
    }
}
