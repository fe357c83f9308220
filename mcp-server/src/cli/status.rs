//! `mcp-server status`: what the server that runs says of itself.

use std::{fmt::Write as _, net::SocketAddr, process::ExitCode};

use serde_json::{Value, json};

use super::{CliError, args::StatusArgs, print};
use crate::{
    config::Config,
    doctor::{Asked, ask, reached},
};

/// Where the token is taken from: an argument would be seen by every user of the machine.
const TOKEN_VARIABLE: &str = "MCP_SERVER_TOKEN";

/// Exit status 0: ready; 1: not ready, or not to be reached.
pub(super) async fn run(config: &Config, args: &StatusArgs) -> Result<ExitCode, CliError> {
    let address = args.address.unwrap_or(config.http.listen);
    let ready = asked(address, "/readyz", None).await?;
    let token = std::env::var(TOKEN_VARIABLE).ok();
    let status = asked(address, "/api/status", token.as_deref()).await?;
    match status.status {
        200 => {}
        401 | 403 => return Err(CliError::StatusToken { address }),
        status => return Err(CliError::StatusForeign { address, status }),
    }
    let is_ready = ready.status == 200;
    let text = match args.json {
        true => format!(
            "{:#}\n",
            json!({"ready": ready.body, "status": status.body})
        ),
        false => text(address, is_ready, &ready.body, &status.body),
    };
    print(&text).await?;
    Ok(match is_ready {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

async fn asked(address: SocketAddr, path: &str, token: Option<&str>) -> Result<Asked, CliError> {
    let asked = ask(address, path, token).await;
    asked.map_err(|source| CliError::StatusUnreachable {
        address: reached(address),
        source,
    })
}

/// A page for people.
fn text(address: SocketAddr, is_ready: bool, ready: &Value, status: &Value) -> String {
    let mut text = String::new();
    let state = match is_ready {
        true => "ready",
        false => "NOT READY",
    };
    // Writing into a string cannot fail.
    let _ = writeln!(
        text,
        "mcp-server {} on {}: {state}, up for {}",
        word(&status["version"]),
        reached(address),
        span(number(&status["uptime_ms"])),
    );
    let grade = &status["grade"];
    let _ = writeln!(
        text,
        "grade {}: {}",
        grade["letter"].as_str().unwrap_or("-"),
        word(&grade["reason"])
    );
    let process = &status["process"];
    let _ = writeln!(
        text,
        "memory {} MiB, {} of {} files, {} clients",
        (number(&process["resident_bytes"]) / 1_048_576.0).round(),
        number(&process["open_files"]),
        number(&process["open_files_max"]),
        status["clients"].as_array().map_or(0, Vec::len),
    );
    for (name, part) in ready["parts"].as_object().into_iter().flatten() {
        if let Some(reason) = part["reason"].as_str() {
            let _ = writeln!(text, "NOT READY  {name}: {reason}");
        }
    }
    table(
        &mut text,
        "alerts",
        &["severity", "subject", "since", "message"],
        rows(&status["alerts"]["active"], |alert| {
            ["severity", "subject", "since", "message"]
                .map(|name| word(&alert[name]))
                .into()
        }),
    );
    table(
        &mut text,
        "dependencies",
        &["name", "kind", "state", "since", "detail"],
        rows(&status["dependencies"], |part| {
            ["name", "kind", "state", "since", "detail"]
                .map(|name| word(&part[name]))
                .into()
        }),
    );
    table(
        &mut text,
        "calls of the last hour",
        &[
            "tool", "lane", "calls", "/s", "p50 ms", "p95 ms", "p99 ms", "errors",
        ],
        rows(&status["tools"], |tool| {
            let hour = &tool["hour"];
            vec![
                word(&tool["tool"]),
                word(&tool["lane"]),
                number(&hour["calls"]).to_string(),
                format!("{:.1}", number(&hour["per_second"])),
                format!("{:.2}", number(&hour["p50_ms"])),
                format!("{:.2}", number(&hour["p95_ms"])),
                format!("{:.2}", number(&hour["p99_ms"])),
                number(&hour["errors"]).to_string(),
            ]
        }),
    );
    table(
        &mut text,
        "caches",
        &["cache", "tier", "hits", "entries", "MiB"],
        rows(&status["caches"], |cache| {
            vec![
                word(&cache["name"]),
                word(&cache["tier"]),
                format!("{:.1} %", number(&cache["hit_share"]) * 100.0),
                number(&cache["entries"]).to_string(),
                format!("{:.1}", number(&cache["bytes"]) / 1_048_576.0),
            ]
        }),
    );
    text
}

fn rows(list: &Value, row: impl Fn(&Value) -> Vec<String>) -> Vec<Vec<String>> {
    list.as_array().into_iter().flatten().map(row).collect()
}

/// A table with a title; nothing where there is no row.
fn table(text: &mut String, title: &str, columns: &[&str], rows: Vec<Vec<String>>) {
    if rows.is_empty() {
        return;
    }
    let header = columns.iter().map(|&column| column.to_owned()).collect();
    let all: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    let width = |at: usize| all.iter().map(|row| row[at].chars().count()).max();
    let widths: Vec<_> = (0..columns.len())
        .map(|at| width(at).unwrap_or_default())
        .collect();
    let _ = writeln!(text, "\n{title}");
    for row in &all {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| match is_figure(cell) {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            });
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "  {}", line.trim_end());
    }
}

fn is_figure(cell: &str) -> bool {
    cell.trim_end_matches(" %").parse::<f64>().is_ok()
}

/// A text without what would move the terminal's cursor.
fn word(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    text.chars().filter(|letter| !letter.is_control()).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}

fn span(millis: f64) -> String {
    let span = std::time::Duration::try_from_secs_f64(millis / 1_000.0);
    let seconds = span.unwrap_or_default().as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_becomes_aligned_tables_and_nothing_moves_the_cursor() {
        let status = json!({
            "version": "1.2.3", "uptime_ms": 3_600_000,
            "grade": {"letter": "A", "reason": "fast"},
            "caches": [
                {"name": "memory\u{1b}[2J", "tier": "l1", "hit_share": 0.912, "entries": 12, "bytes": 1_048_576},
                {"name": "contexts", "tier": "l1", "hit_share": 0.5, "entries": 1_234, "bytes": 0},
            ],
        });
        let ready = json!({"parts": {"index": {"status": "failed", "reason": "being made"}}});
        let address = "0.0.0.0:7420".parse().unwrap();
        let text = text(address, false, &ready, &status);
        assert!(text.starts_with("mcp-server 1.2.3 on 127.0.0.1:7420: NOT READY, up for 60 min"));
        assert!(text.contains("NOT READY  index: being made"), "{text}");
        assert!(
            text.contains("\n  memory[2J  l1    91.2 %       12  1.0\n"),
            "{text}"
        );
        assert!(
            text.contains("\n  contexts   l1    50.0 %     1234  0.0\n"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(!text.contains("alerts"), "{text}");
    }
}
