//! What all streams of a budget share: the counter, the clock, the timer wheel,
//! and the list of what there is.

use crate::{
    config::BudgetConfig,
    error::{ConfigError, EndReason, Scope},
    keeper,
    meter::{Marks, Meter},
    observer::Observer,
    pressure::{Short, ShortSessions},
    stats::Counters,
    stream::{Siblings, Stream},
    sync::{Mutex, MutexGuard, lock},
    wheel::{Key, Wheel},
};
use std::{
    collections::HashMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};
use tokio::{runtime::Handle, sync::Notify, time::Instant};

/// The step of the clock and the wheel.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// What has a time limit.
pub(crate) trait Expire: Send + Sync {
    /// Its time may have come. Says when to ask again.
    fn expire(&self, now_ms: u64) -> Option<u64>;
    /// Whether it was ended, and has no time limit any more.
    fn is_over(&self) -> bool;
    /// Where its key is kept, so that it can leave the wheel when it is dropped.
    fn timer(&self) -> &Mutex<Option<Key>>;
}

pub(crate) type Streams = HashMap<u64, Weak<Stream>>;

pub(crate) struct Hub {
    pub(crate) meter: Arc<Meter>,
    pub(crate) config: BudgetConfig,
    pub(crate) epoch: u32,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) counters: Counters,
    origin: Instant,
    origin_wall: SystemTime,
    clock_ms: AtomicU64,
    next_stream: AtomicU64,
    streams: Mutex<Streams>,
    wheel: Mutex<Wheel<Weak<dyn Expire>>>,
    short: Mutex<ShortSessions>,
    bell: Arc<Notify>,
}

