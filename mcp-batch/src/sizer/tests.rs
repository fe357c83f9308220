//! Simulated cost curves: a queue that is always full, one batch after the other.

use super::*;
use proptest::prelude::*;
use std::time::Duration;

const MAX: usize = 50;

type Curve = fn(f64) -> f64;

/// The bench's: 200 µs and 2 µs an item.
fn setup_heavy(n: f64) -> f64 {
    200e3 + 2e3 * n
}

/// 20 µs and 20 µs an item.
fn item_heavy(n: f64) -> f64 {
    20e3 + 20e3 * n
}

/// Cheap up to 20 items, then ever dearer: no line fits it.
fn knee(n: f64) -> f64 {
    50e3 + 10e3 * n + 2e3 * (n - 20.0).max(0.0).powi(2)
}

fn sizer(goal_ns: Option<f64>) -> Sizer {
    Sizer::new(SizerRules {
        max: MAX,
        adaptive: true,
        goal_ns,
    })
}

/// Deterministic noise of up to `share` either way.
fn noise(i: u32, share: f64) -> f64 {
    let random = f64::from(i.wrapping_mul(2_654_435_761) >> 8) / f64::from(1u32 << 24);
    1.0 + share * (2.0 * random - 1.0)
}

fn run(sizer: &mut Sizer, curve: Curve, batches: u32, share: f64) {
    run_from(sizer, curve, batches, share, 0);
}

fn run_from(sizer: &mut Sizer, curve: Curve, batches: u32, share: f64, seed: u32) {
    for i in seed..seed + batches {
        let n = sizer.cap();
        let cost = Duration::from_secs_f64(curve(to_f64(n)) * noise(i, share) / 1e9);
        sizer.learn(n, u64::from(cost.subsec_nanos()));
    }
}

fn rate(curve: Curve, n: usize) -> f64 {
    to_f64(n) / curve(to_f64(n))
}

/// Items per nanosecond of the best fixed size that keeps the goal.
fn best(curve: Curve, goal_ns: Option<f64>) -> f64 {
    (1..=MAX)
        .filter(|n| goal_ns.is_none_or(|goal| curve(to_f64(*n)) <= goal))
        .map(|n| rate(curve, n))
        .fold(0.0, f64::max)
}

fn near_the_best(sizer: &Sizer, curve: Curve, goal_ns: Option<f64>) -> bool {
    let target = sizer.target();
    let quick = goal_ns.is_none_or(|goal| curve(to_f64(target)) <= goal * 1.02);
    quick && rate(curve, target) >= 0.9 * best(curve, goal_ns)
}

const GOAL: Option<f64> = Some(400e3);
const CURVES: [(&str, Curve, Option<f64>); 5] = [
    ("setup", setup_heavy, None),
    ("items", item_heavy, None),
    ("knee", knee, None),
    ("setup under a goal", setup_heavy, GOAL),
    ("items under a goal", item_heavy, GOAL),
];

#[test]
fn test_batch_size_optimization() {
    for (name, curve, goal_ns) in CURVES {
        let mut sizer = sizer(goal_ns);
        run(&mut sizer, curve, 20, 0.0);
        for batches in 20..60 {
            run(&mut sizer, curve, 1, 0.0);
            let (target, line) = (sizer.target(), sizer.line());
            assert!(
                near_the_best(&sizer, curve, goal_ns),
                "{name} after {batches}: {target} {line:?}"
            );
        }
    }
}

#[test]
fn test_adaptive_batching() {
    for goal_ns in [None, GOAL] {
        for (from, first, _) in CURVES.iter().filter(|curve| curve.2 == goal_ns) {
            for (to, second, _) in CURVES.iter().filter(|curve| curve.2 == goal_ns) {
                let mut sizer = sizer(goal_ns);
                run(&mut sizer, *first, 100, 0.0);
                run(&mut sizer, *second, 20, 0.0);
                let (target, line) = (sizer.target(), sizer.line());
                let near = near_the_best(&sizer, *second, goal_ns);
                assert!(near, "{from} to {to}: {target} {line:?}");
            }
        }
    }
}

