//! The benchmark as a command: what it reports, and what it leaves behind.

use std::{fs, path::Path, process::Output, time::Duration};

use mcp_server::bench::{profile::Profile, report::Report};

use crate::support::{
    process::{UNHURRIED, command, folder, refused, run, stderr, stdout},
    within,
};

/// Small enough for any machine.
const SMALL: [&str; 6] = ["--memories", "400", "--clients", "2", "--duration", "1"];
/// Enough for a debug build that starts a dozen servers on a busy machine.
const LONG: Duration = Duration::from_secs(180);

fn report(text: &str) -> Report {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

async fn run_long(arguments: &[&str], scratch: &Path) -> Output {
    let mut command = command();
    command
        .args(arguments)
        .envs([UNHURRIED])
        .env("TMPDIR", scratch);
    let output = tokio::time::timeout(LONG, command.output()).await;
    output.expect("it ends").expect("it runs")
}

/// Runs a benchmark whose scratch data goes into a folder that must be empty in the end.
async fn bench(arguments: &[&str]) -> Report {
    let scratch = folder();
    let mut command = vec!["bench", "--json", "-"];
    command.extend(SMALL);
    command.extend(arguments);
    let output = run_long(&command, scratch.path()).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let left: Vec<_> = fs::read_dir(scratch.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    report(&stdout(&output))
}

#[tokio::test]
async fn a_soak_says_whether_anything_grows() {
    let report = bench(&["--profile", "soak", "--rate", "100"]).await;
    let names: Vec<_> = report.runs.iter().map(|run| run.name.as_str()).collect();
    assert_eq!(names, ["first third", "second third", "last third"]);
    for run in &report.runs {
        assert!(run.refused.is_empty(), "{run:?}");
    }
    let calls = report.runs.iter().flat_map(|run| &run.operations);
    assert!(calls.map(|operation| operation.calls).sum::<u64>() > 10);
    #[cfg(target_os = "linux")]
    for name in ["MiB that it grew by", "open files that it grew by"] {
        let check = report.checks.iter().find(|check| check.name == name);
        assert!(check.is_some_and(|check| check.value.is_finite()), "{name}");
    }
}

#[tokio::test]
async fn agents_at_work_are_measured_and_judged_beside_safe_mode() {
    let report = bench(&["--compare", "safe-mode", "--seed", "5", "--samples", "400"]).await;
    assert_eq!((report.profile, report.seed), (Profile::AgentLoop, 5));
    let names: Vec<_> = report.runs.iter().map(|run| run.name.as_str()).collect();
    assert_eq!(
        names,
        ["optimised, 400 memories", "safe mode, 400 memories"]
    );
    for run in &report.runs {
        assert!(run.refused.is_empty(), "{run:?}");
        let calls: u64 = run.operations.iter().map(|operation| operation.calls).sum();
        assert!((1..=440).contains(&calls), "{run:?}");
        for operation in &run.operations {
            assert!(
                operation.p50_ms > 0.0 && operation.p50_ms <= operation.max_ms,
                "{operation:?}"
            );
        }
        assert!(run.requests_per_second > 0.0);
        #[cfg(target_os = "linux")]
        assert!(
            run.server_cpu_us.is_some() && run.resident_mib > Some(1.0),
            "{run:?}"
        );
        let reads = run.reads.as_ref().expect("agents read");
        assert!(reads.verdict.reads > 0, "{reads:?}");
        let bad = (reads.verdict.stale, reads.verdict.wrong, reads.marked_stale);
        assert_eq!(bad, (0, 0, 0), "{reads:?}");
        assert!(reads.reach.ceiling > 0.0, "{reads:?}");
    }
    let reads = report.runs[1].reads.as_ref().expect("agents read");
    assert_eq!(reads.hit_ratio, 0.0, "safe mode caches nothing");
    for name in ["requests/s, times safe mode's", "reads from a cache"] {
        assert!(
            report.checks.iter().any(|check| check.name == name),
            "{name}"
        );
    }
}

#[tokio::test]
async fn every_tool_and_the_start_are_measured() {
    let scratch = folder();
    let output = run_long(
        &[
            "bench",
            "--profile",
            "memory",
            "--memories",
            "400",
            "--samples",
            "50",
            "--json",
            "-",
        ],
        scratch.path(),
    )
    .await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report = report(&stdout(&output));
    let clients: Vec<_> = report.runs.iter().map(|run| run.clients).collect();
    assert_eq!(clients, [1, 16, 50]);
    for run in &report.runs {
        assert!(run.refused.is_empty(), "{run:?}");
        for name in ["search", "get", "add", "update", "delete", "batch"] {
            let calls = run.operation(name).map_or(0, |found| found.calls);
            assert!((50..50 + 16).contains(&calls), "{name}: {run:?}");
        }
    }
    let [start] = &report.starts[..] else {
        panic!("{:?}", report.starts)
    };
    assert!(
        start.first_answer_ms > 0.0 && start.binary_mib > 0.1,
        "{start:?}"
    );
    assert_eq!(start.first_call_ms.len(), 3, "{start:?}");
}

#[tokio::test]
async fn an_import_is_measured_beside_agents_at_their_pace() {
    let report = bench(&["--profile", "import", "--rate", "40", "--samples", "20000"]).await;
    let [alone, together] = &report.runs[..] else {
        panic!("{:?}", report.runs)
    };
    assert!(alone.generator_late_p99_ms.is_some(), "{alone:?}");
    // 40 a second for a second, of which the last may not begin any more.
    let calls: u64 = alone
        .operations
        .iter()
        .map(|operation| operation.calls)
        .sum();
    assert!((20..=45).contains(&calls), "{alone:?}");
    assert!(together.requests_per_second > 0.0, "{together:?}");
}

#[tokio::test]
async fn reports_are_kept_and_compared_and_a_missed_target_fails_a_validation() {
    let scratch = folder();
    let kept = scratch.path().join("report.json");
    let path = kept.to_str().unwrap();
    let mut arguments = vec![
        "bench",
        "--safe-mode",
        "--validate",
        "--samples",
        "200",
        "--json",
        path,
    ];
    arguments.extend(SMALL);
    let output = run_long(&arguments, scratch.path()).await;
    // So few calls hardly repeat each other: the ceiling is missed.
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let text = stdout(&output);
    for part in ["safe mode, 400 memories", "requests/s", "ceiling", "MISSED"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let report = report(&fs::read_to_string(&kept).unwrap());
    assert!(!report.passed());

    let mut arguments = vec![
        "bench",
        "--safe-mode",
        "--samples",
        "200",
        "--compare",
        path,
    ];
    arguments.extend(SMALL);
    let output = run_long(&arguments, scratch.path()).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("before"), "{}", stdout(&output));

    fs::write(&kept, "{}").unwrap();
    let says = ["cannot compare with", path];
    refused(&["bench", "--compare", path], &[], 1, &says).await;
}

#[tokio::test]
async fn help_teaches_and_senseless_sizes_are_refused() {
    let output = run(&["bench", "--help"], &[]).await;
    let help = stdout(&output);
    for part in [
        "agent-loop",
        "--compare",
        "safe-mode",
        "scratch data",
        "Examples:",
        "--validate",
    ] {
        assert!(help.contains(part), "{part:?} is not in {help}");
    }
    for arguments in [
        ["bench", "--clients", "0"],
        ["bench", "--memories", "5"],
        ["bench", "--duration", "0"],
        ["bench", "--rate", "0"],
        ["bench", "--profile", "nothing"],
    ] {
        refused(&arguments, &[], 2, &[arguments[1]]).await;
    }
    let arguments = ["bench", "--profile", "import", "--compare", "safe-mode"];
    refused(&arguments, &[], 2, &["--compare safe-mode", "agent-loop"]).await;
}

#[cfg(unix)]
#[tokio::test]
async fn an_interrupt_ends_the_server_and_removes_its_data() {
    use std::process::Stdio;

    use crate::support::process::{Log, signal};

    let scratch = folder();
    let mut child = command()
        .args([
            "bench",
            "--memories",
            "400",
            "--clients",
            "2",
            "--duration",
            "600",
        ])
        .args(["--samples", "2000", "--rate", "10"])
        .envs([UNHURRIED])
        .env("TMPDIR", scratch.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = Log::collect(child.stderr.take().unwrap());
    log.line("measuring").await;
    signal(&child, "INT");
    let status = within("the end", child.wait()).await.unwrap();
    assert_eq!(status.code(), Some(1));
    log.line("nothing is left behind").await;
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn the_gateway_is_measured_in_front_of_servers_of_its_own() {
    let report = bench(&["--profile", "gateway", "--samples", "50"]).await;
    let names: Vec<_> = report.runs.iter().map(|run| run.name.as_str()).collect();
    let expect = [
        "one client, in turns",
        "an upstream that takes 100 ms",
        "very many clients",
        "ten of twenty upstreams dead",
        "starts with slow upstreams",
        "the file of connectors",
    ];
    assert_eq!(names, expect);
    assert_eq!(report.checks.len(), 8);
    // Those that are no times.
    for part in [
        "share of calls",
        "connections to one upstream",
        "how much sooner",
    ] {
        let check = report.checks.iter().find(|check| check.name.contains(part));
        let check = check.unwrap_or_else(|| panic!("{part}"));
        assert!(check.passed(), "{check:?}");
    }
}

#[tokio::test]
async fn each_part_is_measured_beside_the_server_without_it() {
    for (profile, runs, checked) in [
        ("cache", 2, "gets from the cache"),
        ("batch", 2, "requests/s, times those without the batch"),
        ("pool", 1, "loans that had been lent before"),
    ] {
        let report = bench(&["--profile", profile, "--samples", "200"]).await;
        assert_eq!(report.profile.name(), profile);
        assert_eq!(report.runs.len(), runs, "{report}");
        assert!(report.runs[0].name.starts_with("with the "), "{report}");
        let mut names = report.checks.iter().map(|check| &check.name);
        assert!(names.any(|name| name.starts_with(checked)), "{report}");
        for run in &report.runs {
            assert!(run.refused.is_empty(), "{run:?}");
        }
    }
}
