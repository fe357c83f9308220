//! `/mcp`: what rmcp leaves open is settled before a request reaches it: size and time of the
//! body, JSON-RPC errors for bad bodies, the number of sessions, calls counted for the drain.

use std::sync::Arc;

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{Extensions, HeaderMap, Method, Request, StatusCode, request::Parts};
use http_body_util::Full;
use rmcp::{
    ServerHandler,
    model::{ErrorCode, RequestId},
};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use super::{
    auth::{Auth, insufficient_scope},
    body::{self, Holding, Incoming},
    intake::Intake,
    lane, msgpack,
    refusals::{doubled, no_such_session, refuse_call, refuse_session, settled, too_deep},
    sessions::{self, Batch, Message, Open, Reply, Sessions},
    stats::{Counters, Event},
};
use crate::{
    admission::{Admission, Admitted, Overloaded},
    auth::{Caller, Scope},
    call::{Call, Lane},
    config::HttpConfig,
    live::Live,
    protocol::{
        Envelope, Front, Kind, REFUSED, WholeCall, called_tool, error_response,
        insufficient_scope_message, is_deeper_than, is_work, overloaded_response,
    },
    tools::Registry,
};

/// The endpoint's state, shared by all requests.
pub(super) struct McpEndpoint<H> {
    sessions: Sessions<H>,
    front: Option<Front>,
    calls: TaskTracker,
    config: Live<HttpConfig>,
    places: Places,
    auth: Option<Arc<Auth>>,
    /// Who shows no token.
    local: Caller,
    intake: Intake,
    counters: Counters,
}

/// Which calls wait for a place, and where.
pub(super) struct Places {
    pub(super) admission: Option<Admission>,
    pub(super) registry: Option<Arc<Registry>>,
}

impl Places {
    /// Where a call waits for a place, if it does. One of an upstream takes as long as that takes:
    /// it would keep places from those who ask this server, and its connector has a bound of its own.
    fn of(&self, envelope: &Envelope<'_>) -> Option<&Admission> {
        let admission = self.admission.as_ref()?;
        let is_remote = self.registry.as_ref().is_some_and(|registry| {
            called_tool(envelope).is_some_and(|name| registry.is_remote(&name))
        });
        (!is_remote).then_some(admission)
    }
}

impl<H: ServerHandler + Clone> McpEndpoint<H> {
    pub(super) fn new(
        sessions: Sessions<H>,
        front: Option<Front>,
        config: Live<HttpConfig>,
        places: Places,
        auth: Option<Arc<Auth>>,
        counters: Counters,
        calls: TaskTracker,
    ) -> Self {
        Self {
            intake: Intake::new(config.clone(), counters.clone()),
            sessions,
            front,
            calls,
            config,
            places,
            auth,
            local: Caller::local(),
            counters,
        }
    }

    pub(super) async fn handle<B: Incoming>(self: Arc<Self>, mut request: Request<B>) -> Response {
        if let Some(name) = doubled(request.headers()) {
            let message = format!("there is more than one {name} header");
            let error = error_response(None, ErrorCode::HEADER_MISMATCH.0, &message);
            return body::json(StatusCode::BAD_REQUEST, error);
        }
        let lane = match lane::of_path(request.uri().path()) {
            Ok(lane) => lane,
            Err(error) => return body::plain(StatusCode::NOT_FOUND, error.to_string()),
        };
        let as_msgpack = msgpack::take_wish(request.headers_mut());
        let response = match *request.method() {
            Method::POST => self.post(request, lane).await,
            Method::GET | Method::DELETE if sessions::is_of_a_session(request.headers(), None) => {
                match self.find(request.headers(), request.extensions()) {
                    Some(open) if request.method() == Method::GET => {
                        self.sessions.stream(&open, request.headers())
                    }
                    Some(open) => self.sessions.close(&open),
                    None => no_such_session(),
                }
            }
            _ => {
                let answered = self.sessions.stateless(request.map(Body::new));
                Box::pin(answered).await.map(Body::new)
            }
        };
        match as_msgpack {
            true => msgpack::write(response).await,
            false => response,
        }
    }

    /// `lane`: the one that the path names, if it names one.
    async fn post<B: Incoming>(
        self: &Arc<Self>,
        request: Request<B>,
        lane: Option<Lane>,
    ) -> Response {
        // Held until the answer was handed to the connection, so that a drain waits for it.
        let call = self.calls.token();
        let (head, bytes) = match self.intake.read(request).await {
            Ok(read) => read,
            Err(refusal) => return refusal,
        };
        let depth_max = self.config.load().json_depth_max;
        let front = self.front.as_ref();
        let whole = front.and_then(|front| front.read_call(&head.headers, &bytes, depth_max));
        let mut admitted = None;
        if let Some(whole) = whole {
            match self.answer(&whole, &head, lane).await {
                Ok(answer) => return answered(answer, call),
                Err(Left::Full(refusal)) => return *refusal,
                Err(Left::Undone(lane, place)) => admitted = Some((lane, place)),
                Err(Left::Refused) => {}
            }
        }
        // It is large, and few requests come here: idle connections should not keep room for it.
        Box::pin(self.post_message(head, bytes, lane, admitted, call)).await
    }

