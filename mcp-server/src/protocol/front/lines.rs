//! The front of a transport that carries one client and has no headers: what a request means
//! depends on how the client began.

use std::sync::Arc;

use bytes::Bytes;
use rmcp::{
    ServerHandler,
    model::{
        ClientJsonRpcMessage, ClientRequest, GetMeta, ProtocolVersion, RequestId,
        ServerJsonRpcMessage, ServerResult,
    },
};
use serde_json::value::RawValue;

use super::{Form, Front, request::Request, response};
use crate::{
    call::Call,
    protocol::{Envelope, Kind, client_info::name_of, overloaded_response},
    tools::DynTool,
};

/// A [`Front`] that follows one client's lifecycle. rmcp decides on it: the request that opens it
/// and everything before go there.
#[derive(Debug)]
pub(crate) struct LineFront {
    front: Front,
    opening: Opening,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Opening {
    /// Not at all so far.
    None,
    /// With a request that says everything of itself (2026-07-28).
    Complete,
    /// With `initialize`, which is not answered yet, by a client of this name.
    Initialize(Arc<str>),
    /// With `initialize`, by a client of this name.
    Session(Arc<str>),
    /// In a way that is nobody's habit: rmcp answers all.
    Odd,
}

/// What the front has taken.
pub(crate) enum Taken {
    /// It has its response already.
    Answered(Vec<u8>),
    /// A call that is still to be made.
    Call(LineCall),
}

/// A tool's call out of a line. It keeps the line, not a copy of it.
pub(crate) struct LineCall {
    front: Front,
    tool: Arc<dyn DynTool>,
    id: RequestId,
    /// As it was sent.
    raw_id: Bytes,
    arguments: Bytes,
    bypass_cache: bool,
    form: Form,
    client: Option<Arc<str>>,
}

impl LineFront {
    pub(crate) fn new(front: Front) -> Self {
        Self {
            front,
            opening: Opening::None,
        }
    }

    /// The request of `line`, of which `envelope` is the outside; `None` when rmcp must answer.
    pub(crate) fn take(&self, line: &Bytes, envelope: &Envelope<'_>) -> Option<Taken> {
        let (form, request) = match &self.opening {
            Opening::Complete => (Form::Complete, Request::read_complete(envelope)?),
            Opening::Session(_) => match Request::read_in_session(envelope) {
                Some(request) => (Form::Session, request),
                None => (Form::Complete, Request::read_complete(envelope)?),
            },
            Opening::None | Opening::Initialize(_) | Opening::Odd => return None,
        };
        let Kind::Request(id) = &envelope.kind else {
            return None;
        };
        let raw_id = envelope.id?;
        let Request::Call {
            name,
            arguments,
            bypass_cache,
            client,
        } = request
        else {
            let result = self.front.stored(&request, form);
            return Some(Taken::Answered(response(raw_id.get(), result)));
        };
        let tool = self.front.handler.inner().registry().by_name(&name)?;
        let part = |raw: &RawValue| line.slice_ref(raw.get().as_bytes());
        Some(Taken::Call(LineCall {
            front: self.front.clone(),
            tool: tool.clone(),
            id: id.clone(),
            raw_id: part(raw_id),
            arguments: arguments.map_or(Bytes::from_static(b"{}"), part),
            bypass_cache,
            form,
            client: client.and_then(name_of).or_else(|| self.client()),
        }))
    }

    /// rmcp is about to read `message`.
    pub(crate) fn passes(&mut self, message: &ClientJsonRpcMessage) {
        let ClientJsonRpcMessage::Request(request) = message else {
            return;
        };
        match &request.request {
            ClientRequest::InitializeRequest(initialize) => {
                let name = initialize.params.client_info.name.as_str().into();
                self.opening = match self.opening {
                    Opening::None => Opening::Initialize(name),
                    _ => Opening::Odd,
                };
            }
            ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => {}
            other if self.opening == Opening::None => {
                let meta = other.get_meta();
                let complete = meta.missing_required_keys(&ProtocolVersion::V_2026_07_28);
                let supported = self.front.handler.supported_protocol_versions();
                if let Some(version) = meta.protocol_version()
                    && complete.is_empty()
                    && supported.contains(&version)
                {
                    self.opening = match version == ProtocolVersion::V_2026_07_28 {
                        true => Opening::Complete,
                        false => Opening::Odd,
                    };
                }
            }
            _ => {}
        }
    }

    /// rmcp sends `message`.
    pub(crate) fn sends(&mut self, message: &ServerJsonRpcMessage) {
        if let Opening::Initialize(name) = &self.opening
            && let ServerJsonRpcMessage::Response(response) = message
            && let ServerResult::InitializeResult(_) = response.result
        {
            self.opening = Opening::Session(name.clone());
        }
    }

    /// The name that the client gave itself when it opened its session.
    fn client(&self) -> Option<Arc<str>> {
        match &self.opening {
            Opening::Session(name) => Some(name.clone()),
            _ => None,
        }
    }
}

impl LineCall {
    /// Makes the call. `None` when rmcp must, and nothing has been done.
    ///
    /// Cancel safe as the tool is: dropping the future drops the call.
    pub(crate) async fn answer(self) -> Option<Vec<u8>> {
        let handler = self.front.handler.inner();
        let (lane, _place) = match handler.enter(self.client.as_deref()).await {
            Ok(entered) => entered,
            Err(overloaded) => return Some(overloaded_response(&self.id, &overloaded)),
        };
        let call = Call {
            lane,
            bypass_cache: self.bypass_cache,
            ..Call::local()
        };
        let arguments = str::from_utf8(&self.arguments).ok()?;
        let result = self
            .front
            .call(self.tool.as_ref(), &call, arguments, self.form);
        Some(response(str::from_utf8(&self.raw_id).ok()?, &result.await?))
    }
}
