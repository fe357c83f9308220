//! rmcp's service for one message of a session. It knows what the session knows of its client, can
//! ask the client while it works, and is gone with its answer.

use std::{future::Future, sync::Arc};

use mcp_streaming::{SendError, Tx};
use rmcp::{
    ErrorData, RoleServer, Service,
    model::{
        ClientJsonRpcMessage, ClientNotification, ClientRequest, RequestId, ServerConfig,
        ServerJsonRpcMessage, ServerNotification, ServerResult,
    },
    service::{NotificationContext, RequestContext, serve_directly_with_ct},
    transport::Transport,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    record::{Inbox, Record},
    reply::Reply,
};
use crate::attempt::{Caught, FAULT};

/// Messages of the client that a service has not read; one more is lost.
const INBOX_LEN_MAX: usize = 64;

/// Where a service's messages go.
pub(super) enum Outlet {
    /// The request's answer, and what comes before it.
    Request(Reply),
    /// A notification has no answer; there may be a stream for what its handler says.
    Session(Option<Tx>),
}

/// A message that is about to be served.
pub(super) struct Served<S> {
    service: One<S>,
    transport: OneMessage,
    record: Arc<Record>,
    inbox: Inbox,
}

impl<S: Service<RoleServer>> Served<S> {
    pub(super) fn new(
        service: S,
        record: Arc<Record>,
        message: ClientJsonRpcMessage,
        outlet: Outlet,
    ) -> Self {
        let (inbox, letters) = mpsc::channel(INBOX_LEN_MAX);
        let done = CancellationToken::new();
        let (way, reply) = match outlet {
            Outlet::Request(reply) => (Some(reply.way()), Some(reply)),
            Outlet::Session(way) => (way, None),
        };
        Self {
            service: One {
                service,
                done: done.clone(),
            },
            transport: OneMessage {
                message: Some(message),
                letters,
                inbox: inbox.clone(),
                record: record.clone(),
                way,
                reply,
                done,
            },
            record,
            inbox,
        }
    }

    /// Where the client's messages to it go.
    pub(super) fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// Serves the message to its end, or until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let peer = self.record.peer.clone();
        let running = serve_directly_with_ct(self.service, self.transport, Some(peer), stop);
        if let Err(error) = running.waiting().await {
            tracing::error!(%error, "a request's service broke");
        }
    }
}

/// A service whose faults are errors, and that tells when a notification was handled.
struct One<S> {
    service: S,
    done: CancellationToken,
}

impl<S: Service<RoleServer>> Service<RoleServer> for One<S> {
    async fn handle_request(
        &self,
        request: ClientRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<ServerResult, ErrorData> {
        let stopped = context.ct.clone();
        let handled = Caught::new(self.service.handle_request(request, context));
        tokio::select! {
            biased;
            handled = handled => {
                handled.unwrap_or_else(|_| Err(ErrorData::internal_error(FAULT, None)))
            }
            () = stopped.cancelled() => Err(ErrorData::internal_error("it was cancelled", None)),
        }
    }

    async fn handle_notification(
        &self,
        notification: ClientNotification,
        context: NotificationContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        // What the client says while a request is served is not what this service is there for.
        let own = !matches!(
            notification,
            ClientNotification::CancelledNotification(_)
                | ClientNotification::ProgressNotification(_)
        );
        let handled = Caught::new(self.service.handle_notification(notification, context)).await;
        if own {
            self.done.cancel();
        }
        handled.unwrap_or_else(|_| Err(ErrorData::internal_error(FAULT, None)))
    }

    fn get_info(&self) -> ServerConfig {
        self.service.get_info()
    }
}

/// A transport that brings one message, and then what the client says to it.
struct OneMessage {
    message: Option<ClientJsonRpcMessage>,
    letters: mpsc::Receiver<ClientJsonRpcMessage>,
    inbox: Inbox,
    record: Arc<Record>,
    way: Option<Tx>,
    reply: Option<Reply>,
    /// The message is answered, handled or cancelled.
    done: CancellationToken,
}

/// Why a message did not get on its way.
#[derive(Debug, thiserror::Error)]
enum WayError {
    #[error("the client has no stream open on which it could be told")]
    None,
    #[error(transparent)]
    Send(#[from] SendError),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl OneMessage {
    /// Gives the message the ids that the client knows.
    fn translate(&self, message: &mut ServerJsonRpcMessage) {
        match message {
            ServerJsonRpcMessage::Request(request) => {
                request.id = self.record.ask(&self.inbox, request.id.clone());
            }
            ServerJsonRpcMessage::Notification(notification) => {
                if let ServerNotification::CancelledNotification(cancelled) =
                    &mut notification.notification
                    && let Some(id) = &mut cancelled.params.request_id
                    && let Some(known) = self.record.asked_as(&self.inbox, id)
                {
                    *id = known;
                }
            }
            _ => {}
        }
    }
}

impl Transport<RoleServer> for OneMessage {
    type Error = WayError;

    fn send(
        &mut self,
        mut message: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.translate(&mut message);
        let is_answer = matches!(
            message,
            ServerJsonRpcMessage::Response(_) | ServerJsonRpcMessage::Error(_)
        );
        let (way, done) = (self.way.clone(), self.done.clone());
        let reply = self.reply.take_if(|_| is_answer);
        async move {
            let bytes = serde_json::to_vec(&message)?;
            if let Some(reply) = reply {
                reply.answer(bytes).await;
                done.cancel();
                return Ok(());
            }
            way.ok_or(WayError::None)?.send(bytes).await?;
            Ok(())
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        if let Some(message) = self.message.take() {
            return Some(message);
        }
        let letter = tokio::select! {
            biased;
            () = self.done.cancelled() => return None,
            letter = self.letters.recv() => letter?,
        };
        if let ClientJsonRpcMessage::Notification(notification) = &letter
            && let ClientNotification::CancelledNotification(_) = notification.notification
        {
            // rmcp drops the answer from here on, and nothing else is left to do.
            self.done.cancel();
        }
        Some(letter)
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.reply = None;
        self.way = None;
        std::future::ready(Ok(()))
    }
}

/// The id of the request that a client's notification cancels, if it cancels one.
pub(super) fn cancelled(message: &ClientJsonRpcMessage) -> Option<&RequestId> {
    match message {
        ClientJsonRpcMessage::Notification(notification) => match &notification.notification {
            ClientNotification::CancelledNotification(cancelled) => {
                cancelled.params.request_id.as_ref()
            }
            _ => None,
        },
        _ => None,
    }
}
