//! Bytes per small entry, and what a full cache weighs to the system.

use crate::{
    counting::bytes_kept,
    peers::PEERS,
    rival::{Make, Ours, Room},
};
use bytes::Bytes;
use std::process::Command;

const MIB: u64 = 1 << 20;
const FULL: u64 = 256 * MIB;
const VALUE: u64 = 1024;

fn makes() -> impl Iterator<Item = Make> {
    let ours: [Make; 2] = [
        ("mcp-cache", Ours::<0>::make),
        ("mcp-cache, 4 tags", Ours::<4>::make),
    ];
    ours.into_iter().chain(PEERS.iter().copied())
}

pub(crate) fn print() {
    println!(
        "\nbytes per entry in all, u64 to an empty `Bytes` (40 bytes of them), full and half full"
    );
    for (name, make) in makes() {
        print!("  {name:<28}");
        for (held, room) in [
            (100_000u64, 100_000u64),
            (100_000, 200_000),
            (70_000, 100_000),
        ] {
            print!("  {:>7.1}", per_entry(make, held, room));
        }
        println!("   target <= 150");
    }
    println!("\nRSS of a full cache of 256 MiB with values of 1 KiB, MiB");
    for (name, _) in makes() {
        match rss_mib(name) {
            Some(mib) => println!("  {name:<28}  {mib:>7}   target <= 294"),
            None => println!("  {name:<28}  not measured"),
        }
    }
}

/// What the cache holds when full beyond what it holds when empty, so that
/// fixed parts do not count.
fn per_entry(make: fn(Room) -> Box<dyn crate::rival::Rival>, held: u64, room: u64) -> f64 {
    let empty = make(Room::Entries(room));
    let (bytes, ()) = bytes_kept(|| {
        for key in 0..held * 2 {
            if key < held || held == room {
                empty.put(key, Bytes::new());
            }
        }
        empty.settle();
    });
    bytes as f64 / held as f64
}

fn rss_mib(name: &str) -> Option<u64> {
    let child = Command::new(std::env::current_exe().ok()?)
        .args(["--rss", name])
        .output()
        .ok()?;
    String::from_utf8_lossy(&child.stdout).trim().parse().ok()
}

/// The child's side: fills the cache twice over and says what it weighs.
pub(crate) fn fill(name: &str) {
    let Some((_, make)) = makes().find(|(other, _)| *other == name) else {
        return;
    };
    let rival = make(Room::Bytes(FULL, FULL / VALUE));
    for key in 0..2 * FULL / VALUE {
        rival.put(key, Bytes::from(vec![7; 1_024]));
    }
    rival.settle();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = rss.and_then(|rss| rss.trim().trim_end_matches(" kB").parse::<u64>().ok());
    if let Some(kib) = kib {
        println!("{}", kib / 1024);
    }
}
