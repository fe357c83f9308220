//! What a client posts in its session: requests, answers to questions, notifications.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{StatusCode, request::Parts};
use http_body_util::Full;
use mcp_streaming::{OpenStreamError, Rx, Tx};
use rmcp::{
    ServerHandler,
    model::{
        ClientJsonRpcMessage, ClientNotification, ErrorCode, GetExtensions, JsonRpcError, RequestId,
    },
};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{
    Open, Sessions,
    record::{Inbox, Record, Running},
    reply::Reply,
    service::{Outlet, Served, cancelled},
    sink::SessionSink,
    streams::{event_stream, events},
};
use crate::{
    admission::Admitted,
    attempt::{Caught, FAULT, at_once},
    auth,
    call::{Call, Lane},
    protocol::{
        Caller, Envelope, INVALID_REQUEST, Kind, OwnedCall, REFUSED, Taken, error_response,
    },
    transport::http::body::{self, Holding},
};

/// The longest that the handler of a notification may take.
const NOTIFICATION_TIMEOUT: Duration = Duration::from_secs(60);

/// A message of an open session, with the head of the POST that brought it.
pub(in crate::transport::http) struct Message {
    pub(in crate::transport::http) head: Parts,
    pub(in crate::transport::http) bytes: Bytes,
}

/// What the front made of a request.
enum Fast {
    Answer(Vec<u8>),
    /// It will not be answered.
    Cancelled,
    /// It is rmcp's.
    Left,
}

impl<H: ServerHandler + Clone> Sessions<H> {
    /// The response to a POST of one message. A request that the front answers is answered with
    /// JSON, every other with a stream, which can be resumed. `call` is held until the response is
    /// sent.
    ///
    /// Cancel safe: a client that leaves does not end its request.
    pub(in crate::transport::http) async fn post(
        &self,
        open: &Open,
        message: Message,
        envelope: &Envelope<'_>,
        call: TaskTrackerToken,
    ) -> Response {
        let Kind::Request(id) = &envelope.kind else {
            return match serde_json::from_slice(&message.bytes) {
                Ok(typed) => {
                    self.tell(open, message.head, typed);
                    status(StatusCode::ACCEPTED)
                }
                Err(_) => not_a_message(None),
            };
        };
        match self.fast(open, &message, envelope, id).await {
            Fast::Answer(answer) => {
                let body = Holding::new(Full::new(Bytes::from(answer)), call);
                return body::json(StatusCode::OK, Body::new(body));
            }
            Fast::Cancelled => return event_stream(Body::empty()),
            Fast::Left => {}
        }
        let Ok(typed) = serde_json::from_slice(&message.bytes) else {
            return not_a_message(Some(id));
        };
        match replies(open, vec![id.clone()]) {
            Ok((mut replies, _, rx)) => {
                if let Some(reply) = replies.pop() {
                    self.serve(open, message.head, typed, reply);
                }
                let primed = open.record.is_primed();
                events(rx, primed).map(|body| Body::new(Holding::new(body, call)))
            }
            Err(error) => no_stream(&error, Some(id)),
        }
    }

    /// Answers a request of a batch into its stream.
    pub(in crate::transport::http) async fn answer(
        &self,
        open: &Open,
        message: Message,
        envelope: &Envelope<'_>,
        reply: Reply,
    ) {
        match self.fast(open, &message, envelope, reply.id()).await {
            Fast::Answer(answer) => reply.answer(answer).await,
            Fast::Cancelled => {}
            Fast::Left => match serde_json::from_slice(&message.bytes) {
                Ok(typed) => self.serve(open, message.head, typed, reply),
                Err(_) => {
                    let refusal = error_response(Some(reply.id()), INVALID_REQUEST, NOT_A_MESSAGE);
                    reply.answer(refusal).await;
                }
            },
        }
    }

    async fn fast(
        &self,
        open: &Open,
        message: &Message,
        envelope: &Envelope<'_>,
        id: &RequestId,
    ) -> Fast {
        let Some(front) = &self.front else {
            return Fast::Left;
        };
        let extensions = &message.head.extensions;
        let mut begun = extensions
            .get::<auth::Caller>()
            .map_or_else(Call::local, Call::by);
        begun.lane = extensions.get().copied().unwrap_or(Lane::Other);
        match front.take_in_session(&message.bytes, envelope, Caller::Placed(begun)) {
            None => Fast::Left,
            Some(Taken::Answered(answer)) => Fast::Answer(answer),
            Some(Taken::Call(call)) => {
                let place = extensions.get::<Arc<Admitted>>().cloned();
                self.call(&open.record, id, call, place).await
            }
        }
    }

    /// Makes a call, in a task if it has to wait.
    async fn call(
        &self,
        record: &Arc<Record>,
        id: &RequestId,
        call: OwnedCall,
        place: Option<Arc<Admitted>>,
    ) -> Fast {
        let made = Box::pin(async move {
            let _place = place;
            Caught::new(call.answer()).await
        });
        let made = match at_once(made).await {
            Ok(made) => Some(made),
            Err(waits) => {
                let stop = record.stop.child_token();
                let work = Work::begin(record, id, Running::Task(stop.clone()));
                let task = self.work.spawn(async move {
                    let _work = work;
                    tokio::select! {
                        biased;
                        made = waits => Some(made),
                        () = stop.cancelled() => None,
                    }
                });
                task.await.ok().flatten()
            }
        };
        match made {
            Some(Ok(Some(answer))) => Fast::Answer(answer),
            Some(Ok(None)) => Fast::Left,
            Some(Err(_)) => {
                let code = ErrorCode::INTERNAL_ERROR.0;
                Fast::Answer(error_response(Some(id), code, FAULT))
            }
            None => Fast::Cancelled,
        }
    }

