//! `mcp-server doctor`.

use std::{fmt::Write as _, process::ExitCode};

use serde::Serialize;

use super::{Cli, CliError, args::DoctorArgs, print};
use crate::doctor::{Finding, Verdict, examine, worst};

/// What is printed as JSON.
#[derive(Serialize)]
struct Report<'a> {
    verdict: Verdict,
    findings: &'a [Finding],
}

/// Exit status 1 if something does not work.
pub(super) async fn run(cli: &Cli, args: &DoctorArgs) -> Result<ExitCode, CliError> {
    let config = cli.read_config().map(|(config, _)| config);
    let findings = Box::pin(examine(config.as_ref())).await;
    let verdict = worst(&findings);
    let text = match args.json {
        true => {
            let report = Report {
                verdict,
                findings: &findings,
            };
            // Texts only: there is nothing that JSON cannot hold.
            serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
        }
        false => text(&findings),
    };
    print(&text).await?;
    Ok(match verdict {
        Verdict::Failure => ExitCode::FAILURE,
        Verdict::Ok | Verdict::Warning => ExitCode::SUCCESS,
    })
}

fn text(findings: &[Finding]) -> String {
    let checks = findings.iter().map(|finding| finding.check.chars().count());
    let width = checks.max().unwrap_or_default();
    let mut text = String::new();
    for finding in findings {
        let mark = match finding.verdict {
            Verdict::Ok => "ok     ",
            Verdict::Warning => "warning",
            Verdict::Failure => "FAILURE",
        };
        let (check, says) = (&finding.check, &finding.says);
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{mark}  {check:width$}  {says}");
        if let Some(mend) = &finding.mend {
            let _ = writeln!(text, "         {:width$}  -> {mend}", "");
        }
    }
    let count = |verdict| {
        findings
            .iter()
            .filter(move |finding| finding.verdict == verdict)
    };
    let (failures, warnings) = (
        count(Verdict::Failure).count(),
        count(Verdict::Warning).count(),
    );
    let _ = match (failures, warnings) {
        (0, 0) => writeln!(text, "\neverything is as it should be"),
        _ => writeln!(text, "\n{failures} failures, {warnings} warnings"),
    };
    text
}
