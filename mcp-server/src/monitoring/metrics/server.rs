//! The server as a whole: alerts, dependencies, HTTP, the process.

use std::fmt;

use super::families::{Families, Labels};
use crate::monitoring::{DependencyState, Letter, Monitor, Parts, ProcessStatus};

pub(super) fn encode(
    monitor: &Monitor,
    parts: &Parts,
    families: &mut Families<'_, '_>,
) -> fmt::Result {
    let now = |value: f64| [(Labels::new(), value)];
    let one = |value: u64| [(Labels::new(), value)];
    let version = vec![("version", env!("CARGO_PKG_VERSION"))];
    families.gauge(
        "mcp_server_build",
        "The version that runs",
        [(version, 1.0)],
    )?;
    let uptime = monitor.recorder().uptime().as_secs_f64();
    families.gauge(
        "mcp_server_uptime_seconds",
        "Since when the server runs",
        now(uptime),
    )?;
    let grade = monitor.grade_now().letter.map(|letter| match letter {
        Letter::A => 5.0,
        Letter::B => 4.0,
        Letter::C => 3.0,
        Letter::D => 2.0,
        Letter::F => 1.0,
    });
    families.gauge(
        "mcp_server_grade",
        "What it all comes to: 5 for A to 1 for F",
        grade.map(|grade| (Labels::new(), grade)),
    )?;
    alerts(monitor, families)?;
    let dependencies = monitor.dependencies(&parts.dependencies);
    families.gauge(
        "mcp_dependency_up",
        "Whether a dependency does its work: 1, or 0.5 for part of it",
        dependencies.iter().map(|status| {
            let dependency = &status.dependency;
            let labels = vec![
                ("dependency", dependency.name.as_str()),
                ("kind", dependency.kind.name()),
            ];
            let up = match dependency.state {
                DependencyState::Up => 1.0,
                DependencyState::Degraded => 0.5,
                DependencyState::Down => 0.0,
            };
            (labels, up)
        }),
    )?;
    families.counter(
        "mcp_slow_operations",
        "Calls that took longer than slow_operations.threshold",
        one(monitor.slow_total()),
    )?;
    http(monitor, families)?;
    process(&ProcessStatus::now(), families)
}

fn alerts(monitor: &Monitor, families: &mut Families<'_, '_>) -> fmt::Result {
    let alerts = monitor.alerts();
    families.gauge(
        "mcp_alert_active",
        "What is not as it should be",
        alerts.active.iter().map(|alert| {
            let labels = vec![
                ("kind", alert.kind.name()),
                ("severity", alert.severity.name()),
                ("subject", alert.subject.as_str()),
            ];
            (labels, 1.0)
        }),
    )?;
    let raised = [(Labels::new(), alerts.raised)];
    families.counter("mcp_alerts_raised", "Alerts since the start", raised)
}

fn http(monitor: &Monitor, families: &mut Families<'_, '_>) -> fmt::Result {
    let stats = monitor.http_stats();
    let open = stats.connections.saturating_sub(stats.connections_closed);
    let connections = [(Labels::new(), stats.connections)];
    families.counter("mcp_http_connections", "Connections accepted", connections)?;
    let open = [(Labels::new(), open as f64)];
    families.gauge(
        "mcp_http_connections_open",
        "Connections that are open",
        open,
    )?;
    let refused = [
        ("unauthorized", stats.unauthorized),
        ("out_of_scope", stats.out_of_scope),
        ("rate_limited", stats.rate_limited),
        ("too_deep", stats.too_deep),
        ("body_too_large", stats.bodies_too_large),
        ("body_too_slow", stats.bodies_too_slow),
        ("slow_reader", stats.slow_readers),
        ("slow_head", stats.slow_heads),
    ];
    families.counter(
        "mcp_http_refusals",
        "Requests refused, and connections hung up, by reason",
        refused.map(|(reason, count)| (vec![("reason", reason)], count)),
    )
}

/// Under the names that every Prometheus client has for them.
fn process(process: &ProcessStatus, families: &mut Families<'_, '_>) -> fmt::Result {
    let known = |value: Option<u64>| value.map(|value| (Labels::new(), value as f64));
    families.gauge(
        "process_resident_memory_bytes",
        "Memory that the process holds",
        known(process.resident_bytes),
    )?;
    families.gauge("process_open_fds", "Open files", known(process.open_files))?;
    families.gauge(
        "process_max_fds",
        "Files that may be open",
        known(process.open_files_max),
    )?;
    families.gauge("process_threads", "Threads", known(process.threads))?;
    let cpu = process
        .cpu_ms
        .map(|millis| (Labels::new(), millis as f64 / 1e3));
    families.gauge(
        "mcp_process_cpu_seconds",
        "Processor time since the start",
        cpu,
    )?;
    families.gauge(
        "mcp_runtime_tasks",
        "Tasks that have not ended",
        known(process.tasks),
    )
}
