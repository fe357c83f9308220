//! A TCP proxy that misbehaves when told to.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::JoinSet,
};

pub(crate) struct Proxy {
    port: u16,
    delay_ms: Arc<AtomicU64>,
    /// Says what becomes of the connections that there are.
    fate: watch::Sender<Fate>,
    _tasks: JoinSet<()>,
}

#[derive(Clone, Copy)]
enum Fate {
    Cut,
    /// They stay, and nothing comes through them any more.
    Mute,
}

impl Proxy {
    pub(crate) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let delay_ms = Arc::new(AtomicU64::new(0));
        let fate = watch::Sender::new(Fate::Cut);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, to, Arc::clone(&delay_ms), fate.clone()));
        Self {
            port,
            delay_ms,
            fate,
            _tasks: tasks,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Everything takes so much longer from now on, each way.
    pub(crate) fn delay(&self, delay: Duration) {
        let ms = u64::try_from(delay.as_millis()).expect("short");
        self.delay_ms.store(ms, Ordering::Relaxed);
    }

    /// Cuts all connections there are.
    pub(crate) fn cut(&self) {
        self.fate.send_replace(Fate::Cut);
    }

    /// Makes all connections there are fall silent.
    pub(crate) fn mute(&self) {
        self.fate.send_replace(Fate::Mute);
    }
}

async fn accept(
    listener: TcpListener,
    to: u16,
    delay_ms: Arc<AtomicU64>,
    fate: watch::Sender<Fate>,
) {
    let mut connections = JoinSet::new();
    while let Ok((inner, _)) = listener.accept().await {
        let (delay_ms, mut fate) = (Arc::clone(&delay_ms), fate.subscribe());
        connections.spawn(async move {
            let mut inner = inner;
            let Ok(mut outer) = TcpStream::connect(("127.0.0.1", to)).await else {
                return;
            };
            let _ = (inner.set_nodelay(true), outer.set_nodelay(true));
            // Borrowed, so that both stay open whatever ends first.
            let ((inner_in, inner_out), (outer_in, outer_out)) = (inner.split(), outer.split());
            tokio::select! {
                () = copy(inner_in, outer_out, &delay_ms) => return,
                () = copy(outer_in, inner_out, &delay_ms) => return,
                _ = fate.changed() => {}
            }
            let over = *fate.borrow_and_update();
            if matches!(over, Fate::Mute) {
                // Both ends are held until they are cut.
                let _ = fate.changed().await;
            }
        });
    }
}

async fn copy(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, delay_ms: &AtomicU64) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(len) = from.read(&mut buffer).await {
        let delay_ms = delay_ms.load(Ordering::Relaxed);
        if delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        }
        if len == 0 || to.write_all(&buffer[..len]).await.is_err() {
            return;
        }
    }
}
