//! `mcp-breaker` beside its peers.
//!
//! ```text
//! cargo bench -p benches --features peers --bench breaker              # every figure
//! cargo bench -p benches --bench breaker                               # without the peers
//! cargo bench -p benches --bench breaker -- --instructions             # instruction counts (needs valgrind)
//! cargo bench -p benches --bench breaker -- --instructions --accept    # and make them the baseline
//! ```
//!
//! The instruction counts repeat to within one per call on a noisy machine,
//! so they are what can be compared: with `baselines/breaker-instructions.txt`.
//! The bench exits with 1 if a count is more than 5 % above its baseline, and
//! with 2 if nothing could be counted or compared. Wall times are the best of 15 rounds on one
//! thread and the median on two; all rivals run in turns in one process.
#![expect(clippy::print_stdout, reason = "a bench reports on stdout")]

#[path = "breaker/behaviour.rs"]
mod behaviour;
#[path = "breaker/counting.rs"]
mod counting;
#[path = "breaker/layers.rs"]
mod layers;
#[cfg_attr(feature = "peers", path = "breaker/peers.rs")]
#[cfg_attr(not(feature = "peers"), path = "breaker/no_peers.rs")]
mod peers;

use benches::{
    baseline,
    rivals::{Case, compare, figure, instructions},
};
use mcp_breaker::{Breaker, ClockKind, Config, OpenConfig, WindowConfig};
use std::{
    cell::Cell,
    hint::black_box,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

const CALLS: u64 = 1_000_000;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    // A breaker that opens needs a home for its timer; some peers want one even
    // to refuse.
    let _inside = layers::runtime().enter();
    if let Some(at) = args.iter().position(|arg| arg == "--count") {
        count(
            &args[at + 1],
            args[at + 2].parse().expect("a number of calls"),
        );
        return ExitCode::SUCCESS;
    }
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    if has("--instructions") {
        let cases = ["allowed", "refused", "failed", "time", "layer"];
        let file = "breaker-instructions.txt";
        return baseline::judge_all(file, &cases, instructions, has("--accept"));
    }
    for threads in [1, 2] {
        compare(
            "allowed call, count window of 100",
            threads,
            CALLS,
            &allowed(threads),
        );
        compare("refused call", threads, CALLS, &refused(threads));
    }
    time_windows();
    flatness();
    compare("tower layer, allowed call", 1, CALLS / 4, &layers::cases());
    layers::print_allocations();
    behaviour::print();
    ExitCode::SUCCESS
}

/// Opens at half of 100 calls, as the figures ask; nothing else.
fn by_rate() -> Config {
    Config {
        consecutive_failures: None,
        open: OpenConfig {
            jitter: 0.0,
            ..OpenConfig::default()
        },
        ..Config::default()
    }
}

fn breaker(config: &Config) -> Breaker {
    Breaker::new(config).expect("a valid configuration")
}

fn guarded(name: &str, config: &Config) -> Case {
    let breaker = breaker(config);
    Case::new(name, move || one_call(&breaker))
}

#[inline]
fn one_call(breaker: &Breaker) {
    if let Ok(permit) = black_box(breaker).try_acquire() {
        black_box(0u64);
        permit.success();
    }
}

fn allowed(threads: usize) -> Vec<Case> {
    let target_ns = if threads == 1 { 5.0 } else { 20.0 };
    let (state, calls) = (AtomicU64::new(0), AtomicU64::new(0));
    let floor = Case::new("floor: load + fetch_add", move || {
        if black_box(&state).load(Ordering::Acquire) == 0 {
            black_box(calls.fetch_add(1, Ordering::Relaxed));
        }
    });
    let ours = vec![
        guarded(
            "mcp-breaker, rate and consecutive failures",
            &Config::default(),
        )
        .target_ns(target_ns),
        guarded("mcp-breaker, rate alone", &by_rate()).target_ns(target_ns),
        rarely_failing(),
        floor,
    ];
    ours.into_iter().chain(peers::allowed()).collect()
}

