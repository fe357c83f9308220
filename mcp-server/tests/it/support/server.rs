//! A server inside the test's own process.

use std::net::{Ipv4Addr, SocketAddr};

use mcp_server::{
    app::App,
    config::{Config, HttpConfig, MemoryConfig},
    transport::http::{self, Drained},
};
use rmcp::ServerHandler;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, process::folder, within};

/// A running HTTP server on a free port.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    task: JoinHandle<std::io::Result<Drained>>,
    /// What must outlive the server.
    memory: Option<(App, TempDir)>,
}

impl Server {
    /// Serves any handler.
    pub(crate) async fn start(handler: impl ServerHandler + Clone, config: HttpConfig) -> Self {
        Self::start_app(handler, config, None).await
    }

    /// Serves the memory tools on an empty store.
    pub(crate) async fn memory(config: HttpConfig) -> Self {
        let folder = folder();
        let memory = MemoryConfig {
            data_dir: Some(folder.path().to_owned()),
            operation_timeout: PATIENCE,
            ..MemoryConfig::default()
        };
        let app = App::build(&Config {
            http: config.clone(),
            memory,
            ..Config::default()
        })
        .await
        .expect("an empty folder is fine");
        Self::start_app(app.handler(), config, Some((app, folder))).await
    }

    async fn start_app(
        handler: impl ServerHandler + Clone,
        config: HttpConfig,
        memory: Option<(App, TempDir)>,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let options = match &memory {
            Some((app, _)) => app.http_options(),
            None => http::Options::default(),
        };
        let shutdown = CancellationToken::new();
        let token = shutdown.clone();
        let task =
            tokio::spawn(
                async move { http::serve(listener, handler, options, config, token).await },
            );
        Self {
            address,
            shutdown,
            task,
            memory,
        }
    }

    /// The parts behind a server of [`memory`](Self::memory) tools.
    pub(crate) fn app(&self) -> &App {
        let memory = self.memory.as_ref();
        &memory.expect("it serves the memory tools").0
    }

    /// Asks for the end and waits for it.
    pub(crate) async fn stop(self) -> Drained {
        self.shutdown.cancel();
        within("the drain", self.task)
            .await
            .expect("serving does not panic")
            .expect("the listener has an address")
    }
}
