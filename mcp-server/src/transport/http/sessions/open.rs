//! How a session begins: `initialize` is answered like any request, and its answer gets an id.

use std::sync::Arc;

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use mcp_streaming::OpenError;
use rmcp::{
    ServerHandler,
    model::{InitializeRequestParams, ProtocolVersion},
};
use serde::Deserialize;

use super::{
    SESSION_ID, Sessions,
    headers::refuse,
    record::{Kept, Record},
};
use crate::{
    call::Lane,
    client::Transport,
    memory::Owner,
    protocol::{INVALID_PARAMS, error_response},
    transport::http::body,
};

/// What a client may say of itself in `initialize`, in bytes: it is kept as long as the session.
const INITIALIZE_BYTES_MAX: usize = 16 << 10;

/// All sessions that this client may have are in use.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::transport::http) struct NoRoom {
    pub(in crate::transport::http) open: usize,
}

#[derive(Deserialize)]
struct Initialize {
    params: InitializeRequestParams,
}

#[derive(Deserialize)]
struct Initialized {
    result: Agreed,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Agreed {
    protocol_version: ProtocolVersion,
}

impl<H: ServerHandler + Clone> Sessions<H> {
    /// Opens a session of `owner` with an `initialize` request of a client of `lane`, if there is room or an
    /// idle session makes some.
    pub(in crate::transport::http) async fn open(
        &self,
        request: Request<Full<Bytes>>,
        message: &[u8],
        lane: Lane,
        owner: Owner,
    ) -> Result<Response, NoRoom> {
        let Ok(Initialize { params }) = serde_json::from_slice(message) else {
            return Ok(self.stateless(request).await.map(Body::new));
        };
        let needs = ["application/json", "text/event-stream"];
        if let Some(refusal) = refuse(request.headers(), &needs) {
            return Ok(refusal);
        }
        if message.len() > INITIALIZE_BYTES_MAX {
            let text = format!("`initialize` is longer than {INITIALIZE_BYTES_MAX} bytes");
            let error = error_response(None, INVALID_PARAMS, &text);
            return Ok(body::json(StatusCode::BAD_REQUEST, error));
        }
        let session = {
            let config = self.config.load();
            self.open
                .set_caps(config.sessions_max, config.sessions_per_client_max);
            self.open.open(owner.as_str()).map_err(no_room)?
        };
        let (mut head, answer) = self.opening.handle(request).await.into_parts();
        let Ok(answer) = answer.collect().await;
        let answer = answer.to_bytes();
        let Ok(initialized) = serde_json::from_slice::<Initialized>(&answer) else {
            session.close();
            return Ok(Response::from_parts(head, Body::from(answer)));
        };
        let mut peer = params;
        peer.protocol_version = initialized.result.protocol_version;
        let client = self.clients.connect(owner, lane, Transport::Http);
        let record = Record::new(peer, client, self.streams.child_token());
        session.attach(Arc::new(Kept::new(record)));
        let id = HeaderValue::from_str(&session.id().to_string()).expect("it is of digits");
        head.headers.insert(SESSION_ID, id);
        Ok(Response::from_parts(head, Body::from(answer)))
    }
}

fn no_room(error: OpenError) -> NoRoom {
    match error {
        OpenError::TooMany { limit } | OpenError::TooManyOfOwner { limit } => {
            NoRoom { open: limit }
        }
        // Without randomness there is no id that nobody can guess.
        other => {
            tracing::error!(error = %other, "a session was not opened");
            NoRoom { open: 0 }
        }
    }
}
