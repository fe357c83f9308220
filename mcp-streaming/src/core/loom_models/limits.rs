//! Models of several limits at once, and of events and permits that change size.

use super::*;

/// Two streams of a session that has room for one event, in a budget that is
/// full: their writers wait for both limits, one after the other, until bytes
/// come back.
///
/// Seen to fail: with `Purse::take` not giving back to the session what the budget
/// refuses. With `Purse::join` giving the session's place up for the budget's it
/// does not end, where it takes a second otherwise: the writers chase each other.
#[test]
fn two_limits_are_waited_for_in_one_order() {
    let mut builder = loom::model::Builder::new();
    // Four locks and two lines: all interleavings take hours.
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let (session, budget) = (meter(1), meter(1));
        let outside = Model::new(1, &budget);
        let [first, second] = [(); 2].map(|()| Model::in_session(1, &session, &budget));
        assert_eq!(outside.send(), Ok(1));
        let bell = StdArc::new(Bell(Notify::new()));
        let (mut ticket, waker) = (None, Waker::from(StdArc::clone(&bell)));
        assert!(first.poll_send(&mut ticket, &waker).is_pending());
        let other = {
            let second = Arc::clone(&second);
            thread::spawn(move || {
                assert_eq!(second.send(), Ok(1));
                second.dissolve();
            })
        };
        outside.dissolve();
        bell.0.wait();
        while first.poll_send(&mut ticket, &waker).is_pending() {
            bell.0.wait();
        }
        first.dissolve();
        other.join().expect("no panic");
        assert_eq!(session.used(), 0);
        assert!(!session.is_waited_for());
        for model in [outside, first, second] {
            model.check_empty();
        }
    });
}

/// An event shrinks in its place while a writer waits, and a permit is dropped:
/// the writer is served.
///
/// Seen to fail: with `step` giving back without waking after it has replaced
/// an event; with `release` giving back without waking.
#[test]
fn a_shrunk_event_and_a_dropped_permit_make_room() {
    for shrinks in [true, false] {
        loom::model(move || {
            let model = Model::new(3, &meter(3));
            let coalesce = SlowConsumer::Coalesce {
                at_most: std::time::Duration::from_secs(1),
            };
            let config = StreamConfig {
                slow_consumer: coalesce,
                ..model.config
            };
            let keyed = |len: usize| {
                let data = Bytes::from(vec![0; len]);
                let key = Some("k".into());
                let slot = &mut Some(Slot { data, key });
                model.with_config(&config, |core, cx, after| core.try_push(slot, cx, after))
            };
            let len = usize::try_from(2 * WEIGHT - 1).expect("small");
            if shrinks {
                assert_eq!(keyed(len), Ok(1));
            } else {
                let reserved =
                    model.with(|core, cx, after| core.try_reserve(3 * WEIGHT, cx, after));
                assert_eq!(reserved, Ok(()));
            }
            let writer = Arc::clone(&model);
            let writer = thread::spawn(move || writer.send());
            if shrinks {
                assert_eq!(keyed(0), Ok(1));
            } else {
                model.with(|core, cx, after| core.release(3 * WEIGHT, cx, after));
            }
            assert_eq!(writer.join().expect("no panic"), Ok(1 + u64::from(shrinks)));
            model.dissolve();
            model.check_empty();
        });
    }
}
