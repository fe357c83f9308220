//! What the processes write down, and the verdict on it.

use std::{collections::HashMap, path::Path, time::Duration};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Read,
    Strict,
    /// An invalidation returned.
    Returned,
    /// It was settled.
    Settled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// Nanoseconds: of a read its call, else the return.
    pub(super) at: u64,
    pub(super) what: What,
    pub(super) key: u32,
    pub(super) version: u64,
    /// Whether a read was answered by the second tier.
    pub(super) remote: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) reads: u64,
    pub(super) strict: u64,
    pub(super) from_remote: u64,
    pub(super) returned: u64,
    pub(super) settled: u64,
    /// The first stale read: its process, itself, what it had to be.
    pub(super) stale: Option<(usize, Entry, u64)>,
}

/// Nanoseconds of a clock that is the same in all processes.
pub(super) fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let part = |part: i64| u64::try_from(part).expect("after the start");
    part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
}

pub(super) fn judge(logs: &[Vec<Entry>], lease: Duration) -> Verdict {
    let lease = u64::try_from(lease.as_nanos()).expect("short");
    // A settled invalidation counts twice: at once, and after the lease.
    let mut moments: Vec<(u64, bool, usize, Entry)> = Vec::new();
    for (process, log) in logs.iter().enumerate() {
        for entry in log {
            moments.push((entry.at, false, process, *entry));
            if entry.what == What::Settled {
                moments.push((entry.at + lease, true, process, *entry));
            }
        }
    }
    moments.sort_unstable_by_key(|(at, ..)| *at);
    let mut verdict = Verdict::default();
    let (mut own, mut all, mut late) = (HashMap::new(), HashMap::new(), HashMap::new());
    for (_, after_lease, process, entry) in moments {
        let raise = |floor: &mut u64| *floor = entry.version.max(*floor);
        match entry.what {
            What::Returned => {
                verdict.returned += 1;
                raise(own.entry((process, entry.key)).or_default());
            }
            What::Settled if after_lease => raise(late.entry(entry.key).or_default()),
            What::Settled => {
                verdict.settled += 1;
                raise(all.entry(entry.key).or_default());
            }
            What::Read | What::Strict => {
                verdict.reads += 1;
                verdict.strict += u64::from(entry.what == What::Strict);
                verdict.from_remote += u64::from(entry.remote);
                let floor = |floors: &HashMap<u32, u64>| floors.get(&entry.key).copied();
                let others = match entry.what {
                    What::Strict => floor(&all),
                    _ => floor(&late),
                };
                let mine = own.get(&(process, entry.key)).copied();
                let at_least = mine.max(others).unwrap_or(0);
                if entry.version < at_least && verdict.stale.is_none() {
                    verdict.stale = Some((process, entry, at_least));
                }
            }
        }
    }
    verdict
}

const LEN: usize = 22;

pub(super) fn write_log(path: &Path, log: &[Entry]) {
    let mut bytes = Vec::with_capacity(log.len() * LEN);
    for entry in log {
        bytes.extend_from_slice(&entry.at.to_le_bytes());
        bytes.extend_from_slice(&entry.version.to_le_bytes());
        bytes.extend_from_slice(&entry.key.to_le_bytes());
        bytes.extend_from_slice(&[entry.what as u8, u8::from(entry.remote)]);
    }
    std::fs::write(path, bytes).expect("a log");
}

pub(super) fn read_log(path: &Path) -> Vec<Entry> {
    let bytes = std::fs::read(path).expect("a log");
    let parse = |part: &[u8]| Entry {
        at: u64::from_le_bytes(part[..8].try_into().expect("eight")),
        version: u64::from_le_bytes(part[8..16].try_into().expect("eight")),
        key: u32::from_le_bytes(part[16..20].try_into().expect("four")),
        what: [What::Read, What::Strict, What::Returned, What::Settled][usize::from(part[20])],
        remote: part[21] == 1,
    };
    bytes.chunks_exact(LEN).map(parse).collect()
}

#[test]
fn the_verdict_knows_processes_leases_and_strict_reads() {
    let entry = |at, what, version| Entry {
        at,
        what,
        key: 1,
        version,
        remote: false,
    };
    let writer = vec![entry(10, What::Returned, 5), entry(20, What::Settled, 5)];
    let rows = [
        (0, entry(15, What::Read, 4), true),
        (0, entry(9, What::Read, 4), false),
        (1, entry(15, What::Read, 4), false),
        (1, entry(119, What::Read, 4), false),
        (1, entry(121, What::Read, 4), true),
        (1, entry(121, What::Read, 5), false),
        (1, entry(19, What::Strict, 4), false),
        (1, entry(21, What::Strict, 4), true),
    ];
    for (process, read, stale) in rows {
        let mut logs = vec![writer.clone(), vec![]];
        logs[process].push(read);
        let verdict = judge(&logs, Duration::from_nanos(100));
        assert_eq!(verdict.stale.is_some(), stale, "{process} {read:?}");
    }
}
