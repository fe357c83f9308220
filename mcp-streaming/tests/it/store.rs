//! Events kept for other instances: what every store must do, by one contract.

use crate::support::{KIB, Seen, budget, messages, read_now, replaying, secs, stream, waiting};
use bytes::Bytes;
use mcp_streaming::{
    Budget, EventId, SessionConfig, SessionId, Sessions,
    store::{
        EventStore, MemoryStore, MemoryStoreConfig, OutOfTurn, Page, RecordError, Recorder, Replay,
        StoreError, StreamKey,
    },
};
use std::sync::Arc;

/// Room for seven events of a hundred bytes.
pub(crate) const STREAM_BYTES_MAX: u64 = 7 * 228;

fn memory() -> Arc<dyn EventStore> {
    let config = MemoryStoreConfig {
        stream_bytes_max: STREAM_BYTES_MAX,
        ..MemoryStoreConfig::default()
    };
    Arc::new(MemoryStore::new(&config).expect("a valid configuration"))
}

fn session_id() -> SessionId {
    let text = "000102030405060708090a0b0c0d0e0f";
    text.parse().expect("an id")
}

fn key(owner: &str, stream: u64) -> StreamKey {
    let id: EventId = format!("a-b-{stream:x}-1").parse().expect("an id");
    StreamKey::of_event(owner, session_id(), &id)
}

fn event(seq: u64) -> Bytes {
    let mut data = seq.to_string().into_bytes();
    data.resize(100, b'.');
    data.into()
}

fn page(missed: u64, seqs: std::ops::RangeInclusive<u64>, is_last: bool) -> Option<Page> {
    let events = seqs.map(|seq| (seq, event(seq))).collect();
    Some(Page {
        missed,
        events,
        is_last,
    })
}

/// What is kept is read back in order; what made room is a gap; owners are
/// apart.
pub(crate) async fn check_contract(store: &dyn EventStore) {
    let (ann, bob) = (key("ann", 1), key("bob", 1));
    let read = async |key: &StreamKey, after, bytes_max| {
        store
            .read_after(key, after, bytes_max)
            .await
            .expect("it works")
    };
    assert_eq!(read(&ann, 0, 10_000).await, None);
    for seq in 1..=5 {
        store.append(&ann, seq, event(seq)).await.expect("it works");
    }
    assert_eq!(read(&ann, 0, 10_000).await, page(0, 1..=5, true));
    assert_eq!(read(&ann, 3, 10_000).await, page(0, 4..=5, true));
    assert_eq!(read(&ann, 0, 500).await, page(0, 1..=2, false));
    assert_eq!(
        read(&ann, 0, 1).await,
        page(0, 1..=1, false),
        "one at least"
    );
    let nothing_new = Page {
        missed: 0,
        events: Vec::new(),
        is_last: true,
    };
    assert_eq!(read(&ann, 5, 10_000).await, Some(nothing_new));
    assert_eq!(read(&ann, 6, 10_000).await, None, "never was");
    assert_eq!(read(&bob, 0, 10_000).await, None, "another owner's");
    assert_eq!(read(&key("ann", 2), 0, 10_000).await, None);

    // The same number again keeps the later event.
    store
        .append(&ann, 5, Bytes::from_static(b"other"))
        .await
        .expect("it works");
    let page_5 = read(&ann, 4, 10_000).await.expect("there");
    assert_eq!(page_5.events, [(5, Bytes::from_static(b"other"))]);
    store.append(&ann, 5, event(5)).await.expect("it works");

    for seq in 6..=10 {
        store.append(&ann, seq, event(seq)).await.expect("it works");
    }
    assert_eq!(read(&ann, 1, 10_000).await, page(2, 4..=10, true));
    // An event that alone is too large is kept, and nothing else.
    let large = Bytes::from(vec![7; 5_000]);
    store
        .append(&ann, 11, large.clone())
        .await
        .expect("it works");
    let page_11 = read(&ann, 9, 10).await.expect("there");
    assert_eq!((page_11.missed, page_11.events), (1, vec![(11, large)]));
    // Numbers that do not follow are another writer's.
    for seq in [3, 13, 50] {
        let error = store.append(&ann, seq, event(seq)).await;
        let error = error.expect_err("out of turn");
        assert!(!error.is_retryable);
        assert!(error.source.downcast_ref() == Some(&OutOfTurn { seq }));
    }
    let kept = read(&ann, 10, 10_000).await.expect("there");
    assert_eq!(kept.events.len(), 1, "and nothing was erased");
    // A stream may begin at any number: its beginning may be gone.
    let late = key("ann", 3);
    store.append(&late, 50, event(50)).await.expect("it works");
    assert_eq!(read(&late, 11, 10_000).await, page(38, 50..=50, true));
    assert_eq!(read(&key("ann", 50), 0, 10_000).await, None);

    store.append(&bob, 1, event(1)).await.expect("it works");
    store.remove("ann", &session_id()).await.expect("it works");
    assert_eq!(read(&ann, 0, 10_000).await, None);
    assert_eq!(read(&bob, 0, 10_000).await, page(0, 1..=1, true));
}

