//! What happens when a reader does not keep up. Whatever it is, somebody is
//! told.

use crate::support::{
    KIB, Seen, budget, check_empty, messages, read_now, secs, stream, waiting, weighing,
};
use bytes::Bytes;
use mcp_streaming::{EndReason, Event, Interrupted, SendError, SlowConsumer, StreamConfig};

fn with(slow_consumer: SlowConsumer) -> StreamConfig {
    StreamConfig {
        slow_consumer,
        ..waiting(4 * KIB)
    }
}

#[tokio::test(start_paused = true)]
async fn dropped_history_is_a_gap() {
    let budget = budget(64 * KIB);
    let (tx, mut rx) = stream(&budget, &with(SlowConsumer::DropHistory));
    for _ in 0..10 {
        tx.try_send(weighing(KIB)).expect("the oldest makes room");
    }
    assert_eq!(tx.stats().dropped, 6);
    let mut expect = vec![Seen::Gap(6)];
    expect.extend(messages(7..=10));
    assert_eq!(read_now(&mut rx), expect);
    // What the reader holds cannot be dropped: it is not free before it is let
    // go.
    for _ in 0..3 {
        tx.try_send(weighing(KIB)).expect("room");
    }
    assert!(matches!(rx.try_next(), Some(Event::Message { id, .. }) if id.seq() == 11));
    tx.try_send(weighing(4 * KIB))
        .expect_err("three of four are in its hands");
    assert!(budget.audit().held <= 4 * KIB);
}

#[tokio::test(start_paused = true)]
async fn an_event_takes_the_place_of_an_unread_one_with_its_key() {
    let budget = budget(64 * KIB);
    let at_most = secs(1);
    let (tx, mut rx) = stream(&budget, &with(SlowConsumer::Coalesce { at_most }));
    for round in 0..100 {
        for key in ["tools", "prompts"] {
            tx.send_keyed(key, format!("{key} {round}"))
                .await
                .expect("room");
        }
    }
    tx.try_send("no key").expect("room");
    assert_eq!(tx.stats().coalesced, 198);
    let mut texts = Vec::new();
    while let Some(Event::Message { data, id }) = rx.try_next() {
        texts.push((id.seq(), data));
    }
    let expect = [(1, "tools 99"), (2, "prompts 99"), (3, "no key")];
    assert_eq!(
        texts,
        expect.map(|(id, text)| (id, Bytes::from_static(text.as_bytes())))
    );
    let id = tx.try_send_keyed("tools", "again").expect("room");
    assert_eq!(id.seq(), 4, "what was read is not replaced");
    // A longer text needs room too.
    while tx.try_send(weighing(KIB)).is_ok() {}
    let refused = tx.try_send_keyed("tools", weighing(3 * KIB));
    assert!(matches!(refused, Err(SendError::Exhausted(_))));
    let shorter = tx.try_send_keyed("tools", "");
    assert_eq!(shorter.map(|id| id.seq()), Ok(4));
}

#[tokio::test(start_paused = true)]
async fn a_slow_consumer_is_disconnected() {
    let budget = budget(64 * KIB);
    let (tx, mut rx) = stream(&budget, &with(SlowConsumer::Disconnect));
    for _ in 0..4 {
        tx.try_send(weighing(KIB)).expect("room");
    }
    let ended = Err(SendError::Ended(EndReason::SlowConsumer));
    assert_eq!(tx.send(weighing(KIB)).await.map(drop), ended);
    assert_eq!(tx.try_send(weighing(KIB)).map(drop), ended);
    assert_eq!(
        budget.stats().bytes_leased,
        0,
        "what it held is free at once"
    );
    assert_eq!(
        read_now(&mut rx),
        [Seen::Ended(EndReason::SlowConsumer), Seen::Over]
    );
    assert_eq!(budget.stats().ended_slow, 1);
    drop((tx, rx));
    check_empty(&budget);
}

