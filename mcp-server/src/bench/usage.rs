//! What a process uses of the machine. Known on Linux only.

use std::{fs, time::Duration};

/// The unit of times in `/proc/PID/stat`: the same on every architecture this runs on.
const TICKS_PER_SECOND: u64 = 100;

/// What a process has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Processor time since its start, in user and kernel mode, of all its threads.
    pub cpu: Duration,
    /// Memory that it holds now, files that it has mapped included.
    pub resident_bytes: u64,
    /// The part of it that is the process's own: what a leak is in.
    pub private_bytes: u64,
    /// Descriptors that are open now.
    pub open_files: u64,
    /// Threads that there are now.
    pub threads: u64,
}

impl Usage {
    /// What the process `pid` has used so far; `None` where that cannot be known.
    ///
    /// Reads a few small files that the kernel makes up on the spot: this does not wait for a disk.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let read = |file| fs::read_to_string(format!("/proc/{pid}/{file}")).ok();
        let status = read("status")?;
        let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        Some(Self {
            cpu: cpu(&read("stat")?)?,
            resident_bytes: number(&status, "VmRSS:")? * 1024,
            private_bytes: number(&status, "RssAnon:")? * 1024,
            open_files: files.count() as u64,
            threads: number(&status, "Threads:")?,
        })
    }
}

/// `utime` and `stime`, the 14th and 15th field. The second field may hold anything in brackets.
fn cpu(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks: u64 = fields.next()?.parse().ok()?;
    let ticks = ticks + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
}

/// The number in the line of this name; of memory in KiB.
fn number(status: &str, name: &str) -> Option<u64> {
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_any_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 1 0 0 0 250 50 9 9 20 0 4 0 1 1 1";
        assert_eq!(cpu(stat), Some(Duration::from_secs(3)));
        assert_eq!(cpu("42 (a"), None);
        let status = "Name:\ta\nVmHWM:\t  9 kB\nVmRSS:\t    2048 kB\nThreads:\t4\n";
        assert_eq!(number(status, "VmRSS:"), Some(2048));
        assert_eq!(number(status, "Threads:"), Some(4));
        assert_eq!(number("Name:\ta\n", "VmRSS:"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_uses_something() {
        let usage = Usage::of(std::process::id()).expect("this is Linux");
        assert!(usage.resident_bytes > 100_000, "{usage:?}");
        assert!(usage.private_bytes > 0 && usage.private_bytes < usage.resident_bytes);
        assert!(usage.open_files > 2 && usage.threads > 0, "{usage:?}");
        assert_eq!(Usage::of(u32::MAX), None);
    }
}
