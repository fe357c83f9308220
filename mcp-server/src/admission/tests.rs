use std::{future::poll_fn, pin::pin, task::Poll};

use Lane::{Cursor, Other};
use tokio::task::JoinSet;

use super::*;

fn admission(in_flight_max: u32, reserved: u32, queue_len_max: usize) -> Admission {
    let lane = LaneConfig {
        reserved,
        queue_len_max: queue_len_max.try_into().unwrap(),
    };
    let config = LanesConfig {
        in_flight_max: in_flight_max.try_into().unwrap(),
        cursor: lane.clone(),
        vscode: lane.clone(),
        other: lane,
        ..LanesConfig::default()
    };
    config.validate().unwrap();
    Admission::new(&config)
}

fn stats(admission: &Admission, lane: Lane) -> LaneStats {
    let stats = &admission.stats()[lane.index()];
    assert_eq!(stats.lane, lane);
    stats.clone()
}

/// Polls once.
async fn is_ready<F: Future + Unpin>(future: &mut F) -> bool {
    poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_ready())).await
}

#[tokio::test(start_paused = true)]
async fn the_first_to_come_is_the_first_to_go() {
    let admission = admission(1, 0, 9);
    let place = admission.enter(Other).await.unwrap();
    let mut first = Box::pin(admission.enter(Other));
    let mut second = Box::pin(admission.enter(Other));
    assert!(!is_ready(&mut first).await);
    assert!(!is_ready(&mut second).await);
    assert_eq!(stats(&admission, Other).waiting, 2);
    drop(place);
    assert!(!is_ready(&mut second).await);
    let place = first.await.unwrap();
    assert!(!is_ready(&mut second).await);
    drop(place);
    drop(second.await.unwrap());
    let stats = stats(&admission, Other);
    assert_eq!((stats.in_flight, stats.waiting), (0, 0));
    assert_eq!((stats.admitted, stats.queued, stats.shed), (3, 2, 0));
    assert_eq!(stats.latency.count(), 3);
}

/// Dropped while it waits, and dropped between the place and its taking: no place is lost.
#[tokio::test(start_paused = true)]
async fn who_leaves_takes_no_place_along() {
    let admission = admission(1, 0, 9);
    for granted in [false, true] {
        let place = admission.enter(Other).await.unwrap();
        let mut leaves = Box::pin(admission.enter(Other));
        let mut stays = Box::pin(admission.enter(Other));
        assert!(!is_ready(&mut leaves).await && !is_ready(&mut stays).await);
        if granted {
            drop(place);
            drop(leaves);
        } else {
            drop(leaves);
            drop(place);
        }
        drop(stays.await.unwrap());
    }
    let stats = stats(&admission, Other);
    assert_eq!((stats.in_flight, stats.waiting), (0, 0));
    assert_eq!((stats.abandoned, stats.shed), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever() {
    let admission = admission(1, 0, 9);
    let place = admission.enter(Other).await.unwrap();
    let came = Instant::now();
    let error = admission.enter(Other).await.unwrap_err();
    assert_eq!(came.elapsed(), LanesConfig::default().queue_timeout);
    assert_eq!(error.lane, Other);
    drop(place);
    let stats = stats(&admission, Other);
    assert_eq!((stats.waiting, stats.shed, stats.in_flight), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn new_settings_let_those_in_who_wait() {
    let admission = admission(1, 0, 9);
    let _place = admission.enter(Other).await.unwrap();
    let mut waits = pin!(admission.enter(Other));
    assert!(!is_ready(&mut waits).await);
    let more = LanesConfig {
        in_flight_max: 50.try_into().unwrap(),
        ..LanesConfig::default()
    };
    admission.set(&more);
    assert!(waits.await.is_ok());
}

/// Clients that call, wait for the answer, and call again; those that are refused come back when
/// they were told to. What was served within the time, and what was refused.
async fn serve(admission: &Admission, lane: Lane, clients: usize, work: Duration) -> (u64, u64) {
    let end = Instant::now() + Duration::from_secs(20);
    let before = stats(admission, lane);
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        let admission = admission.clone();
        tasks.spawn(async move {
            while Instant::now() < end {
                match admission.enter(lane).await {
                    Ok(_place) => tokio::time::sleep(work).await,
                    Err(overloaded) => tokio::time::sleep(overloaded.retry_after).await,
                }
            }
        });
    }
    tasks.join_all().await;
    let after = stats(admission, lane);
    assert_eq!((after.in_flight, after.waiting), (0, 0));
    (after.admitted - before.admitted, after.shed - before.shed)
}

#[tokio::test(start_paused = true)]
async fn at_five_times_the_load_as_much_is_served_and_the_rest_refused() {
    let admission = admission(20, 0, 20);
    let work = Duration::from_millis(50);
    let (peak, shed) = serve(&admission, Other, 20, work).await;
    assert_eq!(shed, 0);
    let (goodput, shed) = serve(&admission, Other, 100, work).await;
    assert!(goodput * 10 >= peak * 9, "{goodput} of {peak}");
    assert!(shed > 0);
}

#[tokio::test(start_paused = true)]
async fn a_flood_in_one_lane_slows_no_other_down() {
    let admission = admission(12, 4, 1_000);
    let work = Duration::from_millis(50);
    let (alone, _) = serve(&admission, Cursor, 4, work).await;
    let flood = serve(&admission, Other, 200, 10 * work);
    let interactive = serve(&admission, Cursor, 4, work);
    let ((served, _), (beside, shed)) = tokio::join!(flood, interactive);
    assert!(served > 0);
    assert_eq!((beside, shed), (alone, 0));
    // None of them had to wait for a place.
    assert_eq!(stats(&admission, Cursor).queued, 0);
}
