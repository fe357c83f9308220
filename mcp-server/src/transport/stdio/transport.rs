//! The transport: lines in, lines out, and an end that waits for the answers.

use std::{io, sync::Arc, time::Duration};

use rmcp::{
    RoleServer,
    model::{ClientJsonRpcMessage, ClientNotification, ServerJsonRpcMessage},
    transport::Transport,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    lines::{Line, Lines},
    pending::Pending,
};
use crate::{
    config::StdioConfig,
    protocol::{Envelope, INVALID_REQUEST, Kind, REFUSED, error_response},
};

/// Lines that wait for the output; a sender of one more waits, too.
const OUTPUT_LINES_MAX: usize = 64;
/// How long the last answers may take to be written once the drain timeout has passed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) struct StdioTransport<R> {
    lines: Lines<R>,
    pending: Arc<Pending>,
    requests_in_flight_max: usize,
    line_bytes_max: usize,
    drain_timeout: Duration,
    /// `None` once closed.
    output: Option<mpsc::Sender<Vec<u8>>>,
    writer: Option<JoinHandle<()>>,
    /// A refusal that has not found room in the output yet.
    refusal: Option<Vec<u8>>,
    /// Whether a request has come; what comes before the first one answers or cancels nothing.
    started: bool,
    /// When the drain gives up. Set when the end begins: nothing restarts the clock.
    deadline: Option<Instant>,
    shutdown: CancellationToken,
    /// The output is gone: nobody is there to answer.
    broken: CancellationToken,
    /// Cancelled when the end came before all answers; nobody should wait for the rest.
    cut: CancellationToken,
}

impl<R: AsyncRead + Send + Unpin> StdioTransport<R> {
    pub(super) fn new<W: AsyncWrite + Send + Unpin + 'static>(
        input: R,
        output: W,
        config: &StdioConfig,
        shutdown: CancellationToken,
    ) -> Self {
        let (sender, lines) = mpsc::channel(OUTPUT_LINES_MAX);
        let broken = CancellationToken::new();
        let writer = tokio::spawn(write_lines(output, lines, broken.clone()));
        Self {
            lines: Lines::new(input, config.line_bytes_max),
            pending: Arc::default(),
            requests_in_flight_max: config.requests_in_flight_max.get(),
            line_bytes_max: config.line_bytes_max,
            drain_timeout: config.drain_timeout,
            output: Some(sender),
            writer: Some(writer),
            refusal: None,
            started: false,
            deadline: None,
            shutdown,
            broken,
            cut: CancellationToken::new(),
        }
    }

    /// Tells when the end came before all answers.
    pub(super) fn cut(&self) -> CancellationToken {
        self.cut.clone()
    }

    /// The next message; `None` when the input has ended. Cancel safe.
    async fn next_message(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            self.send_refusal().await;
            let line = self.lines.next().await?;
            match self.read(line) {
                Ok(message) => {
                    self.started |= matches!(message, ClientJsonRpcMessage::Request(_));
                    if self.started {
                        return Some(message);
                    }
                    tracing::debug!("passed over a message before the first request");
                }
                Err(refusal) => self.refusal = Some(refusal),
            }
        }
    }

    fn read(&self, line: Line) -> Result<ClientJsonRpcMessage, Vec<u8>> {
        let Line::Whole(line) = line else {
            let message = format!(
                "the message is longer than {} bytes; see stdio.line_bytes_max",
                self.line_bytes_max
            );
            return Err(error_response(None, INVALID_REQUEST, &message));
        };
        let envelope = Envelope::parse(&line).map_err(|error| error.to_response())?;
        let message = serde_json::from_slice::<ClientJsonRpcMessage>(&line).map_err(|error| {
            let id = match &envelope.kind {
                Kind::Request(id) => Some(id),
                Kind::Notification | Kind::Response => None,
            };
            error_response(id, INVALID_REQUEST, &format!("invalid request: {error}"))
        })?;
        self.note(&message)?;
        Ok(message)
    }

    /// Keeps count of the requests at work. One too many is refused rather than left in the pipe:
    /// behind it may come the cancellation or the answer that the others wait for.
    fn note(&self, message: &ClientJsonRpcMessage) -> Result<(), Vec<u8>> {
        match message {
            ClientJsonRpcMessage::Request(request) => {
                let max = self.requests_in_flight_max;
                if !self.pending.start(request.id.clone(), max) {
                    let message = format!(
                        "{max} requests are at work and no more are taken: try again later"
                    );
                    return Err(error_response(Some(&request.id), REFUSED, &message));
                }
            }
            ClientJsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) =
                    &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.pending.finish(id);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether everything that was read is answered in time. Cancel safe.
    async fn drain(&mut self) -> bool {
        let deadline = self.drain_deadline();
        let broken = self.broken.clone();
        let answered = async {
            self.send_refusal().await;
            self.pending.drained().await;
        };
        tokio::select! {
            biased;
            () = broken.cancelled() => false,
            drained = tokio::time::timeout_at(deadline, answered) => {
                if drained.is_err() {
                    tracing::warn!("the drain timeout cut off calls in flight");
                }
                drained.is_ok()
            }
        }
    }

    /// When the drain gives up; it begins with the first call.
    fn drain_deadline(&mut self) -> Instant {
        *self
            .deadline
            .get_or_insert_with(|| Instant::now() + self.drain_timeout)
    }

    /// Cancel safe: the refusal is taken only once there is room for it.
    async fn send_refusal(&mut self) {
        if self.refusal.is_some()
            && let Some(output) = &self.output
            && let Ok(room) = output.reserve().await
            && let Some(refusal) = self.refusal.take()
        {
            room.send(refusal);
        }
    }
}

