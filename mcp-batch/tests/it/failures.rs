//! A function that panics or miscounts fails its own batch only.

use crate::support::{config, settle};
use mcp_batch::{BatchProcessor, Config, DropReason, Ending, Error, Observer};
use std::sync::{Arc, Mutex};

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

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<String>>);

impl Observer for Heard {
    fn on_batch(&self, batch: &mcp_batch::BatchRecord) {
        let line = format!("{} {:?}", batch.size, batch.ending);
        self.0.lock().expect("no panic").push(line);
    }

    fn on_dropped(&self, reason: DropReason) {
        self.0.lock().expect("no panic").push(format!("{reason:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_hears_of_batches_and_drops() {
    let heard = Arc::new(Heard::default());
    let config = Config {
        queue_len_max: 2,
        ..config()
    };
    let processor = BatchProcessor::<u64, u64, ()>::builder(&config)
        .observer(heard.clone())
        .build(|items: Vec<u64>| async move { items.into_iter().map(Ok).collect() })
        .expect("a valid configuration");
    let kept = processor.try_submit(1).expect("room");
    let gone = processor.try_submit(2).expect("room");
    let refused = processor.try_submit(3).map(|_| ());
    assert_eq!(refused, Err(Error::Overloaded { limit: 2 }));
    drop(gone);
    assert_eq!(kept.await, Ok(1));
    settle().await;
    let heard = heard.0.lock().expect("no panic");
    assert_eq!(*heard, ["Overloaded", "Cancelled", "1 Answered"]);
}