/// A client moves from one instance to another in the middle of a stream, and
/// loses its connection there too. All instances write to one store, and each has
/// streams with the same numbers.
pub(crate) async fn check_hand_over(store: Arc<dyn EventStore>) {
    let (first, second, third) = (instance(), instance(), instance());
    let session = first.1.open("ann").expect("room");
    let mut recorders = Vec::new();
    for name in ["other", "mine"] {
        let (tx, rx) = session.open_stream().expect("room");
        let key = StreamKey::of_event("ann", *session.id(), &tx.stats().next_id);
        let recorder = Recorder::new(tx, key, Arc::clone(&store));
        for seq in 1..=6 {
            recorder.send(format!("{name} {seq}")).await.expect("room");
        }
        recorders.push((recorder, rx));
    }
    let (recorder, rx) = recorders.pop().expect("two");
    let last: EventId = {
        let next = recorder.tx().stats().next_id.to_string();
        let (head, _) = next.rsplit_once('-').expect("four parts");
        format!("{head}-2").parse().expect("an id")
    };
    drop((recorder, rx));
    // The second instance has a stream of its own under the same session.
    let (tx, _rx) = stream(&second.0, &replaying(16 * KIB));
    let key = StreamKey::of_event("ann", *session.id(), &tx.stats().next_id);
    let recorder = Recorder::new(tx, key, Arc::clone(&store));
    recorder.send("the second's own").await.expect("room");

    let foreign = StreamKey::of_event("bob", *session.id(), &last);
    let refused = Replay::begin(Arc::clone(&store), foreign, 2).await;
    assert!(matches!(refused, Err(RecordError::Unknown)));
    let (ids, texts) = go_on(&second.0, &store, *session.id(), last, "and on").await;
    assert_eq!(texts, ["mine 3", "mine 4", "mine 5", "mine 6", "and on"]);
    let seqs: Vec<u64> = ids.iter().map(EventId::seq).collect();
    assert_eq!(seqs, [3, 4, 5, 6, 7], "the same numbers, and on");
    assert_eq!(ids[0].stream(), last.stream(), "and the same stream");
    let (_, texts) = go_on(&third.0, &store, *session.id(), ids[3], "still").await;
    assert_eq!(texts, ["and on", "still"], "as often as it takes");
}

/// Replays what is stored behind `last`, sends one more event, and reads all.
async fn go_on(
    instance: &Budget,
    store: &Arc<dyn EventStore>,
    session: SessionId,
    last: EventId,
    more: &'static str,
) -> (Vec<EventId>, Vec<Bytes>) {
    let key = StreamKey::of_event("ann", session, &last);
    let replay = Replay::begin(Arc::clone(store), key.clone(), last.seq());
    let replay = replay.await.expect("stored");
    assert_eq!((replay.missed(), replay.position()), (0, last));
    // Less room than the replay needs: it waits for the reader.
    let made = instance.stream_behind(&waiting(KIB), &replay.position());
    let (tx, mut rx) = made.expect("a valid configuration");
    let store = Arc::clone(store);
    let writer = tokio::spawn(async move {
        replay.send_to(&tx).await.expect("room comes");
        let recorder = Recorder::new(tx, key, store);
        recorder.send(more).await.expect("room comes");
        recorder.finish();
    });
    let (mut ids, mut texts) = (Vec::new(), Vec::new());
    while let Some(event) = rx.next().await {
        match event {
            mcp_streaming::Event::Message { id, data } => {
                ids.push(id);
                texts.push(data);
            }
            other => panic!("{other:?}"),
        }
    }
    writer.await.expect("no panic");
    (ids, texts)
}

fn instance() -> (Budget, Sessions) {
    let budget = budget(64 * KIB);
    let config = SessionConfig {
        stream: replaying(16 * KIB),
        ..SessionConfig::default()
    };
    let sessions = Sessions::new(&budget, &config).expect("a valid configuration");
    (budget, sessions)
}

#[tokio::test(start_paused = true)]
async fn memory_keeps_the_contract() {
    check_contract(&*memory()).await;
    check_hand_over(memory()).await;
}

#[tokio::test(start_paused = true)]
async fn memory_is_bounded_in_all() {
    let config = MemoryStoreConfig {
        stream_bytes_max: 2 * KIB,
        bytes_max: 8 * KIB,
    };
    let store = MemoryStore::new(&config).expect("a valid configuration");
    for number in 0..1_000 {
        let key = key("ann", number % 100);
        store
            .append(&key, number / 100 + 1, event(number))
            .await
            .expect("it works");
        assert!(store.bytes() <= 8 * KIB);
    }
    assert!(store.bytes() > 6 * KIB);
    let before = store.bytes();
    let large = store
        .append(&key("ann", 1), 11, vec![0; 9_000].into())
        .await;
    assert!(!large.expect_err("larger than all").is_retryable);
    assert_eq!(store.bytes(), before);
    store.remove("ann", &session_id()).await.expect("it works");
    assert_eq!(store.bytes(), 0);
}

