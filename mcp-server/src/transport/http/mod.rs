//! Streamable HTTP: `/mcp` for clients of both eras; `/healthz`, `/readyz`, `/api/status` and
//! `/metrics` for operators, `/dashboard` for people.

mod access;
mod auth;
mod body;
mod coding;
mod connections;
mod dashboard;
mod ending;
mod entry;
mod guard;
mod health;
mod intake;
mod lane;
mod mcp;
mod monitor;
mod msgpack;
mod rate;
mod refusals;
mod sessions;
mod socket;
mod stats;
mod warmup;
mod websocket;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    routing,
};
use rmcp::{ServerHandler, transport::streamable_http_server::StreamableHttpServerConfig};
use tokio::{net::TcpListener, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use auth::Auth;
pub use dashboard::Dashboard;
pub use sessions::{SessionSink, SinkError};
pub use stats::{Counters, HttpStats};
pub use warmup::warm;
pub use websocket::Connect;

use self::{
    access::Access,
    coding::Packer,
    connections::Connections,
    entry::{Entry, Straight},
    guard::Guard,
    mcp::{McpEndpoint, Places},
    sessions::Sessions,
    websocket::Sockets,
};
use crate::{
    admission::Admission, client::Clients, config::HttpConfig, live::Live, monitoring::Monitor,
    ports::Readiness, protocol::Front, tools::Registry,
};

/// How a served listener came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every call in flight was answered, and every answer was sent.
    Whole,
    /// The drain timeout passed first; what was left was cut off.
    Cut,
}

/// What an HTTP server works with beside its handler; by default nothing.
#[derive(Clone, Default)]
pub struct Options {
    /// What answers the requests that it can decide in one pass; without it, the handler answers all.
    pub front: Option<Front>,
    /// What `/readyz` reports on.
    pub readiness: Vec<Arc<dyn Readiness>>,
    /// Where calls wait for a place; without it, none waits and none is refused.
    pub admission: Option<Admission>,
    /// Which tokens open what; without it, every request is made in the name of the one owner.
    pub auth: Option<Auth>,
    /// What answers on a WebSocket; without it, there are none.
    pub websocket: Option<Connect>,
    /// Where sessions are noted.
    pub clients: Clients,
    /// Where it is counted what happens.
    pub counters: Counters,
    /// Where it is seen which calls are for upstreams, and need no place here.
    pub registry: Option<Arc<Registry>>,
    /// What `/api/status` and `/metrics` tell; without it, there is neither.
    pub monitor: Option<Monitor>,
    /// What `/dashboard` shows beside that; without it, there is none.
    pub dashboard: Option<Dashboard>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("admission", &self.admission)
            .field("auth", &self.auth)
            .field("clients", &self.clients)
            .finish_non_exhaustive()
    }
}

/// Serves MCP with `handler` on `listener` until `shutdown`, then drains: no new connections, calls
/// in flight are answered within `config.drain_timeout`, streams that only wait are closed.
///
/// `handler` is cloned for every message that the front does not take. Those of the settings that
/// are reloadable may be exchanged meanwhile.
///
/// # Errors
///
/// When the listener has no local address, or the settings of sessions make no sense.
pub async fn serve<H>(
    listener: TcpListener,
    handler: H,
    options: Options,
    config: impl Into<Live<HttpConfig>>,
    shutdown: CancellationToken,
) -> std::io::Result<Drained>
where
    H: ServerHandler + Clone,
{
    let config = config.into();
    let address = listener.local_addr()?;
    // Calls in flight; the server leaves when the last one is answered.
    let calls = TaskTracker::new();
    // Ends sessions and their streams; cancelled only after the calls.
    let streams = CancellationToken::new();
    let counters = options.counters.clone();
    let (entry, sessions) = entry(
        &handler, options, &config, address, &calls, &streams, &shutdown,
    )
    .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidInput, error))?;

    let settings = config.load_full();
    let connections = Connections::accept(listener, entry, &settings, counters, &shutdown).await;
    tracing::info!(calls = calls.len(), "draining");
    let deadline = Instant::now() + config.load().drain_timeout;
    calls.close();
    let answered = async {
        let answered = tokio::time::timeout_at(deadline, calls.wait()).await;
        streams.cancel();
        sessions.close_all();
        answered.is_ok()
    };
    let (answered, sent) = tokio::join!(answered, connections.close(&streams, deadline));
    Ok(match answered && sent {
        true => Drained::Whole,
        false => Drained::Cut,
    })
}

