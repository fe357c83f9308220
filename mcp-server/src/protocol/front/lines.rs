//! The front of a transport that carries one client and has no headers: what a request means
//! depends on how the client began.

use std::sync::Arc;

use bytes::Bytes;
use rmcp::{
    ServerHandler,
    model::{
        ClientJsonRpcMessage, ClientRequest, GetMeta, ProtocolVersion, ServerJsonRpcMessage,
        ServerResult,
    },
};

use super::{
    Front,
    owned::{Caller, Taken},
};
use crate::protocol::Envelope;

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

impl LineFront {
    pub(crate) fn new(front: Front) -> Self {
        Self {
            front,
            opening: Opening::None,
        }
    }

    /// The request of `line`, of which `envelope` is the outside; `None` when rmcp must answer.
    pub(crate) fn take(&self, line: &Bytes, envelope: &Envelope<'_>) -> Option<Taken> {
        match &self.opening {
            Opening::Complete => self.front.take_complete(line, envelope),
            Opening::Session(name) => {
                let caller = Caller::Named(name.clone());
                let taken = self.front.take_in_session(line, envelope, caller);
                taken.or_else(|| self.front.take_complete(line, envelope))
            }
            Opening::None | Opening::Initialize(_) | Opening::Odd => None,
        }
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
}
