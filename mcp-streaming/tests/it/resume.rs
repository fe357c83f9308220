//! Going on behind the last event that a client has.

use crate::support::{
    KIB, Seen, budget, check_empty, messages, read_now, replaying, stream, weighing,
};
use bytes::Bytes;
use mcp_streaming::{
    EndReason, Event, EventId, ResumeError, Resumed, Rx, SessionConfig, SessionId, Sessions, Tx,
};
use std::sync::atomic::{AtomicUsize, Ordering};

fn sessions(budget: &mcp_streaming::Budget) -> Sessions {
    let config = SessionConfig {
        stream: replaying(4 * KIB),
        ..SessionConfig::default()
    };
    Sessions::new(budget, &config).expect("a valid configuration")
}

/// Sends so many events of 1 KiB, reading each; the ids.
fn exchange(tx: &Tx, rx: &mut Rx, count: usize) -> Vec<EventId> {
    let send = |_| {
        let id = tx.try_send(weighing(KIB)).expect("room");
        assert_eq!(read_now(rx), [Seen::Message(id.seq())]);
        id
    };
    (0..count).map(send).collect()
}

#[tokio::test(start_paused = true)]
async fn a_resumed_stream_goes_on_behind_the_last_event() {
    let budget = budget(64 * KIB);
    let (tx, mut rx) = stream(&budget, &replaying(8 * KIB));
    let ids = exchange(&tx, &mut rx, 3);
    drop(rx);
    tx.try_send("while nobody read").expect("room");
    let Ok(Resumed::Whole(mut rx)) = tx.resume_from(&ids[0]) else {
        panic!("nothing is missing")
    };
    assert_eq!(read_now(&mut rx), messages(2..=4));
    let id: EventId = ids[2].to_string().parse().expect("an id");
    let mut rx = tx.resume_from(&id).expect("known").into_rx();
    assert_eq!(read_now(&mut rx), messages(4..=4), "as often as it takes");
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_is_a_gap() {
    let budget = budget(64 * KIB);
    let (tx, mut rx) = stream(&budget, &replaying(4 * KIB));
    let ids = exchange(&tx, &mut rx, 10);
    drop(rx);
    let Ok(Resumed::WithGap { missed, mut rx }) = tx.resume_from(&ids[1]) else {
        panic!("3 to 6 are gone")
    };
    assert_eq!(missed, 4);
    let mut expect = vec![Seen::Gap(4)];
    expect.extend(messages(7..=10));
    assert_eq!(read_now(&mut rx), expect, "and the reader is told too");
    // What was shed under pressure is a gap too, never a silent one.
    let (other, _other_rx) = stream(&budget, &replaying(62 * KIB));
    other.try_send(weighing(60 * KIB)).expect("room");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let resumed = tx.resume_from(&ids[8]).expect("known");
    assert!(
        matches!(resumed, Resumed::WithGap { missed: 1, .. }),
        "{resumed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_reader_replaces_the_old_one() {
    let budget = budget(64 * KIB);
    let (tx, mut old) = stream(&budget, &replaying(4 * KIB));
    let waiting = tokio::spawn(async move {
        let event = old.next().await;
        (event, old)
    });
    crate::support::settle().await;
    let mut new = tx.reader();
    let (event, old) = waiting.await.expect("no panic");
    assert_eq!(event, Some(Event::Ended(EndReason::Replaced)));
    drop(old);
    assert!(
        tx.stats().has_reader,
        "the old one's end is not the new one's"
    );
    tx.try_send("one").expect("room");
    assert_eq!(read_now(&mut new), messages(1..=1));
}

/// A client that connects, stalls, and connects again, ever again: what its old
/// readers hold is in memory, so it counts, until they come back or are dropped.
#[tokio::test(start_paused = true)]
async fn what_replaced_readers_hold_is_counted() {
    static LIVE: AtomicUsize = AtomicUsize::new(0);
    struct Owned(Vec<u8>);
    impl AsRef<[u8]> for Owned {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Owned {
        fn drop(&mut self) {
            LIVE.fetch_sub(self.0.len(), Ordering::SeqCst);
        }
    }
    let payload = || {
        LIVE.fetch_add(15 * 1024, Ordering::SeqCst);
        Bytes::from_owner(Owned(vec![0; 15 * 1024]))
    };
    let budget = budget(64 * KIB);
    let (tx, mut rx) = stream(&budget, &replaying(64 * KIB));
    let mut old = Vec::new();
    for _ in 0..100 {
        while tx.try_send(payload()).is_ok() {}
        drop(rx.try_next());
        old.push(std::mem::replace(&mut rx, tx.reader()));
        read_now(&mut rx);
        assert!(LIVE.load(Ordering::SeqCst) <= 64 * 1024);
        assert!(budget.audit().is_balanced());
    }
    assert!(
        tx.try_send(payload()).is_err(),
        "the old readers hold it all"
    );
    for rx in &mut old {
        let replaced = [Seen::Ended(EndReason::Replaced), Seen::Over];
        assert_eq!(read_now(rx), replaced, "and hand nothing on");
    }
    tx.try_send(payload()).expect("it came back");
    drop((tx, rx, old));
    assert_eq!(LIVE.load(Ordering::SeqCst), 0);
    check_empty(&budget);
}

#[tokio::test(start_paused = true)]
async fn a_finished_stream_can_be_resumed() {
    let budget = budget(64 * KIB);
    let session = sessions(&budget).open("ann");
    let sessions = sessions(&budget);
    drop(session);
    let session = sessions.open("ann").expect("room");
    let (tx, mut rx) = session.open_stream().expect("room");
    let ids = exchange(&tx, &mut rx, 1);
    tx.try_send("the answer").expect("room");
    tx.finish();
    drop((tx, rx));
    let resumed = sessions.resume("ann", session.id(), &ids[0]);
    let mut rx = resumed.expect("known").into_rx();
    assert_eq!(read_now(&mut rx), [Seen::Message(2), Seen::Over]);
}

#[tokio::test(start_paused = true)]
async fn only_its_owner_resumes_a_session() {
    let budget = budget(64 * KIB);
    let sessions = sessions(&budget);
    let (ann, bob) = (
        sessions.open("ann").expect("room"),
        sessions.open("bob").expect("room"),
    );
    let (tx, mut rx) = ann.open_stream().expect("room");
    let ids = exchange(&tx, &mut rx, 2);
    let resume =
        |owner, id: &SessionId, event: &EventId| sessions.resume(owner, id, event).map(drop);
    assert_eq!(resume("ann", ann.id(), &ids[0]), Ok(()));
    assert_eq!(
        resume("bob", ann.id(), &ids[0]),
        Err(ResumeError::UnknownSession)
    );
    assert_eq!(resume("bob", bob.id(), &ids[0]), Err(ResumeError::Foreign));
    let later = ids[1].to_string();
    let (head, _) = later.rsplit_once('-').expect("four parts");
    let made_up = |seq: &str| -> EventId { format!("{head}-{seq}").parse().expect("an id") };
    assert_eq!(
        resume("ann", ann.id(), &made_up("3")),
        Err(ResumeError::UnknownEvent)
    );
    assert_eq!(
        resume("ann", ann.id(), &made_up("ffffffffffffffff")),
        Err(ResumeError::UnknownEvent)
    );
    let (_, seq) = later.rsplit_once('-').expect("four parts");
    let (head, _) = head.rsplit_once('-').expect("three parts");
    let other: EventId = format!("{head}-ffff-{seq}").parse().expect("an id");
    assert_eq!(
        resume("ann", ann.id(), &other),
        Err(ResumeError::UnknownStream)
    );
}
