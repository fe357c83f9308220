use super::*;
use proptest::prelude::*;

fn slot(len: usize) -> Slot {
    Slot {
        data: Bytes::from(vec![0; len]),
        key: None,
    }
}

fn keyed(key: &str, text: &'static str) -> Slot {
    Slot {
        data: Bytes::from_static(text.as_bytes()),
        key: Some(key.into()),
    }
}

fn take_ids(ring: &mut Ring, len_max: usize) -> Vec<u64> {
    let mut ids = Vec::new();
    ring.take(len_max, u64::MAX, |id, _| ids.push(id));
    ids
}

#[test]
fn read_events_become_history_when_the_reader_comes_back() {
    let mut ring = Ring::new(1);
    assert_eq!(
        (1..=3).map(|_| ring.push(slot(10))).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert_eq!(take_ids(&mut ring, 2), [1, 2]);
    assert_eq!(ring.history(), 0);
    assert!(ring.evict(false).is_none(), "in the reader's hands");
    assert!(ring.ack());
    assert_eq!(ring.history(), 2 * 138);
    assert!(ring.evict(false).is_some());
    assert_eq!((ring.held(), ring.history()), (2 * 138, 138));
    assert_eq!(take_ids(&mut ring, 2), [3]);
}

#[test]
fn an_event_dropped_in_the_readers_hands_is_held_until_it_comes_back() {
    let mut ring = Ring::new(1);
    ring.push(slot(10));
    ring.push(slot(20));
    ring.push(slot(30));
    assert_eq!(take_ids(&mut ring, 1), [1]);
    ring.evict(true).expect("the one in hand");
    ring.evict(true).expect("an unread one");
    assert_eq!((ring.held(), ring.stuck), (138 + 158, 138));
    ring.ack();
    assert_eq!(ring.held(), 158);
    assert_eq!(ring.pass_gap(), Some(1));
    assert_eq!(ring.pass_gap(), None);
    assert_eq!(take_ids(&mut ring, 9), [3]);
}

#[test]
fn what_a_lost_reader_held_is_read_again() {
    let mut ring = Ring::new(1);
    ring.push(slot(1));
    ring.push(slot(1));
    assert_eq!(take_ids(&mut ring, 1), [1]);
    ring.rewind();
    assert_eq!(take_ids(&mut ring, 9), [1, 2]);
    ring.evict(true);
    ring.rewind();
    assert_eq!(ring.pass_gap(), Some(1), "and what was dropped is missing");
    assert_eq!(ring.held(), 129);
}

#[test]
fn what_a_replaced_reader_holds_is_counted_once_and_until_it_leaves() {
    let mut ring = Ring::new(1);
    ring.push(slot(10));
    ring.push(slot(20));
    assert_eq!(take_ids(&mut ring, 9), [1, 2]);
    ring.hand_over(0);
    assert_eq!(ring.held(), 138 + 148, "in the ring, and in its hands");
    assert_eq!(take_ids(&mut ring, 9), [1, 2]);
    ring.hand_over(1);
    assert_eq!(take_ids(&mut ring, 9), [1, 2]);
    ring.ack();
    ring.evict(false).expect("read");
    assert_eq!((ring.held(), ring.in_hands()), (286, 286));
    drop(ring.clear(2));
    ring.leave(0);
    assert_eq!(ring.held(), 286, "the second one holds the same");
    ring.leave(1);
    assert_eq!((ring.held(), ring.in_hands()), (0, 0));
    assert!(ring.hands.is_none());
}

#[test]
fn a_key_finds_only_unread_events() {
    let mut ring = Ring::new(1);
    ring.push(keyed("a", "one"));
    ring.push(keyed("b", "two"));
    assert_eq!(ring.find_unread("a"), Some((1, 132)));
    let old = ring.replace(1, keyed("a", "longer"));
    assert_eq!(&*old.data, b"one");
    assert_eq!(ring.held(), 135 + 132);
    assert_eq!(take_ids(&mut ring, 1), [1]);
    assert_eq!(ring.find_unread("a"), None);
    assert!(ring.find_unread("b").is_some());
    ring.ack();
    ring.evict(true);
    ring.evict(true);
    assert_eq!(ring.find_unread("b"), None);
    assert!(ring.keys.is_none());
}

#[test]
fn a_reader_may_go_back_and_is_told_what_is_gone() {
    let mut ring = Ring::new(1);
    for _ in 0..5 {
        ring.push(slot(1));
    }
    take_ids(&mut ring, 4);
    ring.ack();
    assert!(!ring.seek(6), "never was");
    assert!(ring.seek(2));
    assert_eq!(ring.history(), 2 * 129);
    assert_eq!(take_ids(&mut ring, 9), [3, 4, 5]);
    ring.ack();
    ring.evict(false);
    ring.evict(false);
    assert_eq!(ring.missed_after(0), 2);
    assert!(ring.seek(0));
    assert_eq!(ring.pass_gap(), Some(2));
    assert_eq!(take_ids(&mut ring, 9), [3, 4, 5]);
}

#[test]
fn a_long_ring_gives_its_slots_back() {
    let mut ring = Ring::new(1);
    for _ in 0..1_000 {
        ring.push(slot(0));
    }
    while ring.evict(true).is_some() {}
    assert!(ring.slots.capacity() <= 2 * SLOTS_MIN);
}

#[derive(Debug, Clone)]
enum Step {
    Push(usize),
    Key(u8, usize),
    Evict(bool),
    Take(usize),
    Ack,
    Rewind,
    Seek(u64),
    Replace,
    Leave(u32),
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0usize..50).prop_map(Step::Push),
        2 => (0u8..3, 0usize..50).prop_map(|(key, len)| Step::Key(key, len)),
        2 => any::<bool>().prop_map(Step::Evict),
        3 => (1usize..5).prop_map(Step::Take),
        3 => Just(Step::Ack),
        1 => Just(Step::Rewind),
        1 => (0u64..40).prop_map(Step::Seek),
        1 => Just(Step::Replace),
        1 => (0u32..6).prop_map(Step::Leave),
        1 => Just(Step::Clear),
    ]
}

