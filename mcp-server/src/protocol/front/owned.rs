//! Requests that are taken now and answered later, by whoever has the time.

use std::sync::Arc;

use bytes::Bytes;
use rmcp::model::RequestId;
use serde_json::value::RawValue;

use super::{Form, Front, request::Request};
use crate::{
    call::Call,
    protocol::{Envelope, Kind, client_info::name_of, overloaded_response},
    tools::DynTool,
    trace::Trace,
};

/// What the front has taken.
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart where it is made; a box would cost every call an allocation"
)]
pub(crate) enum Taken {
    /// It has its response already.
    Answered(Vec<u8>),
    /// A call that is still to be made.
    Call(OwnedCall),
}

/// A tool's call out of a message. It keeps the message, not a copy of it.
pub(crate) struct OwnedCall {
    front: Front,
    tool: Arc<dyn DynTool>,
    id: RequestId,
    /// As it was sent.
    raw_id: Bytes,
    arguments: Bytes,
    bypass_cache: bool,
    trace: Option<Trace>,
    form: Form,
    caller: Caller,
}

/// Who calls, as far as the front needs to know.
pub(crate) enum Caller {
    /// The one client of the transport, which may have said its name; the call still needs a place.
    Unnamed,
    /// The same, by its name.
    Named(Arc<str>),
    /// Whoever begins this call, which has its lane and its place.
    Placed(Call),
}

impl Front {
    /// A request that says everything of itself, out of the message of which `envelope` is the
    /// outside; `None` when rmcp must answer.
    pub(super) fn take_complete(&self, message: &Bytes, envelope: &Envelope<'_>) -> Option<Taken> {
        let request = Request::read_complete(envelope)?;
        let name = match &request {
            Request::Call { client, .. } => client.and_then(name_of),
            _ => None,
        };
        let caller = name.map_or(Caller::Unnamed, Caller::Named);
        self.own(message, envelope, request, Form::Complete, caller)
    }

    /// The same of a request in an open session.
    pub(crate) fn take_in_session(
        &self,
        message: &Bytes,
        envelope: &Envelope<'_>,
        caller: Caller,
    ) -> Option<Taken> {
        let request = Request::read_in_session(envelope)?;
        self.own(message, envelope, request, Form::Session, caller)
    }

    fn own(
        &self,
        message: &Bytes,
        envelope: &Envelope<'_>,
        request: Request<'_>,
        form: Form,
        caller: Caller,
    ) -> Option<Taken> {
        let Kind::Request(id) = &envelope.kind else {
            return None;
        };
        let raw_id = envelope.id?;
        let Request::Call {
            name,
            arguments,
            bypass_cache,
            trace,
            ..
        } = request
        else {
            let answer = self.stored(raw_id.get(), &request, form);
            return Some(Taken::Answered(answer));
        };
        let registry = self.handler.inner().registry();
        // An upstream may have to ask the client, which takes rmcp.
        if !registry.is_local(&name) {
            return None;
        }
        let tool = registry.by_name(&name)?;
        let part = |raw: &RawValue| message.slice_ref(raw.get().as_bytes());
        Some(Taken::Call(OwnedCall {
            front: self.clone(),
            tool: tool.clone(),
            id: id.clone(),
            raw_id: part(raw_id),
            arguments: arguments.map_or(Bytes::from_static(b"{}"), part),
            bypass_cache,
            trace,
            form,
            caller,
        }))
    }
}

impl OwnedCall {
    /// Makes the call. `None` when rmcp must, and nothing has been done.
    ///
    /// Cancel safe as the tool is: dropping the future drops the call.
    pub(crate) async fn answer(self) -> Option<Vec<u8>> {
        let handler = self.front.handler.inner();
        let name = match &self.caller {
            Caller::Placed(_) => None,
            Caller::Named(name) => Some(Some(&**name)),
            Caller::Unnamed => Some(None),
        };
        let mut call = match self.caller {
            Caller::Placed(ref call) => call.clone(),
            Caller::Named(_) | Caller::Unnamed => handler.begin_call(),
        };
        if call.scope < self.tool.required_scope() {
            return None;
        }
        let mut _place = None;
        if let Some(name) = name {
            match handler.enter(name).await {
                Ok((lane, place)) => (call.lane, _place) = (lane, place),
                Err(overloaded) => return Some(overloaded_response(&self.id, &overloaded)),
            }
        }
        call.bypass_cache = self.bypass_cache;
        call.trace = self.trace.or(call.trace);
        let arguments = str::from_utf8(&self.arguments).ok()?;
        let id = str::from_utf8(&self.raw_id).ok()?;
        let tool = self.tool.as_ref();
        self.front.call(id, tool, &call, arguments, self.form).await
    }
}
