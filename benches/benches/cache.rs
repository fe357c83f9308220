//! `mcp-cache` beside its peers.
//!
//! ```text
//! cargo bench -p benches --features peers --bench cache                # every figure
//! cargo bench -p benches --features peers --bench cache -- ratio time  # some of: time, tags, memory, ratio, fetch, stale
//! cargo bench -p benches --bench cache                                 # without the peers
//! ```
//!
//! Wall times are the best of all rounds on one thread and the median on two;
//! all rivals run in turns in one process. Memory is counted by a global
//! allocator; RSS is that of a process of its own for each rival.
#![expect(clippy::print_stdout, reason = "a bench reports on stdout")]

#[path = "cache/counting.rs"]
mod counting;
#[path = "cache/fetch.rs"]
mod fetch;
#[path = "cache/ideal.rs"]
mod ideal;
#[path = "cache/memory.rs"]
mod memory;
#[cfg_attr(feature = "peers", path = "cache/peers.rs")]
#[cfg_attr(not(feature = "peers"), path = "cache/no_peers.rs")]
mod peers;
#[path = "cache/ratio.rs"]
mod ratio;
#[path = "cache/rival.rs"]
mod rival;
#[path = "cache/stale.rs"]
mod stale;
#[path = "cache/tags.rs"]
mod tags;
#[path = "cache/times.rs"]
mod times;
#[path = "cache/traces.rs"]
mod traces;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = args.iter().position(|arg| arg == "--rss") {
        memory::fill(&args[at + 1]);
        return;
    }
    let named = |name: &str| args.iter().any(|arg| arg == name);
    let sections: [(&str, fn()); 6] = [
        ("time", times::print),
        ("tags", tags::print),
        ("memory", memory::print),
        ("ratio", ratio::print),
        ("fetch", fetch::print),
        ("stale", stale::print),
    ];
    let all = !sections.iter().any(|(name, _)| named(name));
    for (name, print) in sections {
        if all || named(name) {
            print();
        }
    }
}
