//! A function that panics or miscounts fails its own batch only.

use crate::support::config;
use mcp_batch::{BatchProcessor, Ending, Error};

type Flaky = BatchProcessor<u64, u64, String>;

/// 666 panics when the function is called, 667 when its future runs, 5 is one
/// result too few, 7 one too many.
fn flaky() -> Flaky {
    BatchProcessor::new(&config(), |items: Vec<u64>| {
        assert!(!items.contains(&666), "at once");
        async move {
            tokio::task::yield_now().await;
            assert!(!items.contains(&667), "later");
            let mut results: Vec<_> = items.iter().copied().map(Ok).collect();
            if items.contains(&5) {
                results.pop();
            }
            if items.contains(&7) {
                results.push(Ok(0));
            }
            results
        }
    })
    .expect("a valid configuration")
}

#[tokio::test(start_paused = true)]
async fn a_panic_fails_its_batch_and_the_next_one_runs() {
    let flaky = flaky();
    for bad in [666, 667] {
        let results = flaky.process_batch(vec![1, bad, 2]).await;
        assert_eq!(results, vec![Err(Error::Panicked); 3]);
        assert_eq!(flaky.submit(1).await, Ok(1));
    }
    let stats = flaky.stats();
    assert_eq!((stats.panicked, stats.batches, stats.items), (2, 4, 8));
    let endings: Vec<_> = flaky
        .performance_history()
        .iter()
        .map(|b| b.ending)
        .collect();
    assert_eq!(endings[..2], [Ending::Panicked, Ending::Answered]);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_number_of_results_fails_the_batch() {
    let flaky = flaky();
    for (bad, returned) in [(5, 2), (7, 4)] {
        let results = flaky.process_batch(vec![1, bad, 2]).await;
        let error = Error::Miscounted {
            expected: 3,
            returned,
        };
        assert_eq!(results, vec![Err(error); 3]);
        assert_eq!(flaky.submit(1).await, Ok(1));
    }
    assert_eq!(flaky.stats().miscounted, 2);
}
