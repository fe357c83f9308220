//! A report as a page: no script, nothing from elsewhere, whatever a name may hold.

use std::fmt::Write;

use jiff::Timestamp;

use super::Report;
use crate::monitoring::{Alert, HourStatus, ToolStatus};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;\
    padding:0 1rem;color-scheme:light dark}table{border-collapse:collapse;width:100%;margin:.5rem 0 \
    1.5rem}th,td{text-align:right;padding:.25rem .6rem;border-bottom:1px solid #8884}th:first-child,\
    td:first-child{text-align:left}.grade{font-size:4rem;font-weight:700;line-height:1}\
    .critical{color:#c33}.warning{color:#b70}";

/// The page of `report`.
pub(super) fn page(report: &Report) -> String {
    let status = &report.status;
    let mut page = String::with_capacity(16 << 10);
    let letter = status.grade.letter.map_or("–", |letter| letter.name());
    // Writing to a string does not fail.
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>mcp-server: report</title><style>{STYLE}</style>\
         <h1>Report of {}</h1><p class=\"grade\">{letter}</p><p>{}</p>",
        report.at,
        escaped(&status.grade.reason)
    );
    heading(&mut page, "Alerts");
    match status.alerts.active.is_empty() && status.alerts.history.is_empty() {
        true => page.push_str("<p>None.</p>"),
        false => alerts(&mut page, &status.alerts.active, &status.alerts.history),
    }
    heading(&mut page, "Tools, in the last day");
    tools(&mut page, &status.tools);
    heading(&mut page, "Hours");
    hours(&mut page, &report.hours);
    heading(&mut page, "Trends");
    for trend in &status.trends {
        let _ = write!(
            page,
            "<p>{}: {:+.2} % an hour{}</p>",
            escaped(&trend.tool),
            trend.percent_per_hour,
            match trend.is_drift {
                true => ", which is no chance",
                false => ", which may be chance",
            }
        );
    }
    for leak in status.leaks.iter().filter(|leak| leak.is_leak) {
        let _ = write!(
            page,
            "<p class=\"warning\">{} grows by {:.0} an hour</p>",
            leak.what, leak.per_hour
        );
    }
    heading(&mut page, "Caches");
    table(&mut page, &["cache", "tier", "hits", "misses", "answered"]);
    for cache in &status.parts.caches {
        let share = format!("{:.1} %", cache.hit_share * 100.0);
        let (hits, misses) = (cache.hits.to_string(), cache.misses.to_string());
        row(
            &mut page,
            &[cache.name, cache.tier.name(), &hits, &misses, &share],
        );
    }
    page.push_str("</table></html>");
    page
}

fn alerts(page: &mut String, active: &[Alert], history: &[Alert]) {
    table(page, &["what", "severity", "since", "until"]);
    for alert in active.iter().chain(history) {
        let until = alert.resolved_at.as_ref().map(Timestamp::to_string);
        let _ = write!(
            page,
            "<tr class=\"{}\"><td>{}<td>{}<td>{}<td>{}",
            alert.severity.name(),
            escaped(&alert.message),
            alert.severity.name(),
            alert.since,
            until.unwrap_or_default()
        );
    }
    page.push_str("</table>");
}

fn tools(page: &mut String, tools: &[ToolStatus]) {
    let heads = [
        "tool", "client", "calls", "errors", "p50 ms", "p95 ms", "p99 ms", "max ms",
    ];
    table(page, &heads);
    for tool in tools {
        let day = &tool.day;
        let [p50, p95, p99, max] =
            [day.p50_ms, day.p95_ms, day.p99_ms, day.max_ms].map(|ms| format!("{ms:.2}"));
        let (calls, errors) = (day.calls.to_string(), day.errors.to_string());
        let cells = [
            tool.tool.as_str(),
            tool.lane.name(),
            &calls,
            &errors,
            &p50,
            &p95,
            &p99,
            &max,
        ];
        row(page, &cells);
    }
    page.push_str("</table>");
}

fn hours(page: &mut String, hours: &[HourStatus]) {
    table(
        page,
        &["from", "calls", "errors", "mean ms", "worst p95 ms", "MiB"],
    );
    for hour in hours {
        let from = Timestamp::from_second(hour.minute * 60).map(|at| at.to_string());
        let memory = hour
            .resident_bytes_max
            .map(|bytes| (bytes >> 20).to_string());
        let cells = [
            from.unwrap_or_default(),
            hour.calls.to_string(),
            hour.errors.to_string(),
            format!("{:.2}", hour.mean_ms),
            format!("{:.2}", hour.p95_worst_ms),
            memory.unwrap_or_default(),
        ];
        row(page, &cells.each_ref().map(String::as_str));
    }
    page.push_str("</table>");
}

fn heading(page: &mut String, text: &str) {
    let _ = write!(page, "<h2>{text}</h2>");
}

fn table(page: &mut String, heads: &[&str]) {
    page.push_str("<table><tr>");
    for head in heads {
        let _ = write!(page, "<th>{head}");
    }
}

fn row(page: &mut String, cells: &[&str]) {
    page.push_str("<tr>");
    for cell in cells {
        let _ = write!(page, "<td>{}", escaped(cell));
    }
}

/// A name of another server's tool may hold anything.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_names() {
        let mut page = String::new();
        row(&mut page, &["<script>alert('1')</script>", "a&b"]);
        assert_eq!(
            page,
            "<tr><td>&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;<td>a&amp;b"
        );
    }
}
