//! A stream as server-sent events.

use crate::support::{KIB, budget, ms, replaying, secs, stream, waiting, weighing};
use http_body_util::BodyExt;
use mcp_streaming::{
    Rx, SlowConsumer, StreamConfig,
    sse::{SseBody, SseConfig},
};
use tokio::time::{Instant, timeout};

fn body(rx: Rx, config: &SseConfig) -> SseBody {
    SseBody::new(rx, config).expect("a valid configuration")
}

fn bare() -> SseConfig {
    SseConfig {
        retry: None,
        keep_alive: None,
        priming: false,
    }
}

async fn text(body: SseBody) -> String {
    let bytes = body.collect().await.expect("never fails").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[tokio::test(start_paused = true)]
async fn a_whole_stream_is_events_and_an_end() {
    let budget = budget(64 * KIB);
    let (tx, rx) = stream(&budget, &replaying(16 * KIB));
    let config = SseConfig {
        priming: true,
        ..SseConfig::default()
    };
    let body = body(rx, &config);
    let first = tx.try_send(r#"{"a":1}"#).expect("room");
    let second = tx.try_send(vec![b'x'; 5_000]).expect("room");
    tx.finish();
    let id = first.to_string();
    let (head, _) = id.rsplit_once('-').expect("four parts");
    let expect = format!(
        "id: {head}-0\nretry: 3000\ndata: \n\nid: {first}\ndata: {{\"a\":1}}\n\n\
         id: {second}\ndata: {}\n\n",
        "x".repeat(5_000)
    );
    assert_eq!(text(body).await, expect);
    // From the priming event everything can be resumed.
    let primed = format!("{head}-0").parse().expect("an id");
    let mut again = tx.resume_from(&primed).expect("known").into_rx();
    assert_eq!(crate::support::read_now(&mut again).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_an_event() {
    let budget = budget(64 * KIB);
    let config = StreamConfig {
        slow_consumer: SlowConsumer::DropHistory,
        ..waiting(2 * KIB)
    };
    let (tx, rx) = stream(&budget, &config);
    for _ in 0..5 {
        tx.try_send(weighing(KIB)).expect("room");
    }
    drop(tx);
    let text = text(body(rx, &bare())).await;
    assert!(
        text.starts_with("event: gap\ndata: {\"missed\":3}\n\nid: "),
        "{text}"
    );
    let end = "event: end\ndata: {\"reason\":\"writer_lost\"}\n\n";
    assert!(text.ends_with(end), "{text}");
}

#[tokio::test(start_paused = true)]
async fn comments_keep_the_connection_alive() {
    let budget = budget(64 * KIB);
    let (tx, rx) = stream(&budget, &waiting(16 * KIB));
    let config = SseConfig {
        keep_alive: Some(secs(15)),
        ..bare()
    };
    let mut body = body(rx, &config);
    let start = Instant::now();
    let mut next = async || {
        let frame = timeout(secs(60), body.frame()).await.expect("in time");
        let frame = frame.expect("not over").expect("never fails");
        (start.elapsed().as_secs(), frame.into_data().expect("data"))
    };
    assert_eq!(next().await, (15, ":\n\n".into()));
    assert_eq!(next().await, (30, ":\n\n".into()));
    let sender = tokio::spawn(async move {
        tokio::time::sleep(secs(10)).await;
        tx.try_send("one").expect("room");
        tokio::time::sleep(secs(1_000)).await;
        drop(tx);
    });
    let (at, data) = next().await;
    assert!(at == 40 && data.ends_with(b"data: one\n\n"));
    assert_eq!(next().await.0, 55, "15 s after the last event");
    sender.abort();
}

#[tokio::test(start_paused = true)]
async fn without_keep_alive_nothing_is_sent() {
    let budget = budget(64 * KIB);
    let (_tx, rx) = stream(&budget, &waiting(16 * KIB));
    let mut body = body(rx, &bare());
    assert!(timeout(secs(3_600), body.frame()).await.is_err());
}

#[test]
fn nonsense_is_named() {
    let field = |config: SseConfig| config.validate().err().map(|error| error.field);
    assert_eq!(field(SseConfig::default()), None);
    let (retry, keep_alive) = (Some(ms(0)), Some(ms(0)));
    assert_eq!(field(SseConfig { retry, ..bare() }), Some("retry"));
    assert_eq!(
        field(SseConfig {
            keep_alive,
            ..bare()
        }),
        Some("keep_alive")
    );
}