/// The history makes room before a writer has to wait.
#[tokio::test(start_paused = true)]
async fn history_makes_room_first() {
    let budget = budget(64 * KIB);
    let config = StreamConfig {
        replay_bytes_max: 4 * KIB,
        ..waiting(4 * KIB)
    };
    let (tx, mut rx) = stream(&budget, &config);
    for id in 1..=20 {
        tx.try_send(weighing(KIB)).expect("room");
        assert_eq!(read_now(&mut rx), messages(id..=id));
    }
    let stats = tx.stats();
    assert_eq!((stats.bytes_held, stats.bytes_history), (4 * KIB, 4 * KIB));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_whole_only_if_its_writer_says_so() {
    let budget = budget(64 * KIB);
    let (tx, mut rx) = stream(&budget, &waiting(4 * KIB));
    let other = tx.clone();
    tx.try_send("one").expect("room");
    drop(tx);
    assert_eq!(read_now(&mut rx), messages(1..=1));
    other.try_send("two").expect("room");
    drop(other);
    let lost = [
        Seen::Message(2),
        Seen::Ended(EndReason::WriterLost),
        Seen::Over,
    ];
    assert_eq!(read_now(&mut rx), lost);

    let (tx, mut rx) = stream(&budget, &waiting(4 * KIB));
    tx.try_send("one").expect("room");
    tx.finish();
    assert_eq!(
        tx.try_send("two").map(drop),
        Err(SendError::Ended(EndReason::Finished))
    );
    drop(tx);
    assert_eq!(read_now(&mut rx), [Seen::Message(1), Seen::Over]);
}

#[tokio::test(start_paused = true)]
async fn without_history_a_lost_reader_is_the_end() {
    let budget = budget(64 * KIB);
    let (tx, rx) = stream(&budget, &waiting(4 * KIB));
    tx.try_send("one").expect("room");
    drop(rx);
    assert_eq!(tx.end(), Some(EndReason::ReaderLost));
    assert_eq!(budget.stats().bytes_leased, 0);
    let ended = Err(SendError::Ended(EndReason::ReaderLost));
    assert_eq!(tx.send("two").await.map(drop), ended);
}

/// As a body, what is missing is an error, so that a connection is cut.
#[tokio::test(start_paused = true)]
async fn a_body_is_whole_or_an_error() {
    use http_body_util::BodyExt;
    let budget = budget(64 * KIB);
    let (tx, rx) = stream(&budget, &waiting(4 * KIB));
    tx.try_send("one, ").expect("room");
    tx.try_send("two").expect("room");
    tx.finish();
    let body = rx.collect().await.expect("whole").to_bytes();
    assert_eq!(&*body, b"one, two");

    let (tx, rx) = stream(&budget, &waiting(4 * KIB));
    tx.try_send("one").expect("room");
    drop(tx);
    let error = rx.collect().await.map(drop);
    assert_eq!(error, Err(Interrupted::Ended(EndReason::WriterLost)));

    let (tx, mut rx) = stream(&budget, &with(SlowConsumer::DropHistory));
    for _ in 0..5 {
        tx.try_send(weighing(KIB)).expect("room");
    }
    let frame = rx.frame().await.expect("not over");
    assert_eq!(frame.map(drop), Err(Interrupted::Gap { missed: 1 }));
    let frame = rx
        .frame()
        .await
        .expect("not over")
        .expect("the second event");
    let data = frame.into_data().expect("no trailers");
    assert_eq!(data.len(), 1024 - 128);
}

/// What cannot get in pushes nothing out.
#[tokio::test(start_paused = true)]
async fn a_refused_event_drops_no_other() {
    let budget = budget(64 * KIB);
    let (tx, mut rx) = stream(&budget, &with(SlowConsumer::DropHistory));
    for _ in 0..3 {
        tx.try_send(weighing(KIB)).expect("room");
    }
    assert!(rx.try_next().is_some(), "and three are in its hands");
    tx.try_send(weighing(KIB)).expect("room");
    assert!(tx.try_send(weighing(2 * KIB)).is_err());
    assert_eq!((tx.stats().dropped, tx.stats().unread), (0, 1));
    assert_eq!(read_now(&mut rx), messages(2..=4));

    // Nor where the budget has no room for it.
    let (other, _other_rx) = stream(&budget, &waiting(64 * KIB));
    tx.try_send(weighing(KIB)).expect("room");
    while other.try_send(weighing(KIB)).is_ok() {}
    while other.try_send("").is_ok() {}
    assert!(tx.try_send(weighing(4 * KIB)).is_err());
    assert_eq!((tx.stats().dropped, tx.stats().unread), (0, 1));
}