impl<R: AsyncRead + Send + Unpin + 'static> Transport<RoleServer> for StdioTransport<R> {
    type Error = io::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let answered = match &message {
            ServerJsonRpcMessage::Response(response) => Some(response.id.clone()),
            ServerJsonRpcMessage::Error(error) => error.id.clone(),
            _ => None,
        };
        let line = serde_json::to_vec(&message).map_err(io::Error::from);
        let output = self.output.clone();
        let pending = self.pending.clone();
        async move {
            let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
            let room = match &output {
                Some(output) => output.reserve().await.map_err(|_| gone()),
                None => Err(gone()),
            };
            // Before the client can see the answer: it may have been waiting for this very place.
            if let Some(id) = answered {
                pending.finish(&id);
            }
            room?.send(line?);
            Ok(())
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        let shutdown = self.shutdown.clone();
        let broken = self.broken.clone();
        tokio::select! {
            biased;
            () = broken.cancelled() => {}
            () = shutdown.cancelled() => {}
            message = self.next_message() => {
                if message.is_some() {
                    return message;
                }
            }
        }
        // Nothing more is read; what was read is answered. The end is final: later calls get here
        // again, since the input stays at its end and the shutdown stays cancelled.
        if !self.drain().await {
            let _ = self.close().await;
            self.cut.cancel();
        }
        None
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.output = None;
        let latest = self.drain_deadline().max(Instant::now() + CLOSE_TIMEOUT);
        if let Some(writer) = &mut self.writer {
            if tokio::time::timeout_at(latest, &mut *writer).await.is_err() {
                tracing::warn!("answers were not read in time");
                writer.abort();
            }
            self.writer = None;
        }
        Ok(())
    }
}

impl<R> Drop for StdioTransport<R> {
    fn drop(&mut self) {
        if let Some(writer) = &self.writer {
            writer.abort();
        }
    }
}

/// Writes lines until all senders are gone; flushes whenever no further line waits.
async fn write_lines<W: AsyncWrite + Unpin>(
    mut output: W,
    mut lines: mpsc::Receiver<Vec<u8>>,
    broken: CancellationToken,
) {
    let _broken = broken.drop_guard();
    while let Some(mut line) = lines.recv().await {
        line.push(b'\n');
        let written = async {
            output.write_all(&line).await?;
            match lines.is_empty() {
                true => output.flush().await,
                false => Ok(()),
            }
        };
        if let Err(error) = written.await {
            tracing::info!(%error, "the output is closed");
            return;
        }
    }
    if let Err(error) = output.flush().await {
        tracing::info!(%error, "the output is closed");
    }
}
