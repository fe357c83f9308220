//! The transport: lines in, lines out, and an end that waits for the answers.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use rmcp::{
    RoleServer,
    model::{ClientJsonRpcMessage, ClientNotification, RequestId, ServerJsonRpcMessage},
    transport::Transport,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    calls::Calls,
    lines::{Line, Lines},
    output::{self, Output},
    pending::Pending,
};
use crate::{
    config::StdioConfig,
    protocol::{
        Envelope, Front, INVALID_REQUEST, Kind, LineFront, OwnedCall, REFUSED, Taken,
        error_response,
    },
};

/// How long the last answers may take to be written once the drain timeout has passed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) struct StdioTransport<R> {
    lines: Lines<R>,
    front: Option<LineFront>,
    calls: Calls,
    pending: Arc<Pending>,
    requests_in_flight_max: usize,
    line_bytes_max: usize,
    drain_timeout: Duration,
    /// `None` once closed.
    output: Option<Output>,
    writer: Option<JoinHandle<()>>,
    /// A line that has not found room in the output yet.
    unsent: Option<Vec<u8>>,
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

/// What a line is.
enum Read {
    /// A message for rmcp.
    Message(Box<ClientJsonRpcMessage>),
    /// Nothing that rmcp needs to know of: this is the answer, if there is one.
    Settled(Option<Vec<u8>>),
    /// A call that the front makes.
    Call(RequestId, Box<OwnedCall>),
}

