//! What a service in trouble costs a caller, to the millisecond: time is paused.

use super::{
    Node, Source, With,
    memory::{Mood, Service},
};
use mcp_cache::{RemoteConfig, Source as From};
use std::time::Duration;
use tokio::time::Instant;

const DEADLINE: Duration = Duration::from_millis(20);

/// Reads that miss the first tier, one after the other: what each of them took.
async fn costs(node: &Node, source: &Source, reads: u32) -> Vec<Duration> {
    let mut costs = Vec::new();
    for n in 0..reads {
        let began = Instant::now();
        let answer = node.get(&format!("k{n}"), source).await;
        assert_eq!(answer.source, From::Loaded);
        costs.push(began.elapsed());
    }
    costs
}

/// One deadline each for five of them, and nothing for those that follow.
#[tokio::test(start_paused = true)]
async fn a_service_in_trouble_costs_five_deadlines_and_then_nothing() {
    let slow = Mood::Slow(DEADLINE + Duration::from_millis(1));
    let rows = [
        (Mood::Fails, Duration::ZERO),
        (Mood::Hangs, DEADLINE),
        (slow, DEADLINE),
    ];
    for (mood, each) in rows {
        let service = Service::new();
        let node = Node::with(
            &service,
            With {
                config: RemoteConfig {
                    deadline: DEADLINE,
                    ..RemoteConfig::default()
                },
                ..With::default()
            },
        )
        .await;
        let source = Source::default();
        node.end.mood(mood);
        let costs = costs(&node, &source, 50).await;
        let expected: Vec<Duration> = (0..50)
            .map(|n| if n < 5 { each } else { Duration::ZERO })
            .collect();
        // A timer fires at the millisecond that follows its moment.
        let fired = |cost: &Duration, due: &Duration| {
            *cost >= *due && *cost <= *due + Duration::from_millis(2)
        };
        let met = costs
            .iter()
            .zip(&expected)
            .all(|(cost, due)| fired(cost, due));
        assert!(met, "{mood:?}: {costs:?}");
        assert!(node.remote.stats().refused >= 40, "{mood:?}");
    }
}

/// Those who ask at once each wait for one deadline, not for one another's.
#[tokio::test(start_paused = true)]
async fn deadlines_of_many_callers_pass_together() {
    let service = Service::new();
    let node = Node::new(&service).await;
    let source = Source::default();
    node.end.mood(Mood::Hangs);
    let began = Instant::now();
    let reads: Vec<_> = (0..64).map(|n| format!("k{n}")).collect();
    let mut running = tokio::task::JoinSet::new();
    for key in reads {
        let (cache, source) = (node.cache.clone(), source.clone());
        running.spawn(async move {
            let load = move || async move { Ok::<_, String>(source.read()) };
            cache.get_or_fetch(&key, load).await.expect("no call fails")
        });
    }
    assert_eq!(running.join_all().await.len(), 64);
    assert!(began.elapsed() <= DEADLINE + Duration::from_millis(2));
}