    /// The answer to a call that the front has read.
    async fn answer(
        &self,
        whole: &WholeCall<'_>,
        head: &Parts,
        lane: Option<Lane>,
    ) -> Result<Vec<u8>, Left> {
        let caller = self.caller(&head.extensions);
        if caller.scope < whole.required_scope() {
            return Err(Left::Refused);
        }
        let lane = lane.unwrap_or_else(|| whole.lane());
        let place = match &self.places.admission {
            Some(admission) => Some(admission.enter(lane).await.map_err(|overloaded| {
                Left::Full(Box::new(refuse_call(&overloaded, &whole.id())))
            })?),
            None => None,
        };
        let call = Call {
            lane,
            ..Call::by(caller)
        };
        let answer = whole.answer(call).await;
        answer.ok_or(Left::Undone(lane, place))
    }

    /// A message that the front has not answered at first sight. `admitted`: in which lane, and on
    /// which place, where that was decided already.
    async fn post_message(
        self: &Arc<Self>,
        mut head: Parts,
        bytes: Bytes,
        lane: Option<Lane>,
        admitted: Option<(Lane, Option<Admitted>)>,
        call: TaskTrackerToken,
    ) -> Response {
        let depth_max = self.config.load().json_depth_max;
        let envelope = match Envelope::parse(&bytes) {
            Ok(envelope) => envelope,
            Err(error) => {
                if let Some(open) = self.batch_of(&head, &bytes) {
                    return match is_deeper_than(&bytes, depth_max) {
                        true => self.too_deep(depth_max, None),
                        false => self.batch(&open, &head, &bytes, lane, call),
                    };
                }
                return body::json(StatusCode::BAD_REQUEST, error.to_response());
            }
        };
        let open = match sessions::is_of_a_session(&head.headers, Some(&envelope)) {
            true => match self.session(&head) {
                Ok(open) => Some(open),
                Err(refusal) => return *refusal,
            },
            false => None,
        };
        if is_deeper_than(&bytes, depth_max) {
            return self.too_deep(depth_max, envelope.kind.id());
        }
        if let Some(scope) = self.missing_scope(&head, &envelope) {
            return insufficient_scope(scope, envelope.kind.id());
        }
        if let Some((lane, place)) = admitted {
            lane::seat(&mut head, lane, place);
        } else if let Kind::Request(id) = &envelope.kind
            && is_work(&envelope.method)
            && let Err(overloaded) = self
                .admit(&mut head, &bytes, lane, open.as_ref(), &envelope)
                .await
        {
            return refuse_call(&overloaded, id);
        }
        if let Some(open) = open {
            let message = Message {
                head,
                bytes: bytes.clone(),
            };
            return self.sessions.post(&open, message, &envelope, call).await;
        }
        if let Some(answer) = self.fast_answer(&head, &envelope).await {
            return answered(answer, call);
        }
        let method = envelope.method.into_owned();
        let id = envelope.kind.id().cloned();
        let request = Request::from_parts(head, Full::new(bytes.clone()));
        let response = match (method.as_str(), &id) {
            ("initialize", Some(id)) => {
                let lane = lane.unwrap_or_else(|| lane::of_body(&bytes));
                let owner = self.caller(request.extensions()).owner.clone();
                return match self.sessions.open(request, &bytes, lane, owner).await {
                    Ok(response) => response.map(|body| Body::new(Holding::new(body, call))),
                    Err(full) => refuse_session(&full, id),
                };
            }
            // A subscription lives until somebody ends it; a drain does not wait for it.
            ("subscriptions/listen", Some(_)) => {
                drop(call);
                return settled(self.sessions.stateless(request).await, id.as_ref());
            }
            _ => self.sessions.stateless(request).await,
        };
        settled(response, id.as_ref()).map(|body| Body::new(Holding::new(body, call)))
    }

    /// The answer to a request that the front takes; for every other, nothing has been done.
    async fn fast_answer(&self, head: &Parts, envelope: &Envelope<'_>) -> Option<Vec<u8>> {
        let front = self.front.as_ref()?;
        let lane = head.extensions.get().copied().unwrap_or(Lane::Other);
        let call = Call {
            lane,
            ..Call::by(self.caller(&head.extensions))
        };
        front.answer(&head.headers, envelope, call).await
    }

