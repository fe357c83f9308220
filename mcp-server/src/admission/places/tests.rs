use Lane::{Cursor, Other, Vscode};
use proptest::prelude::*;

use super::*;
use crate::admission::LaneConfig;

fn config(in_flight_max: u32, reserved: [u32; 3], queue_len_max: usize) -> LanesConfig {
    let lane = |reserved| LaneConfig {
        reserved,
        queue_len_max: queue_len_max.try_into().unwrap(),
    };
    LanesConfig {
        in_flight_max: in_flight_max.try_into().unwrap(),
        cursor: lane(reserved[0]),
        vscode: lane(reserved[1]),
        other: lane(reserved[2]),
        ..LanesConfig::default()
    }
}

/// Lets `count` calls in, and says how many were admitted, wait and were refused.
fn flood(places: &mut Places<Lane>, lane: Lane, count: usize) -> [usize; 3] {
    let mut seen = [0; 3];
    for _ in 0..count {
        match places.enter(lane, || lane) {
            Entry::Admitted => seen[0] += 1,
            Entry::Waits(_) => seen[1] += 1,
            Entry::Full => seen[2] += 1,
        }
    }
    seen
}

#[test]
fn a_flood_takes_what_nobody_has_reserved_and_no_more() {
    let mut places = Places::new(config(10, [2, 2, 2], 5));
    assert_eq!(flood(&mut places, Other, 200), [6, 5, 189]);
    assert_eq!(flood(&mut places, Cursor, 3), [2, 1, 0]);
    assert_eq!(flood(&mut places, Vscode, 3), [2, 1, 0]);
    assert_eq!(places.next(), None);
    // A place that comes back goes to whoever uses the least beyond its own.
    places.leave(Other, None);
    assert_eq!(places.next(), Some(Cursor));
    places.leave(Other, None);
    assert_eq!(places.next(), Some(Vscode));
    places.leave(Other, None);
    assert_eq!(places.next(), Some(Other));
    assert_eq!(places.next(), None);
    // One's own place is one's own again.
    places.leave(Cursor, None);
    assert_eq!(flood(&mut places, Cursor, 1), [1, 0, 0]);
}

#[test]
fn an_idle_lane_lends_nothing_that_it_has_reserved() {
    let mut places = Places::new(config(4, [2, 0, 0], 1));
    assert_eq!(flood(&mut places, Other, 4), [2, 1, 1]);
    assert_eq!(flood(&mut places, Vscode, 1), [0, 1, 0]);
    assert_eq!(flood(&mut places, Cursor, 3), [2, 1, 0]);
}

#[test]
fn who_gives_up_is_not_counted_any_more() {
    let mut places = Places::new(config(1, [0, 0, 0], 2));
    assert_eq!(places.enter(Other, || Other), Entry::Admitted);
    let Entry::Waits(first) = places.enter(Other, || Other) else {
        panic!("there was no place");
    };
    let Entry::Waits(second) = places.enter(Other, || Other) else {
        panic!("there was no place");
    };
    assert_eq!(places.enter(Other, || Other), Entry::Full);
    assert!(places.give_up(Other, first));
    assert!(!places.give_up(Other, first));
    assert_eq!(places.waiting(Other), 1);
    places.leave(Other, None);
    assert_eq!(places.next(), Some(Other));
    assert!(!places.give_up(Other, second), "it has a place");
}

#[test]
fn new_rules_hold_for_who_comes_and_cut_nobody_off() {
    let mut places = Places::new(config(4, [0, 0, 0], 9));
    assert_eq!(flood(&mut places, Other, 6), [4, 2, 0]);
    places.set(config(2, [0, 0, 0], 9));
    for _ in 0..2 {
        places.leave(Other, None);
        assert_eq!(places.next(), None);
    }
    places.leave(Other, None);
    assert_eq!(places.next(), Some(Other));
    places.set(config(9, [0, 0, 0], 9));
    // Whoever comes now does not overtake the one that still waits.
    assert_eq!(flood(&mut places, Other, 1), [0, 1, 0]);
    assert_eq!(places.next(), Some(Other));
    assert_eq!(places.next(), Some(Other));
    assert_eq!(places.next(), None);
}

#[test]
fn the_hint_grows_with_the_queue_within_bounds() {
    let mut places = Places::new(config(2, [0, 0, 0], 1_000));
    assert_eq!(places.retry_after(Other), Duration::from_millis(100));
    for _ in 0..200 {
        places.enter(Other, || Other);
        places.leave(Other, Some(Duration::from_millis(200)));
    }
    let mut check = |more, from: f64, to: f64| {
        flood(&mut places, Other, more);
        let secs = places.retry_after(Other).as_secs_f64();
        assert!((from..to).contains(&secs), "{more} more: {secs}");
    };
    check(12, 0.9, 1.1);
    check(10, 1.9, 2.1);
    check(900, 5.0, 5.1);
}

proptest! {
    /// Whatever comes and goes: no lane is kept from what it has reserved, the whole is never
    /// more than the bound, nobody waits while there is a place, and who came first goes first.
    #[test]
    fn the_bounds_hold_and_nobody_is_forgotten(
        shared in 0_u32..4,
        reserved in prop::array::uniform3(0_u32..3),
        queue_len_max in 1_usize..4,
        steps in prop::collection::vec((0_usize..3, 0_u8..4), 1..200),
    ) {
        let rules = config((shared + reserved.iter().sum::<u32>()).max(1), reserved, queue_len_max);
        let mut places = Places::new(rules.clone());
        let mut waiting: [VecDeque<u64>; 3] = Default::default();
        for (at, step) in steps {
            let lane = Lane::ALL[at];
            match step {
                0 | 1 => match places.enter(lane, || lane) {
                    Entry::Waits(ticket) => waiting[at].push_back(ticket),
                    Entry::Full => prop_assert_eq!(waiting[at].len(), queue_len_max),
                    Entry::Admitted => prop_assert!(waiting[at].is_empty()),
                },
                2 if places.in_flight(lane) > 0 => {
                    places.leave(lane, None);
                    while let Some(lane) = places.next() {
                        prop_assert!(waiting[lane.index()].pop_front().is_some());
                    }
                }
                3 => if let Some(ticket) = waiting[at].pop_back() {
                    prop_assert!(places.give_up(lane, ticket));
                },
                _ => {}
            }
            let total: u32 = Lane::ALL.iter().map(|lane| places.in_flight(*lane)).sum();
            prop_assert!(total <= rules.in_flight_max.get());
            prop_assert_eq!(places.next(), None);
            for lane in Lane::ALL {
                let own = places.in_flight(lane) < rules.lane(lane).reserved;
                prop_assert!(!own || places.waiting(lane) == 0);
                prop_assert_eq!(places.waiting(lane), waiting[lane.index()].len());
            }
        }
    }
}