    /// Has a service of its own answer a request.
    fn serve(&self, open: &Open, head: Parts, mut message: ClientJsonRpcMessage, reply: Reply) {
        add_head(&mut message, head, &open.record);
        let (record, id) = (open.record.clone(), reply.id().clone());
        let outlet = Outlet::Request(reply);
        let served = Served::new(self.handler.clone(), record.clone(), message, outlet);
        let work = Work::begin(&record, &id, Running::Service(served.inbox().clone()));
        let stop = record.stop.child_token();
        self.work.spawn(async move {
            let _work = work;
            served.run(stop).await;
        });
    }

    /// Brings what is no request to who waits for it.
    pub(in crate::transport::http) fn tell(
        &self,
        open: &Open,
        head: Parts,
        message: ClientJsonRpcMessage,
    ) {
        let record = &open.record;
        if let Some(id) = cancelled(&message) {
            match record.running(id) {
                Some(Running::Task(stop)) => stop.cancel(),
                Some(Running::Service(inbox)) => post_to(&inbox, message),
                None => {}
            }
            return;
        }
        match message {
            ClientJsonRpcMessage::Response(mut response) => {
                if let Some((inbox, id)) = record.asker(&response.id) {
                    response.id = id;
                    post_to(&inbox, ClientJsonRpcMessage::Response(response));
                }
            }
            ClientJsonRpcMessage::Error(error) => {
                if let Some((inbox, id)) = error.id.as_ref().and_then(|id| record.asker(id)) {
                    let error = JsonRpcError::new(Some(id), error.error);
                    post_to(&inbox, ClientJsonRpcMessage::Error(error));
                }
            }
            ClientJsonRpcMessage::Notification(ref notification) => match notification.notification
            {
                // Which of them is meant is known to them.
                ClientNotification::ProgressNotification(_) => {
                    for inbox in record.listeners() {
                        post_to(&inbox, message.clone());
                    }
                }
                ClientNotification::InitializedNotification(_) => {
                    open.session.initialized();
                    self.notify(record, head, message);
                }
                _ => self.notify(record, head, message),
            },
            ClientJsonRpcMessage::Request(_) => {}
        }
    }

    /// Has a service of its own handle a notification.
    fn notify(&self, record: &Arc<Record>, head: Parts, mut message: ClientJsonRpcMessage) {
        add_head(&mut message, head, record);
        let outlet = Outlet::Session(record.standing());
        let served = Served::new(self.handler.clone(), record.clone(), message, outlet);
        let stop = record.stop.child_token();
        self.work.spawn(async move {
            let run = served.run(stop);
            if tokio::time::timeout(NOTIFICATION_TIMEOUT, run)
                .await
                .is_err()
            {
                tracing::warn!("a notification was not handled in time");
            }
        });
    }
}

/// A stream for the answers to these requests, and the way into it for others.
pub(super) fn replies(
    open: &Open,
    ids: Vec<RequestId>,
) -> Result<(Vec<Reply>, Tx, Rx), OpenStreamError> {
    let (tx, rx) = open.session.open_stream()?;
    let way = tx.clone();
    Ok((Reply::all(tx, ids), way, rx))
}

/// A request at work, until it is dropped.
struct Work {
    record: Arc<Record>,
    id: RequestId,
    inbox: Option<Inbox>,
}

impl Work {
    fn begin(record: &Arc<Record>, id: &RequestId, running: Running) -> Self {
        let inbox = match &running {
            Running::Service(inbox) => Some(inbox.clone()),
            Running::Task(_) => None,
        };
        record.begin(id.clone(), running);
        Self {
            record: record.clone(),
            id: id.clone(),
            inbox,
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.record.end(&self.id, self.inbox.as_ref());
    }
}

/// Handlers find the head of the POST in the extensions, and in its extensions a way to the session.
fn add_head(message: &mut ClientJsonRpcMessage, mut head: Parts, record: &Arc<Record>) {
    head.extensions.insert(SessionSink::new(record));
    match message {
        ClientJsonRpcMessage::Request(request) => {
            request.request.extensions_mut().insert(head);
        }
        ClientJsonRpcMessage::Notification(notification) => {
            notification.notification.extensions_mut().insert(head);
        }
        _ => {}
    }
}

fn post_to(inbox: &Inbox, message: ClientJsonRpcMessage) {
    if let Err(error) = inbox.try_send(message) {
        tracing::debug!(%error, "a message of the client came too late, or too many did");
    }
}

const NOT_A_MESSAGE: &str = "invalid request: not a message of this protocol";

fn not_a_message(id: Option<&RequestId>) -> Response {
    let error = error_response(id, INVALID_REQUEST, NOT_A_MESSAGE);
    body::json(StatusCode::BAD_REQUEST, error)
}

pub(super) fn no_stream(error: &OpenStreamError, id: Option<&RequestId>) -> Response {
    let code = match error {
        OpenStreamError::Ended(_) => StatusCode::NOT_FOUND,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    body::json(code, error_response(id, REFUSED, &error.to_string()))
}

pub(super) fn status(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
