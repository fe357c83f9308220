//! Rivals timed side by side in one process, and figures printed beside their target.
#![expect(clippy::print_stdout, reason = "a bench reports on stdout")]

use std::{
    io,
    process::Command,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

/// Rounds per case. On one thread the best one counts, because noise only ever
/// adds; on several the median does, because the best one is a round in which
/// the threads did not meet.
const ROUNDS: u32 = 15;

/// How many fewer calls a slow rival makes.
const SLOW: u64 = 50;

/// One rival in a comparison.
pub struct Case {
    name: String,
    /// Nanoseconds per call that it should stay under, if it is ours.
    target_ns: Option<f64>,
    slow: bool,
    run: Box<dyn Fn(u64, usize) -> Duration>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Case")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Case {
    /// A rival that makes one call per `call`.
    pub fn new(name: impl Into<String>, call: impl Fn() + Sync + 'static) -> Self {
        let run = Box::new(move |calls, threads| time(calls, threads, &call));
        Self {
            name: name.into(),
            target_ns: None,
            slow: false,
            run,
        }
    }

    /// A rival that takes microseconds makes fewer calls.
    #[must_use]
    pub fn slow(mut self) -> Self {
        self.slow = true;
        self
    }

    /// Prints `target_ns` beside the figure.
    #[must_use]
    pub fn target_ns(mut self, target_ns: f64) -> Self {
        self.target_ns = Some(target_ns);
        self
    }
}

/// Times all rivals in turns, so that a slow moment of the machine hits all of
/// them, and prints what it took. Ratios are to the first case.
pub fn compare(title: &str, threads: usize, calls: u64, cases: &[Case]) {
    let mut rounds = vec![Vec::new(); cases.len()];
    for _ in 0..ROUNDS {
        for (rounds, case) in rounds.iter_mut().zip(cases) {
            let calls = if case.slow { calls / SLOW } else { calls };
            rounds.push((case.run)(calls, threads).as_nanos() as f64 / calls as f64);
        }
    }
    let figures: Vec<f64> = rounds
        .into_iter()
        .map(|mut rounds| {
            rounds.sort_by(f64::total_cmp);
            if threads == 1 {
                rounds[0]
            } else {
                rounds[rounds.len() / 2]
            }
        })
        .collect();
    println!("\n{title}, {threads} thread(s), ns per call and thread");
    for (ns, case) in figures.iter().zip(cases) {
        let ratio = ns / figures[0];
        let target = case
            .target_ns
            .map(|target| verdict(*ns, target))
            .unwrap_or_default();
        println!("  {:<44} {ns:>9.2}  {ratio:>8.2}x{target}", case.name);
    }
}

/// Prints a figure by its target.
pub fn figure(name: &str, value: impl std::fmt::Display, target: &str) {
    println!("  {name:<60} {value:>10}   target {target}");
}

fn verdict(ns: f64, target: f64) -> String {
    let word = if ns <= target { "met" } else { "MISSED" };
    format!("   target <= {target}: {word}")
}

/// The time in which every thread makes `calls` calls.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn time<F: Fn() + Sync>(calls: u64, threads: usize, call: &F) -> Duration {
    if threads == 1 {
        let start = Instant::now();
        repeat(calls, call);
        return start.elapsed();
    }
    let barrier = Barrier::new(threads);
    let run = || {
        barrier.wait();
        let start = Instant::now();
        repeat(calls, call);
        start.elapsed()
    };
    thread::scope(|scope| {
        let runs: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        runs.into_iter()
            .filter_map(|run| run.join().ok())
            .max()
            .unwrap_or_default()
    })
}

#[inline(never)]
fn repeat<F: Fn()>(calls: u64, call: &F) {
    for _ in 0..calls {
        call();
    }
}

/// Instructions per call by callgrind: runs this very binary twice under
/// valgrind with `--count CASE CALLS`, and divides the difference, so that the
/// start-up cancels out.
///
/// # Errors
/// valgrind is not installed, or it counted nothing.
pub fn instructions(case: &str) -> io::Result<f64> {
    const FEW: u64 = 1_000;
    const MANY: u64 = 11_000;
    let (few, many) = (collected(case, FEW)?, collected(case, MANY)?);
    Ok((many as f64 - few as f64) / (MANY - FEW) as f64)
}

fn collected(case: &str, calls: u64) -> io::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["--count", case, &calls.to_string()])
        .output()
        .map_err(|error| io::Error::other(format!("valgrind cannot be run: {error}")))?;
    let report = String::from_utf8_lossy(&output.stderr).into_owned();
    report
        .lines()
        .find(|line| line.contains("Collected :"))
        .and_then(|line| line.rsplit(' ').find_map(|number| number.parse().ok()))
        .ok_or_else(|| io::Error::other(format!("callgrind counted nothing for {case}: {report}")))
}
