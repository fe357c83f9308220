//! Caps, owners, and who makes room for whom.

use crate::support::{KIB, Seen, budget, check_empty, observed, replaying, secs, weighing};
use mcp_streaming::{
    Budget, BudgetConfig, EndReason, OpenError, OpenStreamError, Scope, SessionConfig, SessionId,
    Sessions, StreamingSession,
};
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::time::sleep;

fn config() -> SessionConfig {
    SessionConfig {
        bytes_max: 16 * KIB,
        stream: replaying(8 * KIB),
        streams_max: 2,
        sessions_max: 4,
        sessions_per_owner_max: 3,
        ..SessionConfig::default()
    }
}

fn sessions(budget: &Budget) -> Sessions {
    Sessions::new(budget, &config()).expect("a valid configuration")
}

#[tokio::test(start_paused = true)]
async fn a_session_knows_itself() {
    let budget = budget(1024 * KIB);
    let sessions = sessions(&budget);
    let session = sessions.open("ann").expect("room");
    assert_eq!(
        (&**session.owner(), session.max_memory()),
        ("ann", 16 * KIB)
    );
    assert!(session.start_time().elapsed().expect("in the past") < secs(60));
    let (tx, _rx) = session.open_stream().expect("room");
    tx.try_send(weighing(KIB)).expect("room");
    assert_eq!(session.memory_usage(), KIB);
    let usage = session.check_memory_limit().expect("room");
    assert_eq!((usage.used, usage.limit), (KIB, 16 * KIB));
    let shown = format!("{session:?}");
    assert!(
        !shown.contains(&session.id().to_string()),
        "the id is a secret: {shown}"
    );
    let id: SessionId = session.id().to_string().parse().expect("an id");
    assert!(sessions.get("ann", &id).is_some());
    assert!(sessions.get("bob", &id).is_none());
    assert!(!sessions.close("bob", &id));
    assert!(sessions.close("ann", &id));
    assert_eq!(tx.end(), Some(EndReason::Closed));
    assert!(!sessions.close("ann", &id));
}

#[tokio::test(start_paused = true)]
async fn ids_cannot_be_guessed() {
    let budget = budget(1024 * KIB);
    let config = SessionConfig {
        sessions_max: 1_000,
        sessions_per_owner_max: 1_000,
        ..config()
    };
    let sessions = Sessions::new(&budget, &config).expect("a valid configuration");
    let open = |_| *sessions.open("ann").expect("room").id();
    let ids: Vec<SessionId> = (0..1_000).map(open).collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 1_000);
    // Each of the 128 bits is 1 about half of the time: six deviations.
    let numbers = ids
        .iter()
        .map(|id| u128::from_str_radix(&id.to_string(), 16).expect("hex"));
    let numbers: Vec<u128> = numbers.collect();
    for bit in 0..128 {
        let ones = numbers
            .iter()
            .filter(|number| *number >> bit & 1 == 1)
            .count();
        assert!((400..=600).contains(&ones), "bit {bit}: {ones} of 1000");
    }
}

