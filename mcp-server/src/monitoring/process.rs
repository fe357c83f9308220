//! What this process uses of the machine. Known on Linux only.

use std::{fs, time::Duration};

use schemars::JsonSchema;
use serde::Serialize;

use crate::bench::usage::Usage;

/// What this process uses; absent where the system does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ProcessStatus {
    /// Its number.
    pub pid: u32,
    /// Memory that it holds, files that it has mapped included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident_bytes: Option<u64>,
    /// Processor time since its start, in user and kernel mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// Files, sockets and pipes that are open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// How many may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files_max: Option<u64>,
    /// Its threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<u64>,
    /// Tasks of the runtime that have not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<u64>,
}

impl ProcessStatus {
    /// At this moment. Reads a few small files that the kernel makes up on the spot; none waits for
    /// a disk.
    #[must_use]
    pub fn now() -> Self {
        let pid = std::process::id();
        let usage = Usage::of(pid);
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            pid,
            resident_bytes: usage.map(|usage| usage.resident_bytes),
            cpu_ms: usage.map(|usage| millis(usage.cpu)),
            open_files: open_files(),
            open_files_max: open_files_max(),
            threads: number_after(&status, "Threads:"),
            tasks: tokio::runtime::Handle::try_current()
                .ok()
                .map(|runtime| runtime.metrics().num_alive_tasks() as u64),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Without the folder itself, which is open while it is read.
fn open_files() -> Option<u64> {
    let entries = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    Some(entries.saturating_sub(1))
}

#[cfg(unix)]
fn open_files_max() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
fn open_files_max() -> Option<u64> {
    None
}

/// The number on the line that begins with `label`.
fn number_after(text: &str, label: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_behind_their_label() {
        let text = "Name:\ta\nThreads:\t7\n";
        assert_eq!(number_after(text, "Threads:"), Some(7));
        assert_eq!(number_after(text, "Tasks:"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_seen() {
        let before = ProcessStatus::now();
        let files: Vec<_> = (0..5).map(|_| fs::File::open("/dev/null")).collect();
        let with = ProcessStatus::now();
        assert!(files.iter().all(Result::is_ok));
        // Other tests open and close some, too.
        assert!(with.open_files > Some(5), "{before:?} {with:?}");
        assert!(
            with.resident_bytes > Some(100_000) && with.threads >= Some(1),
            "{with:?}"
        );
        assert!(with.open_files_max >= with.open_files, "{with:?}");
    }
}
