//! Events kept for other instances: what every store must do, by one contract.

use crate::support::{KIB, Seen, budget, messages, read_now, replaying, secs, stream, waiting};
use bytes::Bytes;
use mcp_streaming::{
    Budget, SessionConfig, SessionId, Sessions,
    store::{
        EventStore, MemoryStore, MemoryStoreConfig, Page, RecordError, Recorder, Replay, StreamKey,
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
    StreamKey {
        owner: owner.into(),
        session: session_id(),
        stream,
    }
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
    // Numbers that jump begin anew.
    store.append(&ann, 50, event(50)).await.expect("it works");
    assert_eq!(read(&ann, 11, 10_000).await, page(38, 50..=50, true));

    store.append(&bob, 1, event(1)).await.expect("it works");
    store.remove("ann", &session_id()).await.expect("it works");
    assert_eq!(read(&ann, 0, 10_000).await, None);
    assert_eq!(read(&bob, 0, 10_000).await, page(0, 1..=1, true));
}

/// A client moves from one instance to another in the middle of a stream.
pub(crate) async fn check_hand_over(store: Arc<dyn EventStore>) {
    let first = instance();
    let session = first.1.open("ann").expect("room");
    let (tx, mut rx) = session.open_stream().expect("room");
    let key = StreamKey {
        owner: "ann".into(),
        session: *session.id(),
        stream: tx.stats().next_id.stream(),
    };
    let recorder = Recorder::new(tx, key.clone(), Arc::clone(&store));
    let mut last = None;
    for seq in 1..=6 {
        last = Some(recorder.send(event(seq)).await.expect("room"));
    }
    assert_eq!(read_now(&mut rx), messages(1..=6));
    let last = last.expect("sent");
    drop((recorder, rx, session, first));

    let (second, _) = instance();
    let key = StreamKey::of_event("ann", key.session, &last);
    let foreign = StreamKey {
        owner: "bob".into(),
        ..key.clone()
    };
    let refused = Replay::begin(Arc::clone(&store), foreign, 2).await;
    assert!(matches!(refused, Err(RecordError::Unknown)));
    let replay = Replay::begin(Arc::clone(&store), key.clone(), 2)
        .await
        .expect("stored");
    assert_eq!((replay.missed(), replay.next_seq()), (0, 3));
    // Less room than the replay needs: it waits for the reader.
    let made = second.stream_at(&waiting(KIB), replay.next_seq());
    let (tx, mut rx) = made.expect("a valid configuration");
    let writer = tokio::spawn(async move {
        let sent = replay.send_to(&tx).await.expect("room comes");
        let recorder = Recorder::new(tx, key, store);
        recorder.send("and on").await.expect("room comes");
        recorder.finish();
        sent
    });
    let mut seen = Vec::new();
    while let Some(event) = rx.next().await {
        match event {
            mcp_streaming::Event::Message { id, .. } => seen.push(id.seq()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, [3, 4, 5, 6, 7], "the same numbers, and on");
    assert_eq!(writer.await.expect("no panic"), 4);
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