#[tokio::test(start_paused = true)]
async fn the_least_recently_used_makes_room() {
    let (budget, heard) = observed(&BudgetConfig::default());
    let sessions = sessions(&budget);
    let mut anns = Vec::new();
    for _ in 0..3 {
        anns.push(sessions.open("ann").expect("room"));
        anns.last().expect("one").initialized();
        sleep(secs(1)).await;
    }
    let full = sessions.open("ann").map(drop);
    assert_eq!(
        full,
        Err(OpenError::TooManyOfOwner { limit: 3 }),
        "all are in use"
    );
    sleep(secs(70)).await;
    assert!(sessions.get("ann", anns[0].id()).is_some());
    let newest = sessions.open("ann").expect("the second makes room");
    assert_eq!(anns[1].end(), Some(EndReason::Evicted));
    assert_eq!((anns[0].end(), anns[2].end()), (None, None));

    // Beyond the cap in all, anybody's.
    let bob = sessions.open("bob").expect("room");
    let carl = sessions.open("carl").expect("the third makes room");
    assert_eq!(anns[2].end(), Some(EndReason::Evicted));
    assert_eq!(heard.sessions(), [EndReason::Evicted; 2]);
    for session in [&newest, &bob, &carl] {
        session.initialized();
    }
    let full = sessions.open("dora").map(drop).expect_err("all are in use");
    assert_eq!(full, OpenError::TooMany { limit: 4 });
    assert!(full.is_retryable());
    let stats = sessions.stats();
    assert_eq!(
        (stats.open, stats.opened, stats.refused, stats.evicted),
        (4, 6, 2, 2)
    );
    drop(sessions);
    assert_eq!(bob.end(), Some(EndReason::Closed));
    drop((anns, newest, bob, carl));
    check_empty(&budget);
}

#[tokio::test(start_paused = true)]
async fn streams_that_ended_make_room_for_new_ones() {
    let budget = budget(1024 * KIB);
    let sessions = sessions(&budget);
    let session = sessions.open("ann").expect("room");
    let (first, _first_rx) = session.open_stream().expect("room");
    let (_second, _second_rx) = session.open_stream().expect("room");
    let full = session.open_stream().map(drop);
    assert_eq!(full, Err(OpenStreamError::TooManyStreams { limit: 2 }));
    first.finish();
    session.open_stream().expect("room");
}

/// Histories of a session's other streams make room before a writer waits, and
/// the session's own watermark is told.
#[tokio::test(start_paused = true)]
async fn a_session_makes_room_within_itself() {
    let (budget, heard) = observed(&BudgetConfig::default());
    let sessions = sessions(&budget);
    let session = sessions.open("ann").expect("room");
    let (a, mut a_rx) = session.open_stream().expect("room");
    a.try_send(weighing(8 * KIB)).expect("room");
    crate::support::read_now(&mut a_rx);
    assert_eq!(a.stats().bytes_history, 8 * KIB);
    let (b, _b_rx) = session.open_stream().expect("room");
    b.try_send(weighing(8 * KIB)).expect("room");
    assert_eq!(heard.high(), [Scope::Session]);
    a.try_send(weighing(4 * KIB))
        .expect("its own history makes room");
    drop(b);
    assert!(session.memory_usage() <= 16 * KIB);
    let (c, _c_rx) = {
        let ended = session.open_stream();
        ended.expect("the second one has ended")
    };
    c.try_send(weighing(4 * KIB)).expect("room");
    crate::support::read_now(&mut a_rx);
    c.try_send(weighing(4 * KIB)).expect("room");
    assert!(session.memory_usage() <= 16 * KIB);
}

/// Whatever way a session is used: those that are not make room.
#[tokio::test(start_paused = true)]
async fn a_session_in_use_does_not_stand_before_idle_ones() {
    let budget = budget(1024 * KIB);
    let config = SessionConfig {
        sessions_max: 3,
        busy_for: secs(30),
        ..config()
    };
    let sessions = Sessions::new(&budget, &config).expect("a valid configuration");
    let open = |owner| {
        let session = sessions.open(owner).expect("room");
        session.initialized();
        session
    };
    let [touched, read, idle] = ["ann", "bob", "carl"].map(open);
    let (tx, mut rx) = read.open_stream().expect("room");
    for _ in 0..110 {
        sleep(secs(1)).await;
        touched.touch();
        tx.try_send("x").expect("room");
        assert_eq!(crate::support::read_now(&mut rx).len(), 1);
    }
    let newest = open("dora");
    assert_eq!(idle.end(), Some(EndReason::Evicted));
    assert_eq!((touched.end(), read.end()), (None, None));
    let refused = sessions.open("eve").map(drop);
    assert_eq!(refused, Err(OpenError::TooMany { limit: 3 }));
    assert_eq!(newest.end(), None);
}

