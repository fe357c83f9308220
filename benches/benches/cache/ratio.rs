//! Hit ratios over the traces, between the plain past and the known future.

use crate::{
    ideal,
    peers::PEERS,
    rival::{Make, Ours, Room},
    traces,
};
use bytes::Bytes;

pub(crate) fn print() {
    let ours: Make = ("mcp-cache", Ours::<0>::make);
    let rivals: Vec<Make> = std::iter::once(ours).chain(PEERS.iter().copied()).collect();
    println!("\nhit ratio, % (read, and put what is missing; 100,000 keys, 1,000,000 requests)");
    print!("  {:<34}", "trace");
    for name in rivals
        .iter()
        .map(|(name, _)| *name)
        .chain(["LRU", "Belady"])
    {
        print!("{name:>15}");
    }
    println!();
    let mut of_belady = vec![0.0; rivals.len() + 1];
    let traces = traces::all();
    for trace in &traces {
        let mut hits: Vec<usize> = rivals
            .iter()
            .map(|(_, make)| run(*make, &trace.keys, trace.entries))
            .collect();
        hits.push(ideal::lru(&trace.keys, trace.entries));
        let best = ideal::belady(&trace.keys, trace.entries);
        for (share, hits) in of_belady.iter_mut().zip(&hits) {
            *share += *hits as f64 / best as f64 / traces.len() as f64;
        }
        hits.push(best);
        print!("  {:<34}", trace.name);
        for hits in hits {
            print!("{:>15.1}", hits as f64 / trace.keys.len() as f64 * 100.0);
        }
        println!();
    }
    print!("  {:<34}", "mean, % of Belady");
    for share in of_belady {
        print!("{:>15.1}", share * 100.0);
    }
    println!("\n  targets: within 0.5 of quick_cache in every row, loops >= 80, mean >= 89");
}

fn run(make: fn(Room) -> Box<dyn crate::rival::Rival>, keys: &[u64], entries: u64) -> usize {
    let rival = make(Room::Entries(entries));
    let value = Bytes::from_static(b"v");
    // In pieces, so that a cache that evicts later is not seen to hold more than it may.
    keys.chunks(100)
        .map(|keys| {
            let hits = rival.read_through(keys, &value);
            rival.settle();
            hits
        })
        .sum()
}
