//! A server that streams events to clients that vanish, come back, or never read.
//!
//! ```text
//! cargo run -p examples --example streaming_resume
//! ```
//!
//! One HTTP server on loopback. A client reads some events and loses its
//! connection; it comes back with the id of its last event and goes on without
//! a gap. Ten clients ask for an endless stream and read nothing: the streams
//! end with a reason, and the budget was never exceeded. In the end everything
//! has come back.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use examples::check;
use mcp_streaming::{
    Budget, BudgetConfig, EventId, Rx, SessionConfig, Sessions, SlowConsumer, StreamConfig,
    StreamingSession,
    sse::{self, SseBody, SseConfig},
};
use std::{error::Error, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const BUDGET: u64 = 4 << 20;
const COUNTED_TO: u64 = 40;

type Fallible<T> = Result<T, Box<dyn Error>>;

#[derive(Clone)]
struct Server {
    /// Who asks is known by other means; here it is always the same one.
    session: Arc<StreamingSession>,
    budget: Budget,
}

#[tokio::main]
async fn main() -> Fallible<()> {
    let budget = Budget::new(&BudgetConfig {
        bytes_max: BUDGET,
        ..BudgetConfig::default()
    })?;
    let sessions = Sessions::new(&budget, &SessionConfig::default())?;
    let session = sessions.open("ann")?;
    session.initialized();
    let addr = serve(Server {
        session,
        budget: budget.clone(),
    })
    .await?;

    let seen = lose_and_resume(addr).await?;
    let expect: Vec<u64> = (1..=COUNTED_TO).collect();
    check(seen == expect, "every event came once and in order")?;

    let mut silent = Vec::new();
    for _ in 0..10 {
        silent.push(ask(addr, "/endless", None).await?);
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let stats = budget.stats();
    println!("{stats:?}");
    check(stats.bytes_leased_peak <= BUDGET, "the budget held")?;
    check(stats.ended_slow == 10, "who did not read was disconnected")?;
    let audit = budget.audit();
    check(audit.is_balanced(), "every byte has an owner")?;

    drop(silent);
    drop(sessions);
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if budget.stats().bytes_leased == 0 {
            break;
        }
    }
    check(budget.stats().bytes_leased == 0, "everything came back")
}

/// Reads until the connection is lost in the middle, then goes on from the last
/// event. The numbers that came.
async fn lose_and_resume(addr: SocketAddr) -> Fallible<Vec<u64>> {
    let mut first = ask(addr, "/count", None).await?;
    let mut text = String::new();
    while events(&text).len() < 10 {
        let mut buffer = [0; 512];
        let len = first.read(&mut buffer).await?;
        text.push_str(std::str::from_utf8(&buffer[..len])?);
    }
    drop(first);
    let before = events(&text);
    let (last, _) = before.last().ok_or("no event")?;
    println!("lost the connection behind {last}, {} events", before.len());

    let mut second = ask(addr, "/count", Some(last)).await?;
    let mut rest = String::new();
    second.read_to_string(&mut rest).await?;
    let after = events(&rest);
    println!("went on with {} events", after.len());
    Ok(before
        .into_iter()
        .chain(after)
        .map(|(_, number)| number)
        .collect())
}

/// Whole events: their ids and numbers.
fn events(text: &str) -> Vec<(String, u64)> {
    let blocks = text
        .split_inclusive("\n\n")
        .filter(|block| block.ends_with("\n\n"));
    let read = |block: &str| {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
        let number = field("data: ")?.parse().ok()?;
        Some((field("id: ")?.to_owned(), number))
    };
    blocks.filter_map(read).collect()
}

/// Sends a request and reads nothing. HTTP/1.0, so that the answer has no frames
/// of its own and ends with the connection.
async fn ask(addr: SocketAddr, path: &str, last: Option<&str>) -> Fallible<TcpStream> {
    let mut socket = TcpStream::connect(addr).await?;
    let last = last.map_or(String::new(), |id| format!("last-event-id: {id}\r\n"));
    let request = format!("GET {path} HTTP/1.0\r\nhost: here\r\n{last}\r\n");
    socket.write_all(request.as_bytes()).await?;
    Ok(socket)
}

async fn serve(server: Server) -> Fallible<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let router = Router::new()
        .route("/count", get(count))
        .route("/endless", get(endless))
        .with_state(server);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(addr)
}

/// A new stream that counts, or the one that the client comes back to.
async fn count(State(server): State<Server>, headers: HeaderMap) -> Response {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    if let Some(last) = last {
        let resumed = last
            .parse::<EventId>()
            .ok()
            .and_then(|id| server.session.resume(&id).ok());
        return match resumed {
            // A gap, if there were one, would be an event of its own.
            Some(resumed) => as_events(resumed.into_rx()),
            None => StatusCode::NOT_FOUND.into_response(),
        };
    }
    let Ok((tx, rx)) = server.session.open_stream() else {
        return StatusCode::TOO_MANY_REQUESTS.into_response();
    };
    tokio::spawn(async move {
        for number in 1..=COUNTED_TO {
            tokio::time::sleep(Duration::from_millis(10)).await;
            if tx.send(number.to_string()).await.is_err() {
                return;
            }
        }
        tx.finish();
    });
    as_events(rx)
}

/// As much as a client can read; one that does not is disconnected.
async fn endless(State(server): State<Server>) -> Response {
    let config = StreamConfig {
        bytes_max: 256 << 10,
        replay_bytes_max: 0,
        slow_consumer: SlowConsumer::Disconnect,
        ..StreamConfig::default()
    };
    let Ok((tx, rx)) = server.budget.stream(&config) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    tokio::spawn(async move {
        while tx.send(vec![b'x'; 16 << 10]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    as_events(rx)
}

fn as_events(rx: Rx) -> Response {
    match SseBody::new(rx, &SseConfig::default()) {
        Ok(body) => {
            let kind = HeaderValue::from_static(sse::CONTENT_TYPE);
            ([(CONTENT_TYPE, kind)], Body::new(body)).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
