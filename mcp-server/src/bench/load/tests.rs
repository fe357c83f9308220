use std::collections::VecDeque;

use tokio::time::sleep;

use super::*;
use crate::bench::pace::Arrivals;

/// Answers take as long as the script says, and are all of one kind.
struct Scripted(VecDeque<u64>);

impl Scripted {
    fn new(millis: &[u64]) -> Self {
        Self(millis.iter().copied().collect())
    }
}

impl Worker for Scripted {
    async fn call(&mut self) -> Result<Option<Called>, BenchError> {
        let Some(millis) = self.0.pop_front() else {
            return Ok(None);
        };
        let sent = Instant::now();
        sleep(Duration::from_millis(millis)).await;
        let outcome = match millis {
            666 => Outcome::Refused("overloaded".to_owned()),
            _ => Outcome::Answered {
                cached: millis == 1,
                stale: false,
            },
        };
        Ok(Some(Called {
            kind: Kind::Get,
            sent,
            received: Instant::now(),
            outcome,
        }))
    }
}

fn load(pace: Pace, seconds: u64) -> Load {
    Load {
        pace,
        duration: Duration::from_secs(seconds),
        calls: usize::MAX,
        until: CancellationToken::new(),
    }
}

/// One call every 100 ms on one connection.
fn every_100_ms() -> Pace {
    Pace::Open(Arrivals {
        rate: 10.0,
        burst_len: 1,
        seed: 3,
    })
}

fn longest(recording: &Recording) -> u128 {
    // Three digits are kept.
    recording.latencies().percentile(100.0).as_millis()
}

#[tokio::test(start_paused = true)]
async fn a_closed_loop_calls_as_soon_as_it_is_answered() {
    let workers = vec![Scripted::new(&[100; 50]), Scripted::new(&[1; 3])];
    let (workers, recording) = drive(workers, &load(Pace::Closed, 2)).await.unwrap();
    let get = &recording.answered[&Kind::Get];
    assert_eq!((get.latencies.len(), get.cached), (20 + 3, 3));
    assert_eq!(recording.elapsed, Duration::from_secs(2));
    assert_eq!(workers[0].0.len(), 30, "the workers come back in order");
}

#[tokio::test(start_paused = true)]
async fn an_open_loop_counts_the_wait_behind_a_stall() {
    let script = [&[1_000][..], &[10; 100]].concat();
    let (_, recording) = drive(vec![Scripted::new(&script)], &load(every_100_ms(), 5))
        .await
        .unwrap();
    assert_eq!(recording.calls(), 50, "none is left out");
    let latencies = recording.latencies();
    // After the stall of 1 s ten calls are due, and take 90 ms less each.
    let waited = latencies.percentile(85.0).as_millis();
    assert!((300..=600).contains(&waited), "{waited}");
    assert!((999..=1_001).contains(&longest(&recording)));
    let (_, closed) = drive(vec![Scripted::new(&script)], &load(Pace::Closed, 5))
        .await
        .unwrap();
    assert!(closed.latencies().percentile(85.0).as_millis() <= 11);
}

#[tokio::test(start_paused = true)]
async fn an_open_loop_keeps_its_rate_when_answers_are_fast() {
    let (_, recording) = drive(vec![Scripted::new(&[10; 100])], &load(every_100_ms(), 5))
        .await
        .unwrap();
    assert_eq!(recording.calls(), 50);
    assert!((9..=11).contains(&longest(&recording)));
    assert_eq!(recording.lateness.len(), 50);
}

#[tokio::test(start_paused = true)]
async fn refused_calls_are_counted_apart() {
    let workers = vec![Scripted::new(&[666, 1, 666])];
    let (_, recording) = drive(workers, &load(Pace::Closed, 9)).await.unwrap();
    assert_eq!(recording.calls(), 1);
    assert_eq!(recording.refused["overloaded"], 2);
}
