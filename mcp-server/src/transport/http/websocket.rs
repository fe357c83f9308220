//! `/mcp/ws`: MCP over a WebSocket (RFC 6455), an extension of this server. One text frame is one
//! message; behind that it is what standard input and output are: one client, both eras.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{
        FromRequestParts, Request,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code},
    },
    response::{IntoResponse, Response},
};
use bytes::{Buf, Bytes};
use http::StatusCode;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, MissedTickBehavior, interval_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{access::Access, body, rate::Key};
use crate::{
    auth::Caller,
    config::{HttpConfig, StdioConfig},
    live::Live,
    protocol::{
        Envelope, Front, INVALID_REQUEST, McpHandler, Strict, error_response, is_deeper_than,
    },
    transport::stdio,
};

/// The subprotocol that a client must ask for: a page that opens any socket it can does not.
const SUBPROTOCOL: &str = "mcp";
/// Bytes that wait between the socket and the server, each way.
const PIPE_BYTES: usize = 64 * 1024;

/// Makes the handler of one connection.
pub type Connect = Arc<dyn Fn(Caller) -> Strict<McpHandler> + Send + Sync>;

/// What all connections share.
pub(super) struct Sockets {
    connect: Connect,
    front: bool,
    access: Arc<Access>,
    config: Live<HttpConfig>,
    room: Arc<Semaphore>,
    calls: TaskTracker,
    shutdown: CancellationToken,
}

impl Sockets {
    pub(super) fn new(
        connect: Connect,
        front: bool,
        access: Arc<Access>,
        config: Live<HttpConfig>,
        calls: TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        let room = config.load().websocket.connections_max.get();
        Self {
            connect,
            front,
            access,
            config,
            room: Arc::new(Semaphore::new(room)),
            calls,
            shutdown,
        }
    }

    /// Answers the request for a WebSocket, and serves it until one side ends it.
    pub(super) async fn open(self: Arc<Self>, request: Request) -> Response {
        let (mut head, _) = request.into_parts();
        let caller = head.extensions.get().cloned();
        let key = Access::key(&head.extensions);
        let upgrade = match WebSocketUpgrade::from_request_parts(&mut head, &()).await {
            Ok(upgrade) => upgrade.protocols([SUBPROTOCOL]),
            Err(refusal) => return refusal.into_response().map(Body::new),
        };
        if upgrade.selected_protocol().is_none() {
            let message = "send Sec-WebSocket-Protocol: mcp";
            return body::plain(StatusCode::BAD_REQUEST, message);
        }
        let Ok(place) = self.room.clone().try_acquire_owned() else {
            let message = "there are as many as are taken; see http.websocket.connections_max";
            return body::plain(StatusCode::SERVICE_UNAVAILABLE, message);
        };
        let bytes_max = self.config.load().body_bytes_max;
        upgrade
            .max_message_size(bytes_max)
            .max_frame_size(bytes_max)
            .on_upgrade(move |socket| async move {
                // Held to the end, so that a drain waits for the calls in flight.
                let _call = self.calls.token();
                let caller = caller.unwrap_or_else(Caller::local);
                self.serve(socket, caller, key, place).await;
            })
    }

    async fn serve(
        &self,
        socket: WebSocket,
        caller: Caller,
        key: Key,
        _place: OwnedSemaphorePermit,
    ) {
        let config = self.config.load_full();
        let stdio_config = StdioConfig {
            // A line is a message and its end.
            line_bytes_max: config.body_bytes_max + 1,
            requests_in_flight_max: config.websocket.requests_in_flight_max,
            drain_timeout: config.drain_timeout,
            ..StdioConfig::default()
        };
        let end = self.shutdown.child_token();
        let revoked = caller.revoked().cloned().unwrap_or_default();
        let handler = (self.connect)(caller);
        let (to_server, input) = tokio::io::duplex(PIPE_BYTES);
        let (output, from_server) = tokio::io::duplex(PIPE_BYTES);
        let front = self.front.then(|| Front::new(&handler));
        let served = stdio::serve(handler, front, input, output, &stdio_config, end);
        let carried = Carrier {
            socket,
            to_server: Some(to_server),
            from_server: BufReader::new(from_server),
            key,
            access: &self.access,
            config: &config,
            revoked,
        };
        // The carrier ends when either side has; what is served ends with its input.
        let (served, ()) = tokio::join!(served, carried.run());
        if let Err(error) = served {
            tracing::debug!(%error, "a WebSocket ended badly");
        }
    }
}

