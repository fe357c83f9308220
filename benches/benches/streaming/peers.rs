//! Channels whose bytes two semaphores bound, and rmcp's local session path.

use crate::paths::{GLOBAL_BYTES, Path, Read, SESSION_BYTES, Write};
use bytes::Bytes;
use futures_core::Stream;
use rmcp::{
    model::{ClientJsonRpcMessage, ServerJsonRpcMessage},
    transport::{
        Transport, WorkerTransport,
        streamable_http_server::session::{
            SessionManager,
            local::{LocalSessionManager, LocalSessionWorker},
        },
    },
};
use serde_json::json;
use std::{future::poll_fn, pin::Pin, sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// An event with its part of both budgets.
type Bounded = (Bytes, OwnedSemaphorePermit, OwnedSemaphorePermit);

pub(crate) struct Budgets<C> {
    session: Arc<Semaphore>,
    global: Arc<Semaphore>,
    channel: C,
}

impl<C> Budgets<C> {
    fn new(channel: C) -> Self {
        Self {
            session: Arc::new(Semaphore::new(SESSION_BYTES)),
            global: Arc::new(Semaphore::new(GLOBAL_BYTES)),
            channel,
        }
    }

    async fn bound(&self, data: Bytes) -> Bounded {
        let len = u32::try_from(data.len()).expect("small");
        let session = Arc::clone(&self.session).acquire_many_owned(len).await;
        let global = Arc::clone(&self.global).acquire_many_owned(len).await;
        (data, session.expect("open"), global.expect("open"))
    }
}

pub(crate) struct BoundedMpsc;

impl Path for BoundedMpsc {
    type Tx = Budgets<mpsc::Sender<Bounded>>;
    type Rx = mpsc::Receiver<Bounded>;

    async fn open(&self) -> (Self::Tx, Self::Rx) {
        let (tx, rx) = mpsc::channel(1_024);
        (Budgets::new(tx), rx)
    }
}

impl Write for Budgets<mpsc::Sender<Bounded>> {
    async fn send(&mut self, data: Bytes) {
        let event = self.bound(data).await;
        self.channel.send(event).await.expect("a reader");
    }
}

impl Read for mpsc::Receiver<Bounded> {
    async fn recv(&mut self) {
        drop(mpsc::Receiver::recv(self).await.expect("a writer"));
    }
}

pub(crate) struct BoundedAsyncChannel;

impl Path for BoundedAsyncChannel {
    type Tx = Budgets<async_channel::Sender<Bounded>>;
    type Rx = async_channel::Receiver<Bounded>;

    async fn open(&self) -> (Self::Tx, Self::Rx) {
        let (tx, rx) = async_channel::bounded(1_024);
        (Budgets::new(tx), rx)
    }
}

impl Write for Budgets<async_channel::Sender<Bounded>> {
    async fn send(&mut self, data: Bytes) {
        let event = self.bound(data).await;
        self.channel.send(event).await.expect("a reader");
    }
}

impl Read for async_channel::Receiver<Bounded> {
    async fn recv(&mut self) {
        let event = async_channel::Receiver::recv(self).await;
        drop(event.expect("a writer"));
    }
}

/// rmcp's session: its worker, a standalone stream, and its cache for replay.
pub(crate) struct Rmcp(pub(crate) Arc<LocalSessionManager>);

pub(crate) struct RmcpTx {
    transport: WorkerTransport<LocalSessionWorker>,
    message: Option<(usize, ServerJsonRpcMessage)>,
}

type Events<S> = Pin<Box<S>>;

fn client(message: serde_json::Value) -> ClientJsonRpcMessage {
    serde_json::from_value(message).expect("a message")
}

fn server(message: serde_json::Value) -> ServerJsonRpcMessage {
    serde_json::from_value(message).expect("a message")
}

/// A session whose handler has answered `initialize`.
async fn session(manager: &LocalSessionManager) -> (Arc<str>, WorkerTransport<LocalSessionWorker>) {
    let (id, mut transport) = manager.create_session().await.expect("a session");
    let initialize = client(
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": {"name": "bench", "version": "1"}}}),
    );
    let answer = server(json!({"jsonrpc": "2.0", "id": 1, "result": {
        "protocolVersion": "2025-06-18", "capabilities": {},
        "serverInfo": {"name": "bench", "version": "1"}}}));
    let handler = async {
        transport.receive().await.expect("the request");
        transport.send(answer).await.expect("it listens");
    };
    let (answered, ()) = tokio::join!(manager.initialize_session(&id, initialize), handler);
    answered.expect("an answer");
    (id, transport)
}

impl Path for Rmcp {
    type Tx = RmcpTx;
    type Rx = Events<dyn Stream<Item = ()>>;

    async fn open(&self) -> (Self::Tx, Self::Rx) {
        let manager = Arc::clone(&self.0);
        let (id, transport) = session(&manager).await;
        let events = manager
            .create_standalone_stream(&id)
            .await
            .expect("a stream");
        let message = None;
        (
            RmcpTx { transport, message },
            Box::pin(Discard(Box::pin(events))),
        )
    }
}

/// Counts only that something came.
struct Discard<S>(Pin<Box<S>>);

impl<S: Stream> Stream for Discard<S> {
    type Item = ();

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<()>> {
        self.0.as_mut().poll_next(cx).map(|event| event.map(drop))
    }
}

impl Write for RmcpTx {
    async fn send(&mut self, data: Bytes) {
        let len = data.len();
        let (_, message) = self.message.get_or_insert_with(|| {
            let text = "x".repeat(len);
            let params = json!({"level": "info", "data": text});
            let message =
                json!({"jsonrpc": "2.0", "method": "notifications/message", "params": params});
            (len, server(message))
        });
        let message = message.clone();
        self.transport.send(message).await.expect("it listens");
    }
}

impl Read for Events<dyn Stream<Item = ()>> {
    async fn recv(&mut self) {
        poll_fn(|cx| self.as_mut().poll_next(cx))
            .await
            .expect("an event");
    }
}

/// How many events an unread stream of a session takes, and whether the session
/// then serves a request within a second.
pub(crate) async fn rmcp_unread() -> (u32, bool) {
    let manager = LocalSessionManager::default();
    let (id, mut transport) = session(&manager).await;
    let _unread = manager
        .create_standalone_stream(&id)
        .await
        .expect("a stream");
    let mut taken = 0;
    let second = Duration::from_secs(1);
    let event = server(json!({"jsonrpc": "2.0", "method": "notifications/message",
        "params": {"level": "info", "data": "x"}}));
    while tokio::time::timeout(second, transport.send(event.clone()))
        .await
        .is_ok()
    {
        taken += 1;
    }
    let request = client(json!({"jsonrpc": "2.0", "id": 2, "method": "ping"}));
    let served = tokio::time::timeout(second, manager.create_stream(&id, request)).await;
    (taken, served.is_ok())
}
