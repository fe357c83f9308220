//! The way in: messages go straight to their endpoint, and everything else by the router. A router
//! in between costs a call about as much as the front does.

use std::sync::Arc;

use axum::{Router, response::Response};
use http::Request;
use hyper::{body::Incoming, service::Service};
use hyper_util::service::TowerToHyperService;
use rmcp::ServerHandler;

use super::{
    access::{Access, until_revoked},
    coding::{Packer, Wanted},
    connections::Peer,
    guard::Guard,
    mcp::McpEndpoint,
};
use crate::call::Lane;

/// What answers the requests of all connections.
pub(super) struct Entry<H> {
    straight: Option<Straight<H>>,
    router: TowerToHyperService<Router>,
}

/// What a message passes on its way to the endpoint: the same that the router has around it.
pub(super) struct Straight<H> {
    pub(super) guard: Arc<Guard>,
    pub(super) access: Arc<Access>,
    pub(super) packer: Option<Packer>,
    pub(super) endpoint: Arc<McpEndpoint<H>>,
}

impl<H: ServerHandler + Clone> Entry<H> {
    /// Without `straight`, all go by the `router`.
    pub(super) fn new(straight: Option<Straight<H>>, router: Router) -> Self {
        let router = TowerToHyperService::new(router);
        Self { straight, router }
    }

    /// Answers a request that came from `peer`.
    pub(super) async fn answer(
        &self,
        mut request: Request<Incoming>,
        peer: Option<Peer>,
    ) -> Response {
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        match &self.straight {
            Some(straight) if is_endpoint(request.uri().path()) => straight.answer(request).await,
            _ => {
                let Ok(response) = Box::pin(self.router.call(request)).await;
                response
            }
        }
    }
}

/// As the router has it.
fn is_endpoint(path: &str) -> bool {
    let lane = path.strip_prefix("/mcp/").map(Lane::named);
    path == "/mcp" || matches!(lane, Some(Some(_)))
}

impl<H: ServerHandler + Clone> Straight<H> {
    async fn answer(&self, mut request: Request<Incoming>) -> Response {
        if let Some(refusal) = self.guard.refusal(&request) {
            return refusal;
        }
        let caller = match self.access.admit(&mut request) {
            Ok(caller) => caller,
            Err(refusal) => return *refusal,
        };
        let wanted = self
            .packer
            .as_ref()
            .map(|_| Wanted::read(request.headers()));
        let mut response = self.endpoint.clone().handle(request).await;
        if let (Some(packer), Some(wanted)) = (&self.packer, wanted) {
            response = packer.packed(response, &wanted).await;
        }
        match caller {
            Some(caller) => until_revoked(response, &caller),
            None => response,
        }
    }
}
