//! A process that begins with an empty first tier.

use super::{Node, Source, server};
use mcp_cache::Source as From;

/// Traffic by rank, most of it to few keys, before and after a restart.
#[tokio::test]
async fn after_a_restart_the_second_tier_answers() {
    let Some(server) = server().await else { return };
    let source = Source::default();
    let traffic = |seed: u64| {
        (0..4_000u64).map(move |n| {
            let random = (n * 2 + seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
            // Squared: small numbers are many.
            format!("k{}", (random % 1_000) * (random % 977) / 1_000)
        })
    };
    let a = Node::new(&server.url()).await;
    for key in traffic(0) {
        a.get(&key, &source).await;
    }
    a.stored(source.reads()).await;
    drop(a);
    let b = Node::new(&server.url()).await;
    let (mut hits, mut asked) = (0, 0);
    for key in traffic(1) {
        asked += 1;
        hits += u32::from(b.get(&key, &source).await.source != From::Loaded);
    }
    let ratio = f64::from(hits) / f64::from(asked);
    println!(
        "after a restart {ratio:.3} of {asked} reads were hits; {:?}",
        b.remote.stats()
    );
    assert!(ratio >= 0.8, "{ratio}");
    assert!(b.remote.stats().hits > 300, "from the second tier");
}
