//! What a process has used.

use std::fs;

use super::Failure;

/// The unit of times in `/proc/PID/stat`.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time of a process so far.
pub(crate) fn cpu_seconds(process: u32) -> Result<f64, Failure> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields = stat.rsplit_once(')').ok_or("a line of /proc")?.1;
    let mut ticks = fields.split_whitespace().skip(11).take(2);
    let mut next =
        || -> Result<f64, Failure> { Ok(ticks.next().ok_or("a line of /proc")?.parse()?) };
    Ok((next()? + next()?) / TICKS_PER_SECOND)
}

/// Bytes of memory that a process has in use.
#[allow(dead_code, reason = "not every benchmark asks")]
pub(crate) fn resident_bytes(process: u32) -> Result<u64, Failure> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB"));
    Ok(kib.ok_or("a line of /proc")?.trim().parse::<u64>()? * 1024)
}
