//! A server inside the test's own process.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use mcp_server::{
    app::App,
    auth::{Entry, Scope, Token, TokenFile},
    config::{Config, HttpConfig, MemoryConfig},
    memory::{search::IndexConfig, sqlite::SqliteConfig},
    transport::http::{self, Drained},
};
use rmcp::ServerHandler;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, process::folder, within};

/// Makes a token in a data directory, and returns its secret and its id.
pub(crate) fn token(data_dir: &Path, tenant: &str, scope: Scope) -> (String, String) {
    let token = Token::generate().expect("there are random numbers");
    let entry = Entry::new(&token, "test", tenant, scope).expect("the names are right");
    let id = entry.id.clone();
    let file = TokenFile::new(data_dir);
    file.add(entry).expect("the folder can be written");
    (token.secret().to_owned(), id)
}

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
        Self::with(Config {
            http: config,
            ..Config::default()
        })
        .await
    }

    /// Serves all tools on an empty store, with any settings.
    pub(crate) async fn with(config: Config) -> Self {
        Self::in_folder(folder(), config).await
    }

    /// Serves the memory tools with a token for each tenant and scope; returns their secrets.
    pub(crate) async fn with_tokens(
        config: HttpConfig,
        callers: &[(&str, Scope)],
    ) -> (Self, Vec<String>) {
        Self::with_tokens_and_index(config, callers, IndexConfig::default()).await
    }

    /// The same, with a search index of these settings.
    pub(crate) async fn with_tokens_and_index(
        config: HttpConfig,
        callers: &[(&str, Scope)],
        index: IndexConfig,
    ) -> (Self, Vec<String>) {
        let config = Config {
            http: config,
            memory: MemoryConfig {
                sqlite: SqliteConfig {
                    index,
                    ..SqliteConfig::default()
                },
                ..MemoryConfig::default()
            },
            ..Config::default()
        };
        Self::with_callers(config, callers).await
    }

    /// Serves all tools on an empty store, with any settings and these tokens.
    pub(crate) async fn with_callers(
        config: Config,
        callers: &[(&str, Scope)],
    ) -> (Self, Vec<String>) {
        let folder = folder();
        let tokens = callers
            .iter()
            .map(|(tenant, scope)| token(folder.path(), tenant, *scope).0)
            .collect();
        (Self::in_folder(folder, config).await, tokens)
    }

    async fn in_folder(folder: TempDir, config: Config) -> Self {
        let memory = MemoryConfig {
            data_dir: Some(folder.path().to_owned()),
            operation_timeout: PATIENCE,
            ..config.memory
        };
        let app = App::build(&Config {
            http: config.http.clone(),
            memory,
            ..config
        })
        .await
        .expect("an empty folder is fine");
        app.start().await;
        Self::start_app(app.handler(), config.http, Some((app, folder))).await
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
        let drained = within("the drain", self.task)
            .await
            .expect("serving does not panic")
            .expect("the listener has an address");
        if let Some((app, _folder)) = self.memory {
            within("the end of the parts", app.close()).await;
        }
        drained
    }
}
