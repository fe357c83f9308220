//! Single-flight: of all callers that miss one key, one loads and the others
//! wait for what it brings.
//!
//! The caller that leads may go away; then one of those who wait takes over,
//! with a load of its own. This room knows no cache and no clock: whether a
//! result may be served is asked of whoever waits.

mod seat;
mod waiters;

pub(crate) use seat::{Lead, Parked, Seat, Turn};

use crate::{
    Ticket,
    sync::{Arc, Mutex, lock},
};
use hashbrown::{Equivalent, HashTable, hash_table::Entry};
use waiters::Waiters;

/// Locks of the table; a flight holds one only while it begins and ends.
const SHARDS: usize = 32;

/// The flights of all keys. `R` is what a load brings.
pub(crate) struct Flights<K, R> {
    shards: Box<[Shard<K, R>]>,
}

type Shard<K, R> = Mutex<HashTable<Listed<K, R>>>;

struct Listed<K, R> {
    hash: u64,
    key: K,
    flight: Arc<Flight<R>>,
}

pub(super) struct Flight<R> {
    state: Mutex<State<R>>,
}

struct State<R> {
    /// Somebody loads.
    led: bool,
    /// When that load began.
    ticket: Ticket,
    /// Callers that wait, polled or not.
    seats: usize,
    waiters: Waiters,
    result: Option<R>,
}

/// Whether a load that began with `load` answers a reader that began with
/// `reader`, whatever is invalidated: nothing was in between.
pub(crate) fn began_after(load: Ticket, reader: Ticket) -> bool {
    load.epoch >= reader.epoch && load.writes >= reader.writes
}

/// What a caller that missed is to do.
pub(crate) enum Joined<'a, K: Eq, R> {
    /// Load, and land the result.
    Lead(Lead<'a, K, R>),
    /// Wait for the one who does.
    Follow(Seat<'a, K, R>),
}

impl<K: Eq + Clone, R> Flights<K, R> {
    pub(crate) fn new() -> Self {
        let shard = || Mutex::new(HashTable::new());
        Self {
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
        }
    }

    /// Joins the flight of `key`, or begins one with `ticket`. A flight that
    /// began with a ticket for which `may_join` is false goes on for those who
    /// wait for it, and a new one begins.
    pub(crate) fn join(
        &self,
        hash: u64,
        key: &K,
        ticket: Ticket,
        may_join: impl FnOnce(Ticket) -> bool,
    ) -> Joined<'_, K, R> {
        let mut shard = lock(self.shard(hash));
        let entry = shard.entry(
            hash,
            |listed| listed.hash == hash && listed.key == *key,
            |listed| listed.hash,
        );
        let mut listed = match entry {
            Entry::Occupied(listed) => listed,
            Entry::Vacant(vacant) => {
                let flight = Flight::led(ticket);
                vacant.insert(Listed {
                    hash,
                    key: key.clone(),
                    flight: Arc::clone(&flight),
                });
                return Joined::Lead(Lead::new(self, hash, flight));
            }
        };
        let flight = Arc::clone(&listed.get().flight);
        let mut state = lock(&flight.state);
        if !state.led {
            state.led = true;
            state.ticket = ticket;
            drop(state);
            return Joined::Lead(Lead::new(self, hash, flight));
        }
        if may_join(state.ticket) {
            state.seats += 1;
            drop(state);
            return Joined::Follow(Seat::new(self, hash, flight));
        }
        drop(state);
        let flight = Flight::led(ticket);
        listed.get_mut().flight = Arc::clone(&flight);
        Joined::Lead(Lead::new(self, hash, flight))
    }

    /// Nobody joins the flight of `key` any more: whoever comes begins another.
    pub(crate) fn detach<Q>(&self, hash: u64, key: &Q)
    where
        Q: Equivalent<K> + ?Sized,
    {
        let mut shard = lock(self.shard(hash));
        if let Ok(listed) = shard.find_entry(hash, |listed| {
            listed.hash == hash && key.equivalent(&listed.key)
        }) {
            listed.remove();
        }
    }

    /// Keys that are loaded now.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }
}

impl<K, R> Flights<K, R> {
    fn shard(&self, hash: u64) -> &Shard<K, R> {
        // The table itself uses the low bits and the seven highest.
        let index = usize::try_from((hash >> 32) % SHARDS as u64).unwrap_or(0);
        &self.shards[index]
    }

    /// Takes the flight off the list, unless another has its place.
    fn remove(shard: &mut HashTable<Listed<K, R>>, hash: u64, flight: &Arc<Flight<R>>) {
        let is_it =
            |listed: &Listed<K, R>| listed.hash == hash && Arc::ptr_eq(&listed.flight, flight);
        if let Ok(listed) = shard.find_entry(hash, is_it) {
            listed.remove();
        }
    }

    /// The load is over: its result is for those who wait.
    fn land(&self, hash: u64, flight: &Arc<Flight<R>>, result: impl FnOnce() -> R) {
        Self::remove(&mut lock(self.shard(hash)), hash, flight);
        let mut state = lock(&flight.state);
        if state.seats > 0 {
            state.result = Some(result());
        }
        state.led = false;
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        waiters.wake_all();
    }

    /// Whoever led is gone without a result.
    fn abandon(&self, hash: u64, flight: &Arc<Flight<R>>) {
        // In the order of `join`: nobody takes a seat meanwhile.
        let mut shard = lock(self.shard(hash));
        let mut state = lock(&flight.state);
        state.led = false;
        let heir = state.waiters.pop();
        if state.seats == 0 {
            Self::remove(&mut shard, hash, flight);
        }
        drop((state, shard));
        if let Some(heir) = heir {
            heir.wake();
        }
    }

    /// Takes a flight off the list that nobody leads and nobody waits for.
    fn reap(&self, hash: u64, flight: &Arc<Flight<R>>) {
        let mut shard = lock(self.shard(hash));
        let state = lock(&flight.state);
        if !state.led && state.seats == 0 {
            Self::remove(&mut shard, hash, flight);
        }
    }
}

impl<R> Flight<R> {
    fn led(ticket: Ticket) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                led: true,
                ticket,
                seats: 0,
                waiters: Waiters::default(),
                result: None,
            }),
        })
    }
}

#[cfg(all(test, mcp_loom))]
mod loom_models;
#[cfg(all(test, not(mcp_loom)))]
mod tests;
