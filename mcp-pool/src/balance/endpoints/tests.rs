//! Endpoints picked and judged, without time or connections.

use super::*;

const SECOND: u64 = 1_000_000_000;

fn endpoints(count: usize) -> (Endpoints, Random) {
    let config = BalanceConfig {
        failures: 2,
        ..BalanceConfig::default()
    };
    (Endpoints::new(Rules::new(&config), count), Random::new(5))
}

fn fail(endpoints: &mut Endpoints, at: usize, now_ns: u64) {
    let picked = endpoints.pick(|other| other == at, &mut Random::new(1), now_ns);
    assert_eq!(picked, Some(at));
    endpoints.end(at, End::Failed, now_ns, now_ns);
}

fn ejected(endpoints: &Endpoints, now_ns: u64) -> Vec<bool> {
    endpoints
        .stats(now_ns)
        .iter()
        .map(|stats| stats.ejected)
        .collect()
}

/// One takes 10 ms and three take 1 ms: it gets few of the calls.
#[test]
fn the_faster_ones_get_more() {
    let (mut endpoints, mut random) = endpoints(4);
    let mut counts = [0u32; 4];
    let mut now_ns = 0;
    for _ in 0..10_000 {
        now_ns += 100_000;
        let at = endpoints.pick(|_| true, &mut random, now_ns).expect("one");
        counts[at] += 1;
        let took_ns = if at == 0 { 10_000_000 } else { 1_000_000 };
        endpoints.end(at, End::Worked, now_ns - took_ns.min(now_ns), now_ns);
    }
    assert!(counts[0] < 100, "{counts:?}");
    assert!(counts[1..].iter().all(|count| *count > 2_500), "{counts:?}");
}

#[test]
fn equal_ones_share_by_what_is_in_flight() {
    let (mut endpoints, mut random) = endpoints(5);
    for _ in 0..1_000 {
        endpoints.pick(|_| true, &mut random, 0);
    }
    let stats = endpoints.stats(0);
    assert!(
        stats
            .iter()
            .all(|stats| (190..=210).contains(&stats.in_flight)),
        "{stats:?}"
    );
}

#[test]
fn failures_in_a_row_eject_for_longer_and_longer() {
    let (mut endpoints, _) = endpoints(3);
    fail(&mut endpoints, 0, 0);
    assert_eq!(ejected(&endpoints, 0), [false; 3]);
    fail(&mut endpoints, 0, 0);
    assert_eq!(ejected(&endpoints, 5 * SECOND - 1), [true, false, false]);
    assert_eq!(ejected(&endpoints, 5 * SECOND), [false; 3]);
    fail(&mut endpoints, 0, 5 * SECOND);
    assert_eq!(ejected(&endpoints, 15 * SECOND - 1), [true, false, false]);
    // A success forgives.
    let at = endpoints.pick(|at| at == 0, &mut Random::new(1), 15 * SECOND);
    endpoints.end(at.expect("one"), End::Worked, 15 * SECOND, 15 * SECOND);
    fail(&mut endpoints, 0, 16 * SECOND);
    assert_eq!(ejected(&endpoints, 16 * SECOND), [false; 3]);
}

#[test]
fn no_more_are_ejected_than_may_be_and_one_always_stays() {
    for (count, expect) in [(1, 0), (2, 1), (3, 1), (4, 2), (7, 3)] {
        let (mut endpoints, mut random) = endpoints(count);
        for at in (0..count).chain(0..count) {
            fail(&mut endpoints, at, 0);
        }
        let out = ejected(&endpoints, 0)
            .into_iter()
            .filter(|out| *out)
            .count();
        assert_eq!(out, expect, "of {count}");
        let picked = endpoints.pick(|_| true, &mut random, 0).expect("one");
        assert!(!ejected(&endpoints, 0)[picked]);
    }
}