proptest! {
    /// The ring against its own sums, and against what a reader must see: ids
    /// that grow by one, but for gaps that it is told of.
    #[test]
    fn sums_and_ids_hold(steps in prop::collection::vec(step(), 0..120)) {
        let mut ring = Ring::new(1);
        let (mut seen, mut reader) = (0, 0);
        for step in steps {
            match step {
                Step::Push(len) => { ring.push(slot(len)); }
                Step::Key(key, len) => {
                    let key: Arc<str> = key.to_string().into();
                    let slot = Slot { data: Bytes::from(vec![0; len]), key: Some(Arc::clone(&key)) };
                    match ring.find_unread(&key) {
                        Some((id, _)) => drop(ring.replace(id, slot)),
                        None => { ring.push(slot); }
                    }
                }
                Step::Evict(unread) => drop(ring.evict(unread)),
                Step::Take(len) => {
                    if let Some(missed) = ring.pass_gap() {
                        seen += missed;
                    }
                    for id in take_ids(&mut ring, len) {
                        seen += 1;
                        prop_assert_eq!(id, seen);
                    }
                }
                Step::Ack => { ring.ack(); }
                Step::Rewind => { ring.rewind(); seen = ring.acked - 1; }
                Step::Seek(after) => if ring.seek(after) { seen = after; },
                Step::Replace => {
                    ring.hand_over(reader);
                    reader += 1;
                    seen = ring.acked - 1;
                }
                Step::Leave(reader) => { ring.leave(reader); }
                Step::Clear => { drop(ring.clear(reader)); seen = ring.next_id() - 1; }
            }
            let sum = |from: u64, to: u64| -> u64 {
                let skip = clip(from.saturating_sub(ring.first));
                let len = clip(to.max(ring.first) - from.max(ring.first).min(to.max(ring.first)));
                ring.slots.iter().skip(skip).take(len).map(Slot::weight).sum()
            };
            prop_assert_eq!(ring.held, sum(ring.first, ring.next_id()) + ring.stuck);
            prop_assert_eq!(ring.history, sum(ring.first, ring.acked));
            prop_assert!(ring.acked <= ring.taken && ring.taken <= ring.next_id());
            prop_assert!(ring.in_hands() <= ring.held && ring.stuck <= ring.in_hands());
        }
        for reader in 0..=reader {
            ring.leave(reader);
        }
        ring.rewind();
        prop_assert_eq!(ring.stuck, 0, "nobody holds anything");
    }
}
