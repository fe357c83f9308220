//! One tag, a million keys.

use benches::rivals::figure;
use bytes::Bytes;
use mcp_cache::{Bounds, Epochs, FOREVER_MS, Origin, Put, Store};
use std::{hint::black_box, sync::Arc, time::Instant};

const KEYS: u64 = 1_000_000;
const TIMES: u32 = 1_000;

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
pub(crate) fn print() {
    let epochs = Arc::new(Epochs::default());
    let store: Store<u64, Bytes> = Store::new(&Bounds::default(), Arc::clone(&epochs));
    let tags = [epochs.tag("all")];
    for key in 0..KEYS {
        let put = Put {
            ticket: store.ticket(),
            origin: Origin::Load,
            tags: &tags,
            fresh_for_ms: FOREVER_MS,
            stale_for_ms: 0,
            heap_bytes: 1,
            keep_invalidated: false,
        };
        let _ = store.insert(key, Bytes::from_static(b"v"), &put, 0);
    }
    let start = Instant::now();
    for _ in 0..TIMES {
        black_box(&epochs).invalidate(black_box(&[epochs.tag("all")]));
    }
    let each = start.elapsed() / TIMES;
    let alive = (0..KEYS)
        .filter(|key| store.get(key, 0).fresh().is_some())
        .count();
    println!("\na tag of {KEYS} keys");
    figure("to invalidate, ns", each.as_nanos(), "<= 1000, aim at 100");
    figure("of them alive at the next read", alive, "0");
}