/// Carries messages between a socket and the server behind it.
struct Carrier<'a> {
    socket: WebSocket,
    /// `None` once the client has said that it is done.
    to_server: Option<DuplexStream>,
    from_server: BufReader<DuplexStream>,
    key: Key,
    access: &'a Access,
    config: &'a HttpConfig,
    revoked: CancellationToken,
}

impl Carrier<'_> {
    async fn run(mut self) {
        let depth_max = self.config.json_depth_max;
        let idle_timeout = self.config.websocket.idle_timeout;
        let mut looks = interval_at(Instant::now() + idle_timeout / 3, idle_timeout / 3);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        let mut line = Vec::new();
        // What the server behind has not taken yet; until then nothing more is read.
        let mut unsent = Bytes::new();
        let close = loop {
            tokio::select! {
                written = write(&mut self.to_server, &unsent), if !unsent.is_empty() => match written {
                    Ok(bytes) => unsent.advance(bytes),
                    Err(_) => unsent.clear(),
                },
                message = self.socket.recv(), if unsent.is_empty() => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => {
                            let checked = check(text.as_bytes(), self.access, self.key, depth_max);
                            unsent = match checked.await {
                                Ok(line) => line,
                                Err(refusal) => {
                                    if self.send(&refusal).await.is_err() {
                                        break None;
                                    }
                                    Bytes::new()
                                }
                            };
                        }
                        Some(Ok(Message::Binary(_))) => break Some(close_code::UNSUPPORTED),
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                        // The calls in flight are answered, if anybody still listens.
                        Some(Ok(Message::Close(_)) | Err(_)) | None => break None,
                    }
                }
                read = self.from_server.read_until(b'\n', &mut line) => match read {
                    Ok(bytes) if bytes > 0 && line.ends_with(b"\n") => {
                        line.pop();
                        let sent = self.send(&line).await;
                        line.clear();
                        // A large message was an exception.
                        line.shrink_to(PIPE_BYTES);
                        if sent.is_err() {
                            break None;
                        }
                    }
                    // The server is at its end: it stops.
                    _ => break Some(close_code::AWAY),
                },
                _ = looks.tick() => {
                    if heard.elapsed() >= idle_timeout {
                        break None;
                    }
                    if self.socket.send(Message::Ping(Bytes::new())).await.is_err() {
                        break None;
                    }
                }
                () = self.revoked.cancelled() => break Some(close_code::POLICY),
            }
        };
        // Its end is the end of what is served, whose last answers nobody waits for.
        drop(self.to_server.take());
        if let Some(code) = close {
            let reason = "".into();
            let frame = CloseFrame { code, reason };
            let _ = self.socket.send(Message::Close(Some(frame))).await;
        }
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), axum::Error> {
        let text = String::from_utf8_lossy(message).into_owned();
        self.socket.send(Message::text(text)).await
    }
}

async fn write(to_server: &mut Option<DuplexStream>, bytes: &[u8]) -> std::io::Result<usize> {
    match to_server {
        Some(to_server) => to_server.write(bytes).await,
        None => Err(std::io::ErrorKind::BrokenPipe.into()),
    }
}

/// A message as a line for the server, or what it is refused with. Waits while its client has
/// sent too many.
async fn check(text: &[u8], access: &Access, key: Key, depth_max: usize) -> Result<Bytes, Vec<u8>> {
    while let Err(wait) = access.take(key) {
        tokio::time::sleep(wait.max(Duration::from_millis(1))).await;
    }
    if let Ok(envelope) = Envelope::parse(text)
        && is_deeper_than(text, depth_max)
    {
        let message = format!(
            "invalid request: it is nested more than {depth_max} deep; see \
             http.json_depth_max"
        );
        return Err(error_response(
            envelope.kind.id(),
            INVALID_REQUEST,
            &message,
        ));
    }
    let mut line = Vec::with_capacity(text.len() + 1);
    // Within texts JSON has no line ends, and elsewhere they are spaces like any other.
    line.extend(text.iter().map(|byte| match byte {
        b'\n' | b'\r' => b' ',
        byte => *byte,
    }));
    line.push(b'\n');
    Ok(line.into())
}