impl Hub {
    pub(crate) fn new(
        config: BudgetConfig,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<Arc<Self>, ConfigError> {
        config.validate()?;
        let runtime = Handle::try_current().map_err(|_| ConfigError {
            field: "runtime",
            reason: "there is none: make the budget inside of tokio",
        })?;
        let marks = Marks::new(
            config.bytes_max,
            config.high_watermark,
            config.low_watermark,
        );
        let hub = Arc::new(Self {
            meter: Arc::new(Meter::new(&Arc::new(marks))),
            config,
            epoch: random_u32()?,
            observer,
            counters: Counters::default(),
            origin: Instant::now(),
            origin_wall: SystemTime::now(),
            clock_ms: AtomicU64::new(0),
            next_stream: AtomicU64::new(1),
            streams: Mutex::new(Streams::new()),
            wheel: Mutex::new(Wheel::new()),
            short: Mutex::new(ShortSessions::new()),
            bell: Arc::new(Notify::new()),
        });
        let bell = Arc::clone(&hub.bell);
        runtime.spawn(keeper::keep(Arc::downgrade(&hub), bell));
        Ok(hub)
    }

    /// Milliseconds since the budget was made, at the last tick or reading.
    pub(crate) fn coarse_ms(&self) -> u64 {
        self.clock_ms.load(Ordering::Relaxed)
    }

    /// Reads the clock, and moves the coarse one.
    pub(crate) fn now_ms(&self) -> u64 {
        let now_ms = self.origin.elapsed().as_millis();
        let now_ms = u64::try_from(now_ms).unwrap_or(u64::MAX);
        self.clock_ms.fetch_max(now_ms, Ordering::Relaxed);
        now_ms
    }

    /// What a wall clock showed then, had nobody set it since the budget was made.
    pub(crate) fn wall_time(&self, ms: u64) -> SystemTime {
        self.origin_wall + Duration::from_millis(ms)
    }

    pub(crate) fn next_stream(&self) -> u64 {
        self.next_stream.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn streams(&self) -> MutexGuard<'_, Streams> {
        lock(&self.streams)
    }

    /// All streams. They must not be dropped under the lock of the list.
    pub(crate) fn all(&self) -> Vec<Arc<Stream>> {
        self.streams().values().filter_map(Weak::upgrade).collect()
    }

    /// Wakes the keeper.
    pub(crate) fn ring(&self) {
        self.bell.notify_one();
    }

    /// Writers wait for the session: the keeper makes room for them.
    pub(crate) fn watch(&self, meter: &Arc<Meter>, session: &Weak<dyn Siblings>) {
        let key = Arc::as_ptr(meter).addr();
        let mut short = lock(&self.short);
        short
            .entry(key)
            .or_insert_with(|| Short::new(meter, session));
    }

    pub(crate) fn take_short(&self) -> ShortSessions {
        std::mem::take(&mut *lock(&self.short))
    }

    pub(crate) fn put_short(&self, short: ShortSessions) {
        lock(&self.short).extend(short);
    }

    /// Enters what has a time limit into the wheel, to be asked at `due_ms`.
    pub(crate) fn set_timer(&self, due_ms: u64, what: &Arc<impl Expire + 'static>) {
        let weak: Weak<dyn Expire> = Arc::downgrade(&(Arc::clone(what) as Arc<dyn Expire>));
        let mut timer = lock(what.timer());
        *timer = Some(self.insert_timer(due_ms, weak));
        drop(timer);
        self.ring();
    }

    fn insert_timer(&self, due_ms: u64, what: Weak<dyn Expire>) -> Key {
        lock(&self.wheel).insert(due_ms.div_ceil(tick_ms()), what)
    }

    pub(crate) fn remove_timer(&self, key: Option<Key>) {
        let removed = key.and_then(|key| lock(&self.wheel).remove(key));
        drop(removed);
    }

    pub(crate) fn timers(&self) -> usize {
        lock(&self.wheel).len()
    }

    /// Asks everything that is due.
    pub(crate) fn turn_wheel(&self, now_ms: u64) {
        let mut due = Vec::new();
        lock(&self.wheel).advance(now_ms / tick_ms(), &mut due);
        for what in due.iter().filter_map(Weak::upgrade) {
            // What could not be done is tried again.
            let due_ms = guarded(|| what.expire(now_ms)).unwrap_or(Some(now_ms));
            let mut timer = lock(what.timer());
            // An end takes the key under the same lock.
            *timer = due_ms
                .filter(|_| !what.is_over())
                .map(|due_ms| self.insert_timer(due_ms, Arc::downgrade(&what)));
        }
    }

    /// Tells the observer, if there is one. That it panics is its own affair.
    pub(crate) fn tell(&self, tell: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = &self.observer {
            guarded(|| tell(&**observer));
        }
    }

    pub(crate) fn tell_high(&self, scope: Scope, used: u64, limit: u64) {
        tracing::debug!(%scope, used, limit, "high watermark crossed");
        self.tell(|observer| observer.on_high(scope, used, limit));
    }

    pub(crate) fn tell_full(&self, scope: Scope, used: u64, limit: u64) {
        self.tell(|observer| observer.on_full(scope, used, limit));
    }

    pub(crate) fn tell_shed(&self, bytes: u64) {
        let counter = &self.counters.shed_bytes;
        counter.fetch_add(bytes, Ordering::Relaxed);
        if bytes > 0 {
            self.tell(|observer| observer.on_shed(bytes));
        }
    }

    pub(crate) fn tell_ended(&self, stream: u64, reason: EndReason) {
        let counter = match reason {
            EndReason::Stalled => Some(&self.counters.ended_stalled),
            EndReason::SlowConsumer => Some(&self.counters.ended_slow),
            EndReason::Idle => Some(&self.counters.ended_idle),
            _ => None,
        };
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        tracing::trace!(stream, %reason, "stream ended");
        self.tell(|observer| observer.on_ended(stream, reason));
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // The keeper finds that there is nothing left to keep.
        self.bell.notify_one();
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("config", &self.config)
            .field("meter", &self.meter)
            .finish_non_exhaustive()
    }
}

/// Runs what may run foreign code (an observer, a waker, the drop of a payload),
/// whose panic must not end the keeper, or keep a writer's room. `None` if it
/// panicked, which is logged.
pub(crate) fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    let result = catch_unwind(AssertUnwindSafe(run));
    if result.is_err() {
        tracing::error!("a callback panicked");
    }
    result.ok()
}

#[expect(clippy::cast_possible_truncation, reason = "it is 250")]
const fn tick_ms() -> u64 {
    TICK.as_millis() as u64
}

/// From the operating system.
pub(crate) fn random_u32() -> Result<u32, ConfigError> {
    getrandom::u32().map_err(|_| ConfigError {
        field: "random",
        reason: "the operating system gives no random numbers",
    })
}
