//! Both windows against a plain list of calls.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

fn grade() -> impl Strategy<Value = Grade> {
    // Healthy stretches and bad ones, not only a coin flip per call.
    prop_oneof![
        4 => Just(Grade { failed: false, slow: false }),
        2 => Just(Grade { failed: true, slow: false }),
        1 => Just(Grade { failed: false, slow: true }),
        1 => Just(Grade { failed: true, slow: true }),
    ]
}

fn tally_of<'a>(calls: impl Iterator<Item = &'a Grade>) -> Tally {
    calls.fold(Tally::default(), |tally, grade| Tally {
        calls: tally.calls + 1,
        failures: tally.failures + u32::from(grade.failed),
        slow: tally.slow + u32::from(grade.slow),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Breaking it: leaving out `% size`, clearing bits only in the first
    /// turn, counting tickets and not slots, or taking no ticket in a window
    /// that is not full or holds a mark each fails here.
    #[test]
    fn the_count_window_equals_the_last_calls_of_a_list(
        size in 1u32..200,
        calls in prop::collection::vec(grade(), 1..700),
        new_life_every in 50usize..400,
    ) {
        let ring = CountRing::new(size, true);
        let mut list: VecDeque<Grade> = VecDeque::new();
        let mut life = 0;
        for (at, grade) in calls.iter().enumerate() {
            if at % new_life_every == new_life_every - 1 {
                life += 3;
                ring.begin(life);
                list.clear();
            }
            let good = !grade.failed && !grade.slow;
            prop_assert!(good && ring.note_unmarked(life) || ring.record(life, *grade));
            list.push_back(*grade);
            if list.len() > size as usize {
                list.pop_front();
            }
            prop_assert_eq!(ring.tally(life), tally_of(list.iter()));
        }
        prop_assert_eq!(ring.recorded(), calls.len() as u64);
    }

    /// A bucket leaves the window as a whole: the model keeps each call's
    /// bucket number.
    #[test]
    fn the_time_window_equals_a_list_with_times(
        buckets in 10u16..=60,
        calls in prop::collection::vec((grade(), 0u64..3_000), 1..500),
        new_life_every in 50usize..400,
    ) {
        const WIDTH_NS: u64 = 100;
        let ring = TimeRing::new(WIDTH_NS * u64::from(buckets), buckets);
        let mut list: Vec<(Grade, u64)> = Vec::new();
        let (mut now_ns, mut life) = (0, 0);
        for (at, (grade, pause_ns)) in calls.iter().enumerate() {
            if at % new_life_every == new_life_every - 1 {
                life += 3;
                list.clear();
            }
            // Mostly short pauses, now and then longer than the window.
            now_ns += if at % 10 == 0 { pause_ns * 4 } else { pause_ns / 50 };
            prop_assert!(ring.record(life, *grade, now_ns));
            let epoch = now_ns / WIDTH_NS;
            list.push((*grade, epoch));
            list.retain(|(_, seen)| epoch - seen < u64::from(buckets));
            prop_assert_eq!(ring.tally(life, now_ns), tally_of(list.iter().map(|(grade, _)| grade)));
        }
        prop_assert_eq!(ring.recorded(), calls.len() as u64);
    }

    /// A call that was added and taken back at the same time leaves no trace.
    #[test]
    fn what_is_taken_back_is_gone(adds in prop::collection::vec(0u64..50, 1..100)) {
        let ring = TimeRing::new(1000, 10);
        let mut now_ns = 0;
        for pause_ns in adds {
            now_ns += pause_ns;
            let before = ring.sum(Field::Whole, 0, now_ns);
            ring.add(Field::Whole, 0, now_ns);
            ring.take_back(Field::Whole, 0, now_ns);
            prop_assert_eq!(ring.sum(Field::Whole, 0, now_ns), before);
            ring.add(Field::Whole, 0, now_ns);
        }
    }
}

const BAD: Grade = Grade {
    failed: true,
    slow: true,
};

#[test]
fn a_late_call_moves_no_count_window_of_a_later_life() {
    let ring = CountRing::new(10, true);
    ring.record(0, BAD);
    ring.begin(3);
    let before = ring.tally(3);
    assert!(!ring.record(0, BAD));
    assert_eq!(ring.tally(3), before);
    assert_eq!((before, ring.recorded()), (Tally::default(), 1));
}

#[test]
fn a_late_call_moves_no_time_window_of_a_later_life() {
    let ring = TimeRing::new(1000, 10);
    ring.record(0, BAD, 50);
    ring.record(3, BAD, 60);
    let before = ring.tally(3, 60);
    assert!(!ring.record(0, BAD, 60));
    assert_eq!(ring.tally(3, 60), before);
    assert_eq!((before.calls, ring.recorded()), (1, 2));
}

#[test]
fn a_late_reading_of_the_clock_does_not_take_a_bucket_back() {
    let ring = TimeRing::new(1000, 10);
    ring.record(0, BAD, 5_050);
    assert!(!ring.record(0, BAD, 4_050));
    assert_eq!(ring.tally(0, 5_050).calls, 1);
}

#[test]
fn threads_lose_no_call() {
    const THREADS: u32 = 4;
    const CALLS: u32 = 20_000;
    let count = CountRing::new(1000, true);
    let time = TimeRing::new(1_000_000, 10);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (count, time) = (&count, &time);
            scope.spawn(move || {
                for call in 0..CALLS {
                    let grade = Grade {
                        failed: (call + thread) % 3 == 0,
                        slow: call % 5 == 0,
                    };
                    assert!(count.record(0, grade));
                    assert!(time.record(0, grade, u64::from(call)));
                }
            });
        }
    });
    assert_eq!(count.recorded(), u64::from(THREADS * CALLS));
    assert_eq!(time.recorded(), u64::from(THREADS * CALLS));
    // All is quiet now: a full turn of successes must leave no failure behind.
    (0..1000).for_each(|_| {
        assert!(count.record(
            0,
            Grade {
                failed: false,
                slow: false
            }
        ))
    });
    assert_eq!(
        count.tally(0),
        Tally {
            calls: 1000,
            failures: 0,
            slow: 0
        }
    );
}