/// Uses one endpoint, however long it takes and it ends.
fn used(endpoints: &mut Endpoints, at: usize, end: End, began_ns: u64, now_ns: u64) {
    let picked = endpoints.pick(|other| other == at, &mut Random::new(1), began_ns);
    endpoints.end(picked.expect("it fits"), end, began_ns, now_ns);
}

/// One use of 10 s among those of 1 ms, and then silence: it is picked again
/// when that has faded.
#[test]
fn one_long_use_is_forgotten_in_time() {
    let (mut endpoints, mut random) = endpoints(2);
    used(&mut endpoints, 0, End::Worked, 0, 10 * SECOND);
    used(
        &mut endpoints,
        1,
        End::Worked,
        9 * SECOND,
        9 * SECOND + 1_000_000,
    );
    let mut picked = [0u32; 2];
    for second in 10..400 {
        let now_ns = second * SECOND;
        let at = endpoints.pick(|_| true, &mut random, now_ns).expect("one");
        picked[at] += 1;
        endpoints.end(at, End::Worked, now_ns, now_ns + 1_000_000);
        assert!(at == 1 || second > 60, "after {second} s");
    }
    assert!(picked[0] > 100, "{picked:?}");
}

/// A caller that goes away proves nothing, and neither does a success that
/// began before the ejection.
#[test]
fn only_a_later_success_lifts_an_ejection() {
    let (mut endpoints, _) = endpoints(3);
    used(&mut endpoints, 0, End::Failed, SECOND, SECOND);
    used(&mut endpoints, 0, End::Unknown, SECOND, SECOND);
    assert_eq!(endpoints.stats(SECOND)[0].failures, 1);
    used(&mut endpoints, 0, End::Failed, SECOND, SECOND);
    assert_eq!(ejected(&endpoints, SECOND), [true, false, false]);
    used(&mut endpoints, 0, End::Unknown, SECOND, 2 * SECOND);
    used(&mut endpoints, 0, End::Worked, SECOND - 1, 2 * SECOND);
    assert_eq!(ejected(&endpoints, 2 * SECOND), [true, false, false]);
    used(&mut endpoints, 0, End::Worked, 2 * SECOND, 3 * SECOND);
    assert_eq!(ejected(&endpoints, 3 * SECOND), [false; 3]);
}

/// Two of three never worked, and one of them must stay: it is not the
/// cheapest for that it was never measured.
#[test]
fn what_never_worked_is_not_preferred() {
    let (mut endpoints, mut random) = endpoints(3);
    let (mut now_ns, mut dead) = (0, 0);
    for _ in 0..1_000 {
        now_ns += 2_000_000;
        let at = endpoints.pick(|_| true, &mut random, now_ns).expect("one");
        dead += usize::from(at != 0);
        let end = if at == 0 { End::Worked } else { End::Failed };
        endpoints.end(at, end, now_ns - 1_000_000, now_ns);
    }
    assert!(dead < 20, "{dead}");
}

/// A burst on one that is new is spread as over equal ones.
#[test]
fn a_new_one_does_not_take_a_whole_burst() {
    let (mut endpoints, mut random) = endpoints(2);
    used(&mut endpoints, 0, End::Worked, 0, 1_000_000);
    for _ in 0..100 {
        endpoints.pick(|_| true, &mut random, 1_000_000);
    }
    let new = endpoints.stats(1_000_000)[1].in_flight;
    assert!((40..=60).contains(&new), "{new}");
}

#[test]
fn what_is_disabled_is_used_only_if_nothing_else_is_there() {
    let (mut endpoints, mut random) = endpoints(2);
    endpoints.set_enabled(0, false);
    for _ in 0..100 {
        assert_eq!(endpoints.pick(|_| true, &mut random, 0), Some(1));
    }
    endpoints.set_enabled(1, false);
    assert!(endpoints.pick(|_| true, &mut random, 0).is_some());
    assert_eq!(endpoints.pick(|_| false, &mut random, 0), None);
}