/// One call in 64 fails, so that the window is never clean and every call takes
/// its ticket: what a dependency with a failure now and then costs.
fn rarely_failing() -> Case {
    let breaker = breaker(&by_rate());
    Case::new("mcp-breaker, one call in 64 fails", move || {
        thread_local! {
            static CALLS: Cell<u64> = const { Cell::new(0) };
        }
        let at = CALLS.replace(CALLS.get().wrapping_add(1));
        if let Ok(permit) = black_box(&breaker).try_acquire() {
            if at.is_multiple_of(64) {
                permit.failure();
            } else {
                permit.success();
            }
        }
    })
}

fn refused(threads: usize) -> Vec<Case> {
    let with_timer = open_breaker();
    // A thread of its own knows no runtime.
    let without = std::thread::spawn(open_breaker).join().expect("it opens");
    let ours = vec![
        Case::new("mcp-breaker", move || refuse(&with_timer)).target_ns(5.0),
        Case::new("mcp-breaker, opened outside of a runtime", move || {
            refuse(&without)
        }),
    ];
    ours.into_iter().chain(peers::refused(threads)).collect()
}

#[inline]
fn refuse(breaker: &Breaker) {
    black_box(black_box(breaker).try_acquire().is_err());
}

/// A breaker that is open; with its timer if this thread is inside a runtime.
fn open_breaker() -> Breaker {
    let breaker = breaker(&Config::default());
    for _ in 0..5 {
        breaker.try_acquire().expect("closed").failure();
    }
    breaker
}

/// Ten seconds in ten buckets; with slow calls watched, which takes a second
/// reading of the clock.
fn time_window(clock: ClockKind) -> Config {
    Config {
        window: WindowConfig::Time {
            duration: Duration::from_secs(10),
            buckets: 10,
        },
        slow_rate: Some(0.5),
        clock,
        ..Config::default()
    }
}

/// The targets are for one thread: two meet in the bucket and in the clock.
fn time_windows() {
    for threads in [1, 2] {
        let mut ours = [
            guarded(
                "mcp-breaker, two clock readings",
                &time_window(ClockKind::Precise),
            ),
            guarded("mcp-breaker, coarse clock", &time_window(ClockKind::Coarse)),
        ];
        if threads == 1 {
            let [precise, coarse] = ours;
            ours = [precise.target_ns(70.0), coarse.target_ns(40.0)];
        }
        let floor = Case::new("floor: two clock readings", || {
            black_box(tokio::time::Instant::now());
            black_box(tokio::time::Instant::now());
        });
        let cases: Vec<_> = ours
            .into_iter()
            .chain([floor])
            .chain(peers::time_windows())
            .collect();
        compare(
            "allowed call, time window of 10 s",
            threads,
            CALLS / 4,
            &cases,
        );
    }
}

/// A time window must cost the same however many calls it holds.
fn flatness() {
    println!("\nns per call by the number of calls that the time window holds");
    let breaker = breaker(&time_window(ClockKind::Precise));
    let mut held = 0;
    for calls in [1_000u64, 4_000, 5_000, 10_000, 20_000, 960_000] {
        let ns = layers::nanos_per_call(calls, || one_call(&breaker));
        held += calls;
        figure(
            &format!("mcp-breaker up to {held}"),
            format!("{ns:.0}"),
            "<= 70, flat",
        );
    }
    peers::print_flatness();
}

/// The child's side of [`instructions`]: only the calls differ between runs.
fn count(case: &str, calls: u64) {
    let repeat = |call: &dyn Fn()| (0..calls).for_each(|_| call());
    match case {
        "allowed" => {
            let breaker = breaker(&Config::default());
            repeat(&|| one_call(&breaker));
        }
        "refused" => {
            let breaker = open_breaker();
            repeat(&|| refuse(&breaker));
        }
        "failed" => {
            let breaker = breaker(&Config {
                failure_rate: Some(1.0),
                ..by_rate()
            });
            one_call(&breaker);
            let failing = Cell::new(false);
            repeat(&|| {
                failing.set(!failing.get());
                let permit = breaker.try_acquire().expect("closed");
                if failing.get() {
                    permit.failure()
                } else {
                    permit.success()
                }
            });
        }
        "time" => {
            let breaker = breaker(&time_window(ClockKind::Precise));
            repeat(&|| one_call(&breaker));
        }
        "layer" => {
            let call = layers::guarded_call();
            repeat(&call);
        }
        other => panic!("no case named {other}"),
    }
}