/// Recorded events are sent only if they were stored, and by one writer only.
#[tokio::test(start_paused = true)]
async fn what_is_not_stored_is_not_sent() {
    #[derive(Debug)]
    struct Failing(MemoryStore, std::sync::atomic::AtomicBool);

    #[async_trait::async_trait]
    impl EventStore for Failing {
        async fn append(
            &self,
            key: &StreamKey,
            seq: u64,
            data: Bytes,
        ) -> Result<(), mcp_streaming::store::StoreError> {
            if self.1.load(std::sync::atomic::Ordering::Relaxed) {
                return Err(mcp_streaming::store::StoreError {
                    source: "down".into(),
                    is_retryable: true,
                });
            }
            self.0.append(key, seq, data).await
        }

        async fn read_after(
            &self,
            key: &StreamKey,
            after: u64,
            bytes_max: u64,
        ) -> Result<Option<Page>, mcp_streaming::store::StoreError> {
            self.0.read_after(key, after, bytes_max).await
        }

        async fn remove(
            &self,
            owner: &str,
            session: &SessionId,
        ) -> Result<(), mcp_streaming::store::StoreError> {
            self.0.remove(owner, session).await
        }
    }

    let inner = MemoryStore::new(&MemoryStoreConfig::default()).expect("valid");
    let store = Arc::new(Failing(inner, false.into()));
    let budget = budget(64 * KIB);
    let (tx, mut rx) = stream(&budget, &replaying(16 * KIB));
    let recorder = Recorder::new(tx, key("ann", 1), Arc::clone(&store) as Arc<dyn EventStore>);
    recorder.send(event(1)).await.expect("stored");
    store.1.store(true, std::sync::atomic::Ordering::Relaxed);
    let error = recorder.send(event(2)).await.expect_err("down");
    assert!(error.is_retryable(), "{error}");
    assert_eq!(
        recorder.tx().stats().bytes_held,
        228,
        "its room is free again"
    );
    store.1.store(false, std::sync::atomic::Ordering::Relaxed);
    recorder.send(event(3)).await.expect("stored");
    assert_eq!(read_now(&mut rx), messages(1..=2));
    let page = store
        .read_after(&key("ann", 1), 0, 10_000)
        .await
        .expect("it works");
    assert_eq!(
        page.map(|page| page.events),
        Some(vec![(1, event(1)), (2, event(3))])
    );
    let other = recorder.tx().clone();
    let error = recorder.send(event(4)).await.expect_err("two writers");
    assert!(matches!(error, RecordError::Shared { writers: 2 }));
    drop(other);
    recorder.finish();
    assert_eq!(read_now(&mut rx), [Seen::Over]);
    tokio::time::sleep(secs(1)).await;
}

/// Somebody writes to a recorded stream while the store is asked: the numbers
/// cannot agree any more, which is an error and the end of the stream.
#[tokio::test(start_paused = true)]
async fn a_recorded_stream_with_another_writer_ends() {
    let budget = budget(64 * KIB);
    let (tx, _rx) = stream(&budget, &replaying(16 * KIB));
    let recorder = Arc::new(Recorder::new(tx, key("ann", 1), Arc::new(Slow(memory()))));
    let sent = {
        let recorder = Arc::clone(&recorder);
        tokio::spawn(async move { recorder.send("stored").await.map(|id| id.seq()) })
    };
    crate::support::settle().await;
    recorder.tx().try_send("direct").expect("room");
    let sent = sent.await.expect("no panic");
    let overtaken = RecordError::Overtaken { stored: 1, sent: 2 };
    assert_eq!(
        sent.expect_err("numbers differ").to_string(),
        overtaken.to_string()
    );
    assert!(recorder.send("more").await.is_err());
}

/// Takes a second to store an event.
#[derive(Debug)]
struct Slow(Arc<dyn EventStore>);

#[async_trait::async_trait]
impl EventStore for Slow {
    async fn append(&self, key: &StreamKey, seq: u64, data: Bytes) -> Result<(), StoreError> {
        tokio::time::sleep(secs(1)).await;
        self.0.append(key, seq, data).await
    }

    async fn read_after(
        &self,
        key: &StreamKey,
        after: u64,
        bytes_max: u64,
    ) -> Result<Option<Page>, StoreError> {
        self.0.read_after(key, after, bytes_max).await
    }

    async fn remove(&self, owner: &str, session: &SessionId) -> Result<(), StoreError> {
        self.0.remove(owner, session).await
    }
}

/// No number is so large that the next one is not.
#[tokio::test(start_paused = true)]
async fn numbers_end_where_stores_do() {
    let budget = budget(64 * KIB);
    let behind = |seq: u64| {
        let last = format!("a-b-1-{seq:x}").parse().expect("an id");
        budget.stream_behind(&replaying(8 * KIB), &last)
    };
    let refused = |seq| behind(seq).map(drop).expect_err("too large").field;
    assert_eq!((refused(u64::MAX), refused(1 << 53)), ("last", "last"));
    let (tx, _rx) = behind((1 << 53) - 1).expect("the last one");
    assert_eq!(tx.try_send("a").map(|id| id.seq()), Ok(1 << 53));
}
