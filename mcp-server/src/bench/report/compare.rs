//! Two reports side by side.

use std::fmt::Write;

use super::{Report, Run};

/// Says of each run that both reports have how its figures changed, as `now` by `before`.
#[must_use]
pub fn compare(before: &Report, now: &Report) -> String {
    let mut text = String::new();
    for run in &now.runs {
        let Some(earlier) = before.run(&run.name) else {
            continue;
        };
        let figures = figures(earlier, run);
        let lines = figures.iter().map(|(name, before, now)| {
            format!(
                "  {name:<24}{before:>12.3}{now:>12.3}{:>9.2}x\n",
                now / before
            )
        });
        let header = format!("{:<26}{:>12}{:>12}{:>10}", "", "before", "now", "ratio");
        // Writing into a string cannot fail.
        let _ = write!(
            text,
            "\n{}\n{header}\n{}",
            run.name,
            lines.collect::<String>()
        );
    }
    match text.is_empty() {
        true => "\nnothing to compare: the reports have no run in common\n".to_owned(),
        false => text,
    }
}

/// The figures that both runs have.
fn figures(before: &Run, now: &Run) -> Vec<(String, f64, f64)> {
    let mut figures = vec![(
        "requests/s".to_owned(),
        before.requests_per_second,
        now.requests_per_second,
    )];
    let mut both = |name: &str, before: Option<f64>, now: Option<f64>| {
        let pair = before.zip(now);
        figures.extend(pair.map(|(before, now)| (name.to_owned(), before, now)));
    };
    both(
        "CPU per request, µs",
        before.server_cpu_us,
        now.server_cpu_us,
    );
    both("resident, MiB", before.resident_mib, now.resident_mib);
    let hits = |run: &Run| run.reads.as_ref().map(|reads| reads.hit_ratio);
    both("reads from a cache", hits(before), hits(now));
    for operation in &now.operations {
        let earlier = before.operation(&operation.name);
        let p50 = earlier.map(|operation| operation.p50_ms);
        let p95 = earlier.map(|operation| operation.p95_ms);
        both(
            &format!("{} p50, ms", operation.name),
            p50,
            Some(operation.p50_ms),
        );
        both(
            &format!("{} p95, ms", operation.name),
            p95,
            Some(operation.p95_ms),
        );
    }
    figures
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::bench::{
        profile::Profile,
        report::{Check, Operation, Target},
    };

    fn report(name: &str, requests_per_second: f64) -> Report {
        Report {
            profile: Profile::Memory,
            version: "1".to_owned(),
            cpus: 2,
            seed: 1,
            runs: vec![Run {
                name: name.to_owned(),
                memories: 10,
                clients: 1,
                operations: vec![Operation {
                    name: "get".to_owned(),
                    calls: 5,
                    p50_ms: 1.0,
                    p95_ms: 2.0,
                    p99_ms: 3.0,
                    max_ms: 4.0,
                    hit_ratio: 0.5,
                }],
                refused: BTreeMap::new(),
                seconds: 1.0,
                requests_per_second,
                server_cpu_us: None,
                generator_cpu_share: None,
                resident_mib: None,
                generator_late_p99_ms: None,
                reads: None,
            }],
            starts: Vec::new(),
            checks: vec![
                Check::new("a", 1.5, Target::AtMost(1.5)),
                Check::new("b", 0.9, Target::AtLeast(0.9)),
            ],
        }
    }

    #[test]
    fn only_what_both_have_is_compared() {
        let text = compare(&report("one", 100.0), &report("one", 250.0));
        assert!(text.contains("2.50x"), "{text}");
        assert!(!text.contains("CPU"), "{text}");
        assert!(text.contains("get p95, ms"), "{text}");
        let text = compare(&report("one", 100.0), &report("two", 250.0));
        assert!(text.contains("nothing to compare"), "{text}");
    }

    #[test]
    fn a_report_survives_its_file_and_shows_what_was_missed() {
        let mut report = report("one", 100.0);
        assert!(report.passed());
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
        assert!(report.to_string().contains("not available"), "{report}");
        report.checks[1].value = f64::NAN;
        assert!(
            !report.passed(),
            "what could not be measured was not reached"
        );
        assert!(report.to_string().contains("MISSED"), "{report}");
    }
}