/// Five percent of noise either way, and 200 runs of each change: nearly all are
/// as near as without it.
#[test]
fn noise_seldom_hides_a_change() {
    for (from, first, _) in &CURVES[..3] {
        for (to, second, _) in &CURVES[..3] {
            let near = (0..200).filter(|seed| {
                let mut sizer = sizer(None);
                run_from(&mut sizer, *first, 100, 0.05, seed * 1_000);
                run_from(&mut sizer, *second, 20, 0.05, seed * 1_000 + 500);
                near_the_best(&sizer, *second, None)
            });
            let near = near.count();
            assert!(near >= 190, "{from} to {to}: {near} of 200");
        }
    }
}

/// One batch far off is an outlier, two that agree are a change.
#[test]
fn an_outlier_is_left_out() {
    let mut sizer = sizer(None);
    while sizer.line().is_none() {
        run(&mut sizer, item_heavy, 1, 0.0);
    }
    let (target, line) = (sizer.target(), sizer.line());
    sizer.learn(target, 100_000_000);
    assert_eq!((sizer.target(), sizer.line()), (target, line));
    sizer.learn(target, 1_000);
    assert_eq!(
        (sizer.target(), sizer.line()),
        (target, line),
        "they disagree"
    );
    sizer.learn(target, 1_000);
    assert_ne!(sizer.line(), line, "they agree");
}

/// 50 ns a batch and 100 ns an item, with as much noise as there is at such a
/// scale: what a batch costs besides its function keeps the sizes up.
#[test]
fn a_free_function_is_not_given_single_items() {
    let mut sizer = sizer(None);
    for seed in 0..50 {
        run_from(&mut sizer, |n| 50.0 + 100.0 * n, 100, 0.2, seed * 100);
        assert!(sizer.target() >= 25, "{}", sizer.target());
    }
}

/// A goal of 50 ms, and a time in which even one item takes 101 ms.
#[test]
fn a_slow_time_does_not_leave_the_target_at_one() {
    let cost = |setup_ms: u64, n: usize| (setup_ms + n as u64) * 1_000_000;
    for goal_ms in [40.0, 50.0, 60.0, 80.0] {
        let mut sizer = sizer(Some(goal_ms * 1e6));
        let mut run = |setup_ms, batches| {
            for _ in 0..batches {
                let n = sizer.cap();
                sizer.learn(n, cost(setup_ms, n));
            }
            sizer.target()
        };
        let before = run(30, 100);
        assert_eq!(run(100, 100), 1, "{goal_ms}");
        let after = run(30, 100);
        assert!(after.abs_diff(before) <= 1, "{goal_ms}: {before}, {after}");
    }
}

#[test]
fn a_noisy_line_keeps_its_target() {
    let mut sizer = sizer(None);
    for _ in 0..20 {
        run(&mut sizer, setup_heavy, 50, 0.1);
        assert!(sizer.target() >= 40, "{}", sizer.target());
    }
}

#[test]
fn fixed_sizes_stay() {
    let rules = SizerRules {
        max: MAX,
        adaptive: false,
        goal_ns: None,
    };
    let mut sizer = Sizer::new(rules);
    run(&mut sizer, knee, 100, 0.0);
    assert_eq!((sizer.target(), sizer.cap()), (MAX, MAX));
}

proptest! {
    #[test]
    fn the_target_stays_in_its_range(
        max in 1usize..100,
        goal_ns in proptest::option::of(1.0f64..1e9),
        batches in proptest::collection::vec((0usize..100, any::<u64>()), 0..200),
    ) {
        let mut sizer = Sizer::new(SizerRules { max, adaptive: true, goal_ns });
        for (n, cost_ns) in batches {
            sizer.learn(n, cost_ns);
            prop_assert!((1..=max).contains(&sizer.target()));
            prop_assert!((1..=max).contains(&sizer.cap()));
        }
    }
}
