use super::*;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll, Wake, Waker},
};

type Numbers = Flights<u32, u32>;

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A seat and how often it was woken.
struct Waiting<'a> {
    seat: Seat<'a, u32, u32>,
    woken: std::sync::Arc<Woken>,
}

impl<'a> Waiting<'a> {
    fn new(flights: &'a Numbers, key: u32) -> Self {
        let Joined::Follow(seat) = join(flights, key) else {
            panic!("somebody loads");
        };
        let mut waiting = Self {
            seat,
            woken: std::sync::Arc::default(),
        };
        assert!(waiting.poll().is_pending());
        waiting
    }

    fn poll(&mut self) -> Poll<Turn<'a, u32, u32, u32>> {
        let waker = Waker::from(std::sync::Arc::clone(&self.woken));
        self.seat
            .poll(&Context::from_waker(&waker), |result| *result)
    }

    fn landed(&mut self) -> Option<u32> {
        match self.poll() {
            Poll::Ready(Turn::Landed(result)) => Some(result),
            _ => None,
        }
    }

    fn lead(&mut self) -> Option<Lead<'a, u32, u32>> {
        match self.poll() {
            Poll::Ready(Turn::Lead(lead)) => Some(lead),
            _ => None,
        }
    }

    fn woken(&self) -> usize {
        self.woken.0.load(Ordering::Relaxed)
    }
}

fn at(epoch: u64) -> Ticket {
    Ticket {
        epoch,
        writes: 1,
        order: epoch,
    }
}

/// All keys share a shard and a hash, so that keys are compared too.
fn join(flights: &Numbers, key: u32) -> Joined<'_, u32, u32> {
    flights.join(7, &key, at(0), |_| true)
}

fn lead(flights: &Numbers, key: u32) -> Lead<'_, u32, u32> {
    match join(flights, key) {
        Joined::Lead(lead) => lead,
        Joined::Follow(_) => panic!("nobody loads yet"),
    }
}

#[test]
fn one_leads_and_all_get_its_result() {
    let flights = Numbers::new();
    let first = lead(&flights, 1);
    let other = lead(&flights, 2);
    let mut waiting: Vec<_> = (0..100).map(|_| Waiting::new(&flights, 1)).collect();
    first.land(|| 10);
    for seat in &mut waiting {
        assert_eq!((seat.woken(), seat.landed()), (1, Some(10)));
        assert!(seat.poll().is_pending(), "ready once");
    }
    assert_eq!(flights.len(), 1, "the other key");
    drop(other);
    assert_eq!(flights.len(), 0);
    drop(lead(&flights, 1));
}

#[test]
fn a_leader_that_goes_away_hands_over_to_one() {
    let flights = Numbers::new();
    let first = lead(&flights, 1);
    let mut waiting: Vec<_> = (0..3).map(|_| Waiting::new(&flights, 1)).collect();
    drop(first);
    let woken: Vec<_> = waiting.iter().map(Waiting::woken).collect();
    assert_eq!(woken, [1, 0, 0]);
    let second = waiting[0].lead().expect("its turn");
    assert!(waiting[1].poll().is_pending());
    second.land(|| 20);
    assert_eq!(waiting[1].landed(), Some(20));
    assert_eq!(waiting[2].landed(), Some(20));
    assert_eq!(flights.len(), 0);
}

/// What is landed is a clone, and that is foreign code.
#[test]
fn a_result_that_panics_hands_over_too() {
    let flights = Numbers::new();
    let first = lead(&flights, 1);
    let mut waiting: Vec<_> = (0..2).map(|_| Waiting::new(&flights, 1)).collect();
    let lands = std::panic::AssertUnwindSafe(|| first.land(|| panic!("no clone")));
    assert!(std::panic::catch_unwind(lands).is_err());
    assert_eq!((waiting[0].woken(), waiting[1].woken()), (1, 0));
    waiting[0].lead().expect("its turn").land(|| 20);
    assert_eq!(waiting[1].landed(), Some(20));
    assert_eq!(flights.len(), 0);
}

#[test]
fn an_heir_that_goes_away_too_passes_it_on() {
    let flights = Numbers::new();
    let first = lead(&flights, 1);
    let mut waiting: Vec<_> = (0..3).map(|_| Waiting::new(&flights, 1)).collect();
    drop(first);
    drop(waiting.remove(0));
    assert_eq!((waiting[0].woken(), waiting[1].woken()), (1, 0));
    drop(waiting.remove(0));
    assert_eq!(waiting[0].woken(), 1);
    drop(waiting);
    assert_eq!(flights.len(), 0, "the last one closes the door");
}

#[test]
fn who_comes_while_nobody_leads_leads_at_once() {
    let flights = Numbers::new();
    let first = lead(&flights, 1);
    let mut heir = Waiting::new(&flights, 1);
    drop(first);
    let newcomer = lead(&flights, 1);
    assert!(heir.poll().is_pending(), "woken for nothing, it waits on");
    newcomer.land(|| 30);
    assert_eq!(heir.landed(), Some(30));
}

#[test]
fn a_detached_flight_ends_for_those_in_it() {
    let flights = Numbers::new();
    let old = lead(&flights, 1);
    let mut early = Waiting::new(&flights, 1);
    flights.detach(7, &1);
    let new = lead(&flights, 1);
    let mut late = Waiting::new(&flights, 1);
    old.land(|| 1);
    assert_eq!(early.landed(), Some(1));
    assert!(late.poll().is_pending());
    assert_eq!(flights.len(), 1, "the old one's end is not the new one's");
    new.land(|| 2);
    assert_eq!(late.landed(), Some(2));
}

#[test]
fn who_may_not_join_begins_another_flight() {
    let flights = Numbers::new();
    let old = lead(&flights, 1);
    let Joined::Lead(new) = flights.join(7, &1, at(5), |load| began_after(load, at(5))) else {
        panic!("the old load began too early");
    };
    let Joined::Follow(_seat) = flights.join(7, &1, at(5), |load| began_after(load, at(5))) else {
        panic!("the new one did not");
    };
    new.begin(at(6));
    let joined = flights.join(7, &1, at(6), |load| began_after(load, at(6)));
    assert!(matches!(joined, Joined::Follow(_)), "it began again");
    drop(old);
    assert_eq!(flights.len(), 1);
}

/// Places are given back: a flight that hangs does not grow with every caller
/// that gives up on it.
#[test]
fn callers_that_give_up_leave_no_trace() {
    let flights = Numbers::new();
    let hangs = lead(&flights, 1);
    let mut last = Waiting::new(&flights, 1);
    for _ in 0..10_000 {
        drop(Waiting::new(&flights, 1));
    }
    let places = lock(&last.seat.flight().state).waiters.places();
    assert_eq!(places, 2);
    hangs.land(|| 1);
    assert_eq!(last.landed(), Some(1));
}