fn entry<H: ServerHandler + Clone>(
    handler: &H,
    options: Options,
    config: &Live<HttpConfig>,
    address: SocketAddr,
    calls: &TaskTracker,
    streams: &CancellationToken,
    shutdown: &CancellationToken,
) -> Result<(Entry<H>, mcp_streaming::Sessions), mcp_streaming::ConfigError> {
    let rmcp_config = StreamableHttpServerConfig::default()
        // One answer is one JSON body; a stream only where something precedes the answer.
        .with_json_response(true)
        // The endpoint has read the body, within the bound of that moment.
        .with_max_request_body_bytes(usize::MAX)
        .with_cancellation_token(streams.clone())
        // The guard in front checks both headers on every path.
        .disable_allowed_hosts()
        .disable_allowed_origins();
    let sessions = Sessions::new(
        handler,
        options.front.clone(),
        &rmcp_config,
        config.clone(),
        options.clients,
    )?;
    let registry = sessions.registry();
    if let Some(monitor) = &options.monitor {
        monitor.attach_sessions(sessions.observed());
    }
    let fronted = options.front.is_some();
    let auth = options.auth.map(Arc::new);
    let endpoint = McpEndpoint::new(
        sessions,
        options.front,
        config.clone(),
        Places {
            admission: options.admission,
            registry: options.registry,
        },
        auth.clone(),
        options.counters.clone(),
        calls.clone(),
    );
    let endpoint = Arc::new(endpoint);
    let mcp = {
        let endpoint = endpoint.clone();
        routing::any(move |request: Request| endpoint.clone().handle(request))
    };
    let live = config;
    let config = live.load();
    let guard = Arc::new(Guard::new(&config, address));
    let routes = Router::new()
        .route("/mcp", mcp.clone())
        .route("/mcp/{client}", mcp)
        .merge(health::routes(options.readiness))
        .merge(
            options
                .monitor
                .as_ref()
                .map_or_else(Router::new, monitor::routes),
        );
    let routes = match (options.monitor, options.dashboard) {
        (Some(monitor), Some(dashboard)) if config.dashboard.enabled => {
            routes.merge(dashboard::routes(dashboard::Shown {
                dashboard,
                monitor,
                auth: auth.clone(),
                viewers_max: config.dashboard.viewers_max,
                end: streams.clone(),
            }))
        }
        _ => routes,
    };
    let access = Arc::new(Access::new(auth, live.clone(), options.counters.clone()));
    let routes = match options.websocket {
        Some(connect) if config.websocket.enabled => {
            let sockets = Arc::new(Sockets::new(
                connect,
                fronted,
                access.clone(),
                live.clone(),
                calls.clone(),
                shutdown.clone(),
            ));
            let open = routing::get(move |request| sockets.clone().open(request));
            routes.route("/mcp/ws", open)
        }
        _ => routes,
    };
    let packing = &config.compression;
    let packs = packing.enabled && (packing.loopback || !address.ip().is_loopback());
    let packer = packs.then(|| Packer::new(packing, options.counters.clone()));
    let routes = match packer.clone() {
        None => routes,
        Some(packer) => routes.layer(middleware::from_fn(move |request, next| {
            let packer = packer.clone();
            async move { packer.check(request, next).await }
        })),
    };
    let check = {
        let access = access.clone();
        move |request, next| {
            let access = access.clone();
            async move { access.check(request, next).await }
        }
    };
    if config.allowed_origins.is_empty() {
        let straight = Straight {
            guard: guard.clone(),
            access,
            packer,
            endpoint,
        };
        let router = routes.layer(middleware::from_fn(move |request, next| {
            let refusal = guard.refusal(&request);
            let checked = check(request, next);
            async move {
                match refusal {
                    Some(refusal) => refusal,
                    None => checked.await,
                }
            }
        }));
        let straight = Some(straight);
        return Ok((Entry::new(straight, router), registry));
    }
    // A browser shows no token when it asks whether a page may call.
    let router = routes
        .layer(middleware::from_fn(check))
        .layer(guard::cors(&config))
        .layer(middleware::from_fn(move |request, next: Next| {
            let refusal = guard.refusal(&request);
            async move {
                match refusal {
                    Some(refusal) => refusal,
                    None => next.run(request).await,
                }
            }
        }));
    Ok((Entry::new(None, router), registry))
}
