//! Clients that never read, over real connections. A process of its own, because
//! it is the process whose memory is measured.

#![cfg(target_os = "linux")]

use http::{Request, Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use mcp_streaming::{Budget, BudgetConfig, Rx, SendError, SlowConsumer, StreamConfig};
use std::{convert::Infallible, fs, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
};

const KIB: u64 = 1024;
const CLIENTS: usize = 20;
const CHUNK: usize = 64 << 10;
const TOTAL: usize = 80 << 20;
const BUDGET: u64 = 16 << 20;
const RSS_GROWTH_MAX: u64 = 25 << 20;

fn config() -> StreamConfig {
    StreamConfig {
        bytes_max: 256 * KIB,
        replay_bytes_max: 0,
        slow_consumer: SlowConsumer::Wait {
            at_most: Duration::from_secs(3),
        },
        idle_timeout: None,
    }
}

/// Answers every request with 80 MB, as fast as they are read. What became of
/// each writer is sent to `ends`.
async fn serve(budget: Budget, ends: mpsc::Sender<Result<usize, SendError>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (budget, ends) = (budget.clone(), ends.clone());
            let answer = service_fn(move |_: Request<Incoming>| {
                let (tx, rx) = budget.stream(&config()).expect("valid");
                let ends = ends.clone();
                tokio::spawn(async move {
                    let mut sent = 0;
                    let end = loop {
                        if sent == TOTAL {
                            tx.finish();
                            break Ok(sent);
                        }
                        // A fresh buffer each time: shared ones would cost nothing.
                        match tx.send(vec![b'x'; CHUNK]).await {
                            Ok(_) => sent += CHUNK,
                            Err(error) => break Err(error),
                        }
                    };
                    let _ = ends.send(end).await;
                });
                async move { Ok::<_, Infallible>(Response::<Rx>::new(rx)) }
            });
            tokio::spawn(async move {
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(socket), answer);
                let _ = connection.await;
            });
        }
    });
    addr
}

/// Sends a request, with small buffers for what it will not read.
async fn ask(addr: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(addr).await.expect("it listens");
    let request = b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n";
    socket.write_all(request).await.expect("it is read");
    socket
}

/// Bytes of this process in memory.
fn rss() -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.expect("VmRSS in kB") * KIB
}

/// 20 clients ask for 80 MB each and read nothing: the writers wait and are
/// told, memory stays where it was, and a client that reads gets everything.
#[tokio::test]
async fn clients_that_never_read_hold_little() {
    let budget = Budget::new(&BudgetConfig {
        bytes_max: BUDGET,
        ..BudgetConfig::default()
    })
    .expect("a valid configuration");
    let (ends_tx, mut ends) = mpsc::channel(64);
    let addr = serve(budget.clone(), ends_tx).await;
    // What a connection and its buffers cost at first is not what is measured.
    drop(ask(addr).await);
    let before = rss();
    let stop = Arc::new(Semaphore::new(0));
    let watch = {
        let (stop, budget) = (Arc::clone(&stop), budget.clone());
        tokio::spawn(async move {
            let mut most = 0;
            while tokio::time::timeout(Duration::from_millis(20), stop.acquire())
                .await
                .is_err()
            {
                most = most.max(rss());
                assert!(budget.stats().bytes_leased <= BUDGET);
            }
            most
        })
    };
    let mut silent = Vec::new();
    for _ in 0..CLIENTS {
        silent.push(ask(addr).await);
    }
    let mut reader = ask(addr).await;
    let mut read = 0;
    let mut buffer = vec![0; CHUNK];
    while let Ok(len @ 1..) = reader.read(&mut buffer).await {
        read += len;
    }
    assert!(read > TOTAL, "the head, and all of the body: {read}");
    let mut stalled = 0;
    while stalled < CLIENTS {
        match ends.recv().await.expect("a writer's end") {
            Err(SendError::Stalled { .. }) => stalled += 1,
            Ok(sent) => assert_eq!(sent, TOTAL),
            // The first client, which went away.
            Err(SendError::Ended(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    stop.add_permits(1);
    let most = watch.await.expect("no panic");
    let growth = most.saturating_sub(before);
    assert!(growth <= RSS_GROWTH_MAX, "grew by {} KiB", growth / KIB);
    assert!(budget.audit().is_balanced());
    // The clients go away: nothing is left.
    drop(silent);
    for _ in 0..500 {
        if budget.stats().streams == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let audit = budget.audit();
    assert_eq!((audit.counted, audit.streams), (0, 0));
}
