//! A report for people.

use std::fmt;

use super::{Check, Reads, Report, Run, Start, Target};

/// Shown where something cannot be known.
const NOT_AVAILABLE: &str = "not available";

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "mcp-server {}, profile {}, seed {}; server and load generator share {} processors",
            self.version,
            self.profile.name(),
            self.seed,
            self.cpus
        )?;
        for run in &self.runs {
            write!(f, "{run}")?;
        }
        for start in &self.starts {
            write!(f, "{start}")?;
        }
        if !self.checks.is_empty() {
            writeln!(f, "\n{:<62}{:>12}{:>14}", "target", "measured", "wanted")?;
        }
        self.checks
            .iter()
            .try_for_each(|check| write!(f, "{check}"))
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{} ({} connections, {:.1} s)",
            self.name, self.clients, self.seconds
        )?;
        let columns = ["p50 ms", "p95 ms", "p99 ms", "max ms", "cached"];
        write!(f, "  {:<10}{:>10}", "", "calls")?;
        columns
            .iter()
            .try_for_each(|column| write!(f, "{column:>10}"))?;
        writeln!(f)?;
        for operation in &self.operations {
            write!(f, "  {:<10}{:>10}", operation.name, operation.calls)?;
            for ms in [
                operation.p50_ms,
                operation.p95_ms,
                operation.p99_ms,
                operation.max_ms,
            ] {
                write!(f, "{ms:>10.3}")?;
            }
            writeln!(f, "{:>9.1}%", operation.hit_ratio * 100.0)?;
        }
        writeln!(
            f,
            "  {:.0} requests/s; server CPU per request: {}; load generator's share of all CPU: {}; \
             server holds {}",
            self.requests_per_second,
            or_not(self.server_cpu_us, |us| format!("{us:.0} µs")),
            or_not(self.generator_cpu_share, percent),
            or_not(self.resident_mib, |mib| format!("{mib:.0} MiB")),
        )?;
        if let Some(ms) = self.generator_late_p99_ms {
            writeln!(
                f,
                "  the load generator itself was late by {ms:.1} ms (p99), not counted above"
            )?;
        }
        for (code, count) in &self.refused {
            writeln!(f, "  refused, {code}: {count}")?;
        }
        self.reads
            .as_ref()
            .map_or(Ok(()), |reads| write!(f, "{reads}"))
    }
}

impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  reads from a cache: {}; ceiling {} (if nothing ever changed), {} if every write threw \
             its namespace's reads away",
            percent(self.hit_ratio),
            percent(self.reach.ceiling),
            percent(self.reach.by_namespace),
        )?;
        let verdict = &self.verdict;
        writeln!(
            f,
            "  reads judged: {}, stale: {}, wrong: {}; marked as out of date by the server: {}",
            verdict.reads, verdict.stale, verdict.wrong, self.marked_stale
        )?;
        let examples = verdict.examples.iter();
        examples
            .into_iter()
            .try_for_each(|example| writeln!(f, "    {example}"))
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nstart on {} memories: first answer after {:.0} ms, then holds {}; the program has \
             {:.1} MiB",
            self.memories,
            self.first_answer_ms,
            or_not(self.idle_mib, |mib| format!("{mib:.0} MiB")),
            self.binary_mib,
        )?;
        for (kind, ms) in &self.first_call_ms {
            writeln!(f, "  first {kind}: {ms:.2} ms")?;
        }
        Ok(())
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = match self.target {
            Target::AtLeast(least) => format!(">= {least}"),
            Target::AtMost(most) => format!("<= {most}"),
        };
        let verdict = match self.passed() {
            true => "reached",
            false => "MISSED",
        };
        writeln!(
            f,
            "{:<62}{:>12.3}{wanted:>14}  {verdict}",
            self.name, self.value
        )
    }
}

fn or_not(value: Option<f64>, show: impl FnOnce(f64) -> String) -> String {
    value.map_or_else(|| NOT_AVAILABLE.to_owned(), show)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