impl<R: AsyncRead + Send + Unpin> StdioTransport<R> {
    pub(super) fn new<W: AsyncWrite + Send + Unpin + 'static>(
        front: Option<Front>,
        input: R,
        output: W,
        config: &StdioConfig,
        shutdown: CancellationToken,
    ) -> Self {
        let pending = Arc::new(Pending::default());
        let (sender, lines) = Output::new(pending.clone());
        let broken = CancellationToken::new();
        let writer = tokio::spawn(output::write(output, lines, broken.clone()));
        Self {
            lines: Lines::new(input, config.line_bytes_max),
            front: front.map(LineFront::new),
            calls: Calls::default(),
            pending,
            requests_in_flight_max: config.requests_in_flight_max.get(),
            line_bytes_max: config.line_bytes_max,
            drain_timeout: config.drain_timeout,
            output: Some(sender),
            writer: Some(writer),
            unsent: None,
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

    /// The next message for rmcp; `None` when the input has ended. Cancel safe.
    async fn next_message(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            self.send_unsent().await;
            let (line, is_left) = tokio::select! {
                biased;
                left = self.calls.left() => (left, true),
                line = self.lines.next() => match line? {
                    Line::Whole(line) => (Bytes::from(line), false),
                    Line::TooLong => {
                        self.unsent = Some(self.too_long());
                        continue;
                    }
                },
            };
            if let Some(message) = self.handle(line, is_left).await {
                return Some(message);
            }
        }
    }

    /// Does what a line asks for, if rmcp need not. `is_left`: the front has left it already.
    ///
    /// Never waits for anything: a call that does becomes a task.
    async fn handle(&mut self, line: Bytes, is_left: bool) -> Option<ClientJsonRpcMessage> {
        let message = *match self.read(&line, is_left) {
            Ok(Read::Message(message)) => message,
            Ok(Read::Settled(answer)) => {
                self.unsent = answer;
                return None;
            }
            Ok(Read::Call(id, call)) => {
                let output = self.output.clone()?;
                let left = self.calls.make(id, line, *call, output).await?;
                match self.read(&left, true) {
                    Ok(Read::Message(message)) => message,
                    Ok(_) => return None,
                    Err(refusal) => {
                        self.unsent = Some(refusal);
                        return None;
                    }
                }
            }
            Err(refusal) => {
                self.unsent = Some(refusal);
                return None;
            }
        };
        self.started |= matches!(message, ClientJsonRpcMessage::Request(_));
        if !self.started {
            tracing::debug!("passed over a message before the first request");
            return None;
        }
        if let Some(front) = &mut self.front {
            front.passes(&message);
        }
        Some(message)
    }

    fn too_long(&self) -> Vec<u8> {
        let message = format!(
            "the message is longer than {} bytes; see stdio.line_bytes_max",
            self.line_bytes_max
        );
        error_response(None, INVALID_REQUEST, &message)
    }

    fn read(&mut self, line: &Bytes, is_left: bool) -> Result<Read, Vec<u8>> {
        let envelope = Envelope::parse(line).map_err(|error| error.to_response())?;
        if !is_left && let Some(read) = self.take(line, &envelope)? {
            return Ok(read);
        }
        let message = serde_json::from_slice::<ClientJsonRpcMessage>(line).map_err(|error| {
            let id = match &envelope.kind {
                Kind::Request(id) => Some(id),
                Kind::Notification | Kind::Response => None,
            };
            if let Some(id) = id.filter(|_| is_left) {
                self.pending.finish(id);
            }
            error_response(id, INVALID_REQUEST, &format!("invalid request: {error}"))
        })?;
        match self.note(&message)? {
            true => Ok(Read::Message(Box::new(message))),
            false => Ok(Read::Settled(None)),
        }
    }

    /// What the front makes of a line; nothing, and rmcp must read it.
    fn take(&self, line: &Bytes, envelope: &Envelope<'_>) -> Result<Option<Read>, Vec<u8>> {
        let (Some(front), Kind::Request(id)) = (&self.front, &envelope.kind) else {
            return Ok(None);
        };
        // Two requests of one id: rmcp says what becomes of them.
        if self.pending.has(id) {
            return Ok(None);
        }
        Ok(match front.take(line, envelope) {
            None => None,
            Some(Taken::Answered(answer)) => Some(Read::Settled(Some(answer))),
            Some(Taken::Call(call)) => {
                self.start(id)?;
                Some(Read::Call(id.clone(), Box::new(call)))
            }
        })
    }

    /// Keeps count of the requests at work, and ends those that the front has; whether rmcp must
    /// know of the message.
    fn note(&mut self, message: &ClientJsonRpcMessage) -> Result<bool, Vec<u8>> {
        match message {
            ClientJsonRpcMessage::Request(request) => self.start(&request.id)?,
            ClientJsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) =
                    &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    let ended = self.calls.cancel(id);
                    self.pending.finish(id);
                    return Ok(!ended);
                }
            }
            _ => {}
        }
        Ok(true)
    }

    /// Counts a request in. One too many is refused rather than left in the pipe: behind it may
    /// come the cancellation or the answer that the others wait for.
    fn start(&self, id: &RequestId) -> Result<(), Vec<u8>> {
        let max = self.requests_in_flight_max;
        if self.pending.start(id.clone(), max) {
            return Ok(());
        }
        let message = format!("{max} requests are at work and no more are taken: try again later");
        Err(error_response(Some(id), REFUSED, &message))
    }

    /// Waits until everything that was read is answered, or it takes too long. Cancel safe.
    async fn drain(&mut self) -> Drained {
        let deadline = self.drain_deadline();
        let broken = self.broken.clone();
        let pending = self.pending.clone();
        let answered = async {
            self.send_unsent().await;
            tokio::select! {
                biased;
                left = self.calls.left() => Drained::Left(left),
                () = pending.drained() => Drained::Whole,
            }
        };
        tokio::select! {
            biased;
            () = broken.cancelled() => Drained::Cut,
            drained = tokio::time::timeout_at(deadline, answered) => drained.unwrap_or_else(|_| {
                tracing::warn!("the drain timeout cut off calls in flight");
                Drained::Cut
            }),
        }
    }

    /// When the drain gives up; it begins with the first call.
    fn drain_deadline(&mut self) -> Instant {
        *self
            .deadline
            .get_or_insert_with(|| Instant::now() + self.drain_timeout)
    }

    /// Cancel safe: the line is taken only once there is room for it.
    async fn send_unsent(&mut self) {
        if let Some(output) = &self.output {
            output.send_taken(&mut self.unsent).await;
        }
    }
}

/// How a drain went.
enum Drained {
    /// All is answered.
    Whole,
    /// It took too long, or nobody is there to answer.
    Cut,
    /// All but a line that is left to rmcp.
    Left(Bytes),
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
        if let Some(front) = &mut self.front {
            front.sends(&message);
        }
        let line = serde_json::to_vec(&message).map_err(io::Error::from);
        let output = self.output.clone();
        async move {
            let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
            let output = output.ok_or_else(gone)?;
            output.send(answered.as_ref(), line?).await
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
        loop {
            match self.drain().await {
                Drained::Whole => return None,
                Drained::Cut => {
                    let _ = self.close().await;
                    self.cut.cancel();
                    return None;
                }
                Drained::Left(line) => {
                    if let Some(message) = self.handle(line, true).await {
                        return Some(message);
                    }
                }
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.output = None;
        self.calls.end();
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