/// What is finished and unread is over with its session.
#[tokio::test(start_paused = true)]
async fn a_close_goes_over_a_finished_stream_that_is_unread() {
    let budget = budget(1024 * KIB);
    let sessions = sessions(&budget);
    let session = sessions.open("ann").expect("room");
    let (tx, mut rx) = session.open_stream().expect("room");
    tx.try_send(weighing(KIB)).expect("room");
    tx.finish();
    session.close();
    assert_eq!(tx.end(), Some(EndReason::Closed));
    let closed = [Seen::Ended(EndReason::Closed), Seen::Over];
    assert_eq!(crate::support::read_now(&mut rx), closed);
}

/// A stream that ended and still has a reader counts until it makes room, and is
/// over then.
#[tokio::test(start_paused = true)]
async fn no_stream_outlives_its_session() {
    let budget = budget(1024 * KIB);
    let sessions = sessions(&budget);
    let session = sessions.open("ann").expect("room");
    let mut readers = Vec::new();
    for _ in 0..4 {
        let (tx, rx) = session.open_stream().expect("room");
        tx.try_send(weighing(7 * KIB)).expect("room");
        tx.finish();
        readers.push(rx);
    }
    assert_eq!(session.memory_usage(), 14 * KIB);
    assert_eq!(budget.audit().held, 14 * KIB);
    session.close();
    assert_eq!(budget.stats().bytes_leased, 0);
    let ends = [
        EndReason::Evicted,
        EndReason::Evicted,
        EndReason::Closed,
        EndReason::Closed,
    ];
    for (rx, reason) in readers.iter_mut().zip(ends) {
        assert_eq!(
            crate::support::read_now(rx),
            [Seen::Ended(reason), Seen::Over]
        );
    }
}

/// Tells when it is dropped.
struct Attached(Arc<AtomicUsize>);

impl Drop for Attached {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn an_attachment_goes_with_its_session() {
    let budget = budget(1024 * KIB);
    let sessions = sessions(&budget);
    let dropped = Arc::new(AtomicUsize::new(0));
    let attach = |session: &StreamingSession| session.attach(Arc::new(Attached(dropped.clone())));
    let count = || dropped.load(Ordering::SeqCst);

    let session = sessions.open("ann").expect("room");
    assert!(session.attachment::<Attached>().is_none());
    attach(&session);
    assert!(session.attachment::<Attached>().is_some());
    assert!(session.attachment::<String>().is_none());
    attach(&session);
    assert_eq!(count(), 1, "the one before");
    session.close();
    assert_eq!(count(), 2);
    assert!(session.attachment::<Attached>().is_none());
    attach(&session);
    assert_eq!(count(), 3, "an ended session keeps nothing");

    for owner in ["ann", "bob"] {
        attach(&sessions.open(owner).expect("room"));
    }
    sessions.close_all();
    assert_eq!((count(), sessions.stats().open), (5, 0));
    attach(&sessions.open("ann").expect("it goes on"));
    drop(sessions);
    assert_eq!(count(), 6);
}

#[tokio::test(start_paused = true)]
async fn caps_may_change() {
    let budget = budget(1024 * KIB);
    let sessions = sessions(&budget);
    let open = |owner: &str| {
        let session = sessions.open(owner)?;
        session.initialized();
        Ok::<_, OpenError>(session)
    };
    sessions.set_caps(2, 1);
    open("ann").expect("room");
    assert_eq!(
        open("ann").err(),
        Some(OpenError::TooManyOfOwner { limit: 1 })
    );
    open("bob").expect("room");
    assert_eq!(open("cid").err(), Some(OpenError::TooMany { limit: 2 }));
    sessions.set_caps(3, 2);
    open("ann").expect("room");
    sessions.set_caps(0, 0);
    assert!(open("dan").is_err());
    assert_eq!(sessions.stats().open, 3, "those that are open stay");
}
