//! What the machine gives: a clock that goes forward, files and memory enough.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;

use super::Finding;
use crate::config::Config;

/// A clock before this was never set.
const EARLIEST: &str = "2025-01-01T00:00:00Z";
/// Files may be dated that much ahead before the clock is doubted.
const TOLERANCE: Duration = Duration::from_secs(120);
/// Descriptors that are no connections: the store, its index, logs, upstreams.
const OTHER_DESCRIPTORS: u64 = 256;
/// A cache that is larger than this part of all memory will bring the machine to its end.
const MEMORY_SHARE: u64 = 2;

/// `dir`: where the newest file should not be dated in the future.
pub(super) fn clock(dir: Option<&Path>) -> Vec<Finding> {
    let now = Timestamp::now();
    let earliest: Timestamp = EARLIEST.parse().expect("it is a constant");
    let mend = "set the clock, and have it kept by NTP (such as `timedatectl set-ntp true`): \
                memories are dated and expire by it";
    if now < earliest {
        return vec![Finding::failure("clock", format!("it is {now:.0}"), mend)];
    }
    let newest = dir.into_iter().flat_map(std::fs::read_dir).flatten();
    let newest = newest
        .filter_map(|entry| entry.ok()?.metadata().ok()?.modified().ok())
        .max();
    let ahead = newest.and_then(|newest| newest.duration_since(SystemTime::now()).ok());
    vec![match ahead {
        Some(ahead) if ahead > TOLERANCE => {
            let says = format!(
                "it is {now:.0}, and there is data from {} s later",
                ahead.as_secs()
            );
            Finding::warning("clock", says, mend)
        }
        _ => Finding::ok("clock", format!("it is {now:.0}")),
    }]
}

pub(super) fn limits(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(descriptors(config));
    findings.extend(memory(config));
    findings
}

#[cfg(unix)]
fn descriptors(config: &Config) -> Option<Finding> {
    use rustix::process::{Resource, getrlimit};

    // The server raises its own limit to the maximum.
    let most = getrlimit(Resource::Nofile).maximum;
    let connections = config.http.connections_max.get() as u64;
    Some(match most {
        Some(most) if most < connections.saturating_add(OTHER_DESCRIPTORS) => Finding::warning(
            "descriptors",
            format!(
                "a process may have {most} files open, and http.connections_max is {connections}"
            ),
            format!(
                "raise the limit (`LimitNOFILE={}` in the service's unit, or `ulimit -Hn`), or \
                 lower http.connections_max to {}",
                connections.saturating_add(OTHER_DESCRIPTORS),
                most.saturating_sub(OTHER_DESCRIPTORS)
            ),
        ),
        Some(most) => Finding::ok(
            "descriptors",
            format!("a process may have {most} files open"),
        ),
        None => Finding::ok("descriptors", "a process may have any number of files open"),
    })
}

#[cfg(not(unix))]
fn descriptors(_config: &Config) -> Option<Finding> {
    None
}

fn memory(config: &Config) -> Option<Finding> {
    let total = memory_bytes()?;
    let http = &config.http;
    let cache = &config.memory.cache;
    let kept = match cache.enabled && !config.safe_mode {
        true => cache.bytes_max.get(),
        false => 0,
    };
    let wanted = kept.saturating_add(http.sessions_bytes_max);
    let says = format!(
        "{} MiB of memory; caches and streams of sessions may take {} MiB",
        total >> 20,
        wanted >> 20
    );
    Some(match wanted > total / MEMORY_SHARE {
        true => Finding::warning(
            "memory",
            says,
            "lower memory.cache.bytes_max or http.sessions_bytes_max, or give the server more",
        ),
        false => Finding::ok("memory", says),
    })
}

/// What this process may have: the machine's, or what its control group allows.
fn memory_bytes() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.and_then(|text| total_bytes(&text));
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let group = group.and_then(|text| text.trim().parse().ok());
    machine.into_iter().chain(group).min()
}

/// The total in `/proc/meminfo`.
fn total_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn a_file_from_the_future_makes_the_clock_doubtful() {
        let dir = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(dir.path().join("memory.db")).unwrap();
        assert_eq!(clock(Some(dir.path()))[0].verdict, Verdict::Ok);
        let later = SystemTime::now() + Duration::from_secs(86_400);
        file.set_modified(later).unwrap();
        assert_eq!(clock(Some(dir.path()))[0].verdict, Verdict::Warning);
    }

    #[test]
    fn the_total_is_read_in_kib() {
        let text = "MemTotal:        8048620 kB\nMemFree: 1 kB\n";
        assert_eq!(total_bytes(text), Some(8_048_620 << 10));
        assert_eq!(total_bytes("MemFree: 1 kB\n"), None);
    }

    #[cfg(unix)]
    #[test]
    fn more_connections_than_descriptors_are_told_of() {
        let mut config = Config::default();
        config.http.connections_max = std::num::NonZeroUsize::MAX;
        let finding = descriptors(&config).unwrap();
        // Where there is no limit at all, there is nothing to say.
        assert!(finding.verdict == Verdict::Warning || finding.says.contains("any number"));
    }
}