    fn too_deep(&self, depth_max: usize, id: Option<&RequestId>) -> Response {
        self.counters.count(Event::TooDeep);
        too_deep(depth_max, id)
    }

    /// What a request takes, if its caller may not do that much.
    fn missing_scope(&self, head: &Parts, envelope: &Envelope<'_>) -> Option<Scope> {
        let missing = self.auth.as_ref()?.missing_scope(head, envelope)?;
        self.counters.count(Event::OutOfScope);
        Some(missing)
    }

    /// In whose name a request is made.
    fn caller<'a>(&'a self, found: &'a Extensions) -> &'a Caller {
        found.get().unwrap_or(&self.local)
    }

    /// Waits until there is a place for a call, and puts it into the call's head with the lane, so
    /// that it is free again when the handler has done its work, however long the answer takes to
    /// be sent.
    async fn admit(
        &self,
        head: &mut Parts,
        body: &[u8],
        lane: Option<Lane>,
        open: Option<&Open>,
        envelope: &Envelope<'_>,
    ) -> Result<(), Overloaded> {
        let session = open.inspect(|open| open.count_call()).map(Open::lane);
        let lane = lane.or(session).unwrap_or_else(|| lane::of_body(body));
        let place = match self.places.of(envelope) {
            Some(admission) => Some(admission.enter(lane).await?),
            None => None,
        };
        lane::seat(head, lane, place);
        Ok(())
    }

    /// The caller's session that a request names.
    fn find(&self, headers: &HeaderMap, found: &Extensions) -> Option<Open> {
        self.sessions.find(headers, &self.caller(found).owner)
    }

    /// The session of a POST, or why there is none.
    fn session(&self, head: &Parts) -> Result<Open, Box<Response>> {
        let needs = ["application/json", "text/event-stream"];
        let refusal = sessions::refuse(&head.headers, &needs);
        match (refusal, self.find(&head.headers, &head.extensions)) {
            (Some(refusal), _) => Err(Box::new(refusal)),
            (None, None) => Err(Box::new(no_such_session())),
            (None, Some(open)) => Ok(open),
        }
    }

    /// The session of a POST that may be a batch: only revision 2025-03-26 has them.
    fn batch_of(&self, head: &Parts, bytes: &[u8]) -> Option<Open> {
        let is_array = bytes.trim_ascii_start().starts_with(b"[");
        if !is_array || !sessions::is_of_a_session(&head.headers, None) {
            return None;
        }
        self.session(head).ok().filter(Open::has_batches)
    }

    fn batch(
        self: &Arc<Self>,
        open: &Open,
        head: &Parts,
        bytes: &Bytes,
        lane: Option<Lane>,
        call: TaskTrackerToken,
    ) -> Response {
        let batch = match Batch::read(bytes) {
            Ok(batch) => batch,
            Err(refusal) => return body::json(StatusCode::BAD_REQUEST, refusal),
        };
        let (response, requests) = self.sessions.batch(open, head, batch, call);
        for (bytes, reply) in requests {
            let (this, open) = (self.clone(), open.clone());
            let head = head.clone();
            let one = async move { this.one_of_batch(&open, head, bytes, reply, lane).await };
            self.calls.spawn(one);
        }
        response
    }

    async fn one_of_batch(
        &self,
        open: &Open,
        mut head: Parts,
        bytes: Bytes,
        reply: Reply,
        lane: Option<Lane>,
    ) {
        let Ok(envelope) = Envelope::parse(&bytes) else {
            return;
        };
        if let Some(scope) = self.missing_scope(&head, &envelope) {
            let message = insufficient_scope_message(scope);
            let refusal = error_response(Some(reply.id()), REFUSED, &message);
            return reply.answer(refusal).await;
        }
        if is_work(&envelope.method)
            && let Err(overloaded) = self
                .admit(&mut head, &bytes, lane, Some(open), &envelope)
                .await
        {
            let refusal = overloaded_response(reply.id(), &overloaded);
            return reply.answer(refusal).await;
        }
        let bytes = bytes.clone();
        let message = Message { head, bytes };
        self.sessions.answer(open, message, &envelope, reply).await;
    }
}

/// Why a call that the front has read has no answer.
enum Left {
    /// There was no place for it.
    Full(Box<Response>),
    /// Its caller may not make it; nothing was done.
    Refused,
    /// It has a lane and a place, and nothing was done.
    Undone(Lane, Option<Admitted>),
}

/// An answer that holds `call` until the connection has taken it.
fn answered(answer: Vec<u8>, call: TaskTrackerToken) -> Response {
    let body = Holding::new(Full::new(Bytes::from(answer)), call);
    body::json(StatusCode::OK, Body::new(body))
}
