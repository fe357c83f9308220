//! Versions that all processes read and write.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Mutex,
    task::JoinSet,
};

pub(super) const KEYS: u32 = 32;

pub(super) struct Service {
    port: u16,
    _tasks: JoinSet<()>,
}

impl Service {
    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

pub(super) async fn serve() -> Service {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let versions: Arc<[AtomicU64]> = (0..KEYS).map(|_| AtomicU64::new(0)).collect();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(answer(stream, Arc::clone(&versions)));
        }
    });
    Service {
        port,
        _tasks: tasks,
    }
}

async fn answer(mut stream: TcpStream, versions: Arc<[AtomicU64]>) {
    let _ = stream.set_nodelay(true);
    let mut ask = [0; 5];
    while stream.read_exact(&mut ask).await.is_ok() {
        let key = u32::from_le_bytes([ask[1], ask[2], ask[3], ask[4]]);
        let version = &versions[key as usize];
        let answer = match ask[0] {
            b'w' => version.fetch_add(1, Ordering::SeqCst) + 1,
            _ => version.load(Ordering::SeqCst),
        };
        if stream.write_all(&answer.to_le_bytes()).await.is_err() {
            return;
        }
    }
}

/// One process's way to it.
pub(super) struct Source {
    streams: Vec<Mutex<TcpStream>>,
    next: AtomicU64,
}

impl Source {
    pub(super) async fn connect(port: u16) -> Self {
        let mut streams = Vec::new();
        for _ in 0..8 {
            let stream = TcpStream::connect(("127.0.0.1", port))
                .await
                .expect("it serves");
            stream.set_nodelay(true).expect("a socket");
            streams.push(Mutex::new(stream));
        }
        Self {
            streams,
            next: AtomicU64::new(0),
        }
    }

    /// On a task of its own, so that a caller that goes away leaves no half of an
    /// answer behind.
    pub(super) async fn ask(self: &Arc<Self>, what: u8, key: u32) -> u64 {
        let source = Arc::clone(self);
        let asking = tokio::spawn(async move {
            let next = source.next.fetch_add(1, Ordering::Relaxed);
            let at = usize::try_from(next).expect("small") % source.streams.len();
            let mut stream = source.streams[at].lock().await;
            let mut ask = [what, 0, 0, 0, 0];
            ask[1..].copy_from_slice(&key.to_le_bytes());
            stream.write_all(&ask).await.expect("it serves");
            let mut answer = [0; 8];
            stream.read_exact(&mut answer).await.expect("it serves");
            u64::from_le_bytes(answer)
        });
        asking.await.expect("no panic")
    }
}
