//! The handle that callers share.

use crate::{
    Config, ConfigError, Events, Observer, Permit, Rejected, State, Stats,
    alarm::Alarm,
    clock::Clock,
    config::to_ns,
    core::Core,
    event::EventSender,
    limit::Limiter,
    machine::{Event, Forced, Machine, NEVER, Reply, Step},
    random,
    stats::Counters,
};
use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::Notify;

/// A circuit breaker for one dependency. Cloning it is cheap; all clones are
/// the same breaker.
///
/// An allowed call writes one shared counter, and a refused one another; locks
/// are taken only by probes, by changes of state, by answers with a Retry-After
/// and by calls that leave a full concurrency limit.
///
/// # Runtime
/// When it opens inside a tokio runtime, a timer task ends the open life, and
/// refusing a call reads no clock but now and then: should the runtime stall,
/// or be driven only while it runs a caller, the end of the delay is found
/// within as many refusals as there were in this open life, and within 64 at
/// the most. Outside of a runtime each refused call reads the clock.
///
/// A runtime in which it opens must have time enabled. In one without, the
/// timer task panics, which the panic hook reports, and the breaker goes on as
/// outside of a runtime.
#[derive(Clone)]
pub struct Breaker(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) core: Core,
    /// No clock per call, no limit and no observer: the short path.
    pub(crate) plain: bool,
    pub(crate) times_calls: bool,
    pub(crate) stamps_results: bool,
    pub(crate) slow_after_ns: u64,
    pub(crate) probes_max: u16,
    pub(crate) clock: Clock,
    pub(crate) limiter: Option<Limiter>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) alarm: Alarm,
    pub(crate) counters: Counters,
    events: EventSender,
    /// A change of state, or a free slot or place.
    pub(crate) changed: Notify,
}

impl Breaker {
    /// A closed breaker.
    ///
    /// # Errors
    /// [`Config::validate`] found a field that makes no sense.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self::assemble(config, None))
    }

    /// A closed breaker that tells `observer` what it does.
    ///
    /// # Errors
    /// [`Config::validate`] found a field that makes no sense.
    pub fn with_observer(
        config: &Config,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self::assemble(config, Some(observer)))
    }

    /// A breaker from a configuration that was found valid.
    pub(crate) fn assemble(config: &Config, observer: Option<Arc<dyn Observer>>) -> Self {
        let limiter = Limiter::build(&config.limit);
        let watches_slow = config.slow_rate.is_some();
        let times_calls = watches_slow || limiter.as_ref().is_some_and(Limiter::is_adaptive);
        let stamps_results =
            times_calls || matches!(config.window, crate::WindowConfig::Time { .. });
        let machine = Machine::new(
            config.half_open.rules(),
            config.open.backoff(),
            random::seed(),
        );
        let core = Core::new(
            machine,
            config.thresholds(),
            config.window.build(watches_slow),
        );
        Self(Arc::new(Shared {
            core,
            plain: !stamps_results && limiter.is_none() && observer.is_none(),
            times_calls,
            stamps_results,
            slow_after_ns: if watches_slow {
                to_ns(config.slow_after)
            } else {
                NEVER
            },
            probes_max: config.half_open.probes_max,
            clock: Clock::start(config.clock),
            limiter,
            observer,
            alarm: Alarm::default(),
            counters: Counters::default(),
            events: EventSender::new(config.events_capacity),
            changed: Notify::new(),
        }))
    }

    /// Asks to make a call, and returns at once. The permit borrows the
    /// breaker, which spares two atomic writes; see
    /// [`try_acquire_owned`](Self::try_acquire_owned) for one that does not.
    ///
    /// # Errors
    /// Why the call must not be made now.
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit<&Self>, Rejected> {
        Permit::acquire(self)
    }

    /// Like [`try_acquire`](Self::try_acquire), with a permit that can move to
    /// another task.
    ///
    /// # Errors
    /// Why the call must not be made now.
    #[inline]
    pub fn try_acquire_owned(&self) -> Result<Permit<Self>, Rejected> {
        self.try_acquire().map(Permit::into_owned)
    }

    /// The state at this moment. An open breaker whose delay has passed is
    /// reported as open until its timer or the next call looks.
    #[must_use]
    pub fn state(&self) -> State {
        self.0.core.word().state()
    }

    /// Holds the breaker open: every call is refused until
    /// [`force_close`](Self::force_close) or [`disable`](Self::disable).
    pub fn force_open(&self) {
        self.step(Event::Force(Forced::Open));
    }

    /// Closes the breaker whatever its state, with empty windows and the first
    /// reopen delay; from there on it works as usual. On a closed breaker this
    /// is a reset.
    pub fn force_close(&self) {
        self.step(Event::Force(Forced::Closed));
    }

    /// Lets every call pass unwatched until [`force_close`](Self::force_close)
    /// or [`force_open`](Self::force_open). A concurrency limit stays in force.
    pub fn disable(&self) {
        self.step(Event::Force(Forced::Disabled));
    }

    /// Subscribes to state changes from now on.
    #[must_use]
    pub fn subscribe(&self) -> Events {
        self.0.events.subscribe()
    }

    /// Whether a call would be let through, by the state and by the concurrency
    /// limit. May read the clock.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.is_limited() && self.state_lets_pass(|| self.0.clock.now_ns())
    }

    fn is_limited(&self) -> bool {
        self.0.limiter.as_ref().is_some_and(Limiter::is_full)
    }

    fn state_lets_pass(&self, now_ns: impl FnOnce() -> u64) -> bool {
        self.may_pass(self.0.core.word()) || self.0.core.due_ns() <= now_ns()
    }

    /// Waits until [`is_ready`](Self::is_ready). Another caller may be faster:
    /// one free place under the limit wakes all who wait for it.
    ///
    /// # Cancel safety
    /// Holds nothing: it can be dropped at any time.
    ///
    /// # Panics
    /// If it has to wait for a delay outside of a tokio runtime with time
    /// enabled.
    pub async fn ready(&self) {
        loop {
            // Made before the check, so that a change in between wakes it.
            let changed = self.0.changed.notified();
            let now_ns = self.0.clock.now_ns();
            let lets_pass = self.state_lets_pass(|| now_ns);
            if lets_pass && !self.is_limited() {
                return;
            }
            match self.0.core.due_ns() {
                // Of time alone nothing more is to be expected.
                due_ns if lets_pass || due_ns == NEVER => changed.await,
                due_ns => {
                    let wait = at_least_a_tick(due_ns.saturating_sub(now_ns));
                    let _ = tokio::time::timeout(wait, changed).await;
                }
            }
        }
    }

    /// The counters at this moment. Takes no lock; reads the clock.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let Shared {
            core,
            counters,
            limiter,
            clock,
            events,
            ..
        } = &*self.0;
        let now_ns = clock.now_ns();
        let word = core.word();
        let failures = counters.failures.value();
        Stats {
            state: word.state(),
            generation: word.generation(),
            window: core.tally(now_ns),
            consecutive_failures: core.run(),
            successes: core.recorded().saturating_sub(failures),
            failures,
            slow: counters.slow.value(),
            overloads: counters.overloads.value(),
            ignored: counters.ignored.value(),
            cancelled: counters.cancelled.value(),
            stale: counters.stale.value(),
            rejected: counters.rejected.sum(),
            limited: counters.limited.value(),
            probes: counters.probes.value(),
            probes_expired: counters.probes_expired.value(),
            opened: counters.opened.value(),
            closed: counters.closed.value(),
            events_lost: events.lost(),
            in_flight: limiter.as_ref().map_or(0, Limiter::in_flight),
            limit: limiter.as_ref().map(Limiter::limit),
            reopens_in: (word.state() == State::Open)
                .then(|| Duration::from_nanos(core.due_ns().saturating_sub(now_ns))),
        }
    }

    /// Runs one event at the present time, sets the timer, and tells everybody.
    /// The observer comes last, so that its panic leaves nothing undone.
    pub(crate) fn step(&self, event: Event) -> Reply {
        let now_ns = self.0.clock.now_ns();
        let (step, due_changed) = self.step_at(event, now_ns);
        if due_changed && self.0.core.due_ns() != NEVER {
            self.0.alarm.set(ring(Arc::downgrade(&self.0)));
        }
        self.report(&step);
        step.reply
    }

    fn step_at(&self, event: Event, now_ns: u64) -> (Step, bool) {
        let Shared {
            core,
            counters,
            events,
            ..
        } = &*self.0;
        let (step, due_changed) = core.step(event, now_ns, |transition| events.send(transition));
        counters.probes_expired.add(u64::from(step.expired));
        counters
            .probes
            .add(u64::from(matches!(step.reply, Reply::Probe(_))));
        if let Some(transition) = &step.transition {
            if transition.to == State::Open {
                counters.rejected.mark();
            }
            let opened = matches!(transition.to, State::Open | State::ForcedOpen);
            counters.opened.add(u64::from(opened));
            counters
                .closed
                .add(u64::from(transition.to == State::Closed));
        }
        let slot_freed = step.expired > 0 || matches!(event, Event::Dropped { .. });
        if slot_freed || step.transition.is_some() {
            self.0.changed.notify_waiters();
        }
        (step, due_changed)
    }

    fn report(&self, step: &Step) {
        let Some(transition) = &step.transition else {
            return;
        };
        tracing::debug!(
            from = transition.from.as_str(),
            to = transition.to.as_str(),
            cause = ?transition.cause,
            generation = transition.generation,
            "circuit breaker changed its state"
        );
        if let Some(observer) = &self.0.observer {
            observer.on_transition(transition);
        }
    }
}

/// Sleeps until the machine is due and ticks it, until nothing is due. Holds
/// the breaker only while it ticks.
async fn ring(breaker: Weak<Shared>) {
    while let Some(shared) = breaker.upgrade() {
        let (due_ns, now_ns) = (shared.core.due_ns(), shared.clock.now_ns());
        if due_ns == NEVER {
            return;
        }
        if due_ns <= now_ns {
            let breaker = Breaker(shared);
            let (step, _) = breaker.step_at(Event::Tick, now_ns);
            breaker.report(&step);
            continue;
        }
        drop(shared);
        tokio::time::sleep(at_least_a_tick(due_ns - now_ns)).await;
    }
}

/// A coarse clock lags behind the timer: never spin until it has caught up.
fn at_least_a_tick(wait_ns: u64) -> Duration {
    Duration::from_nanos(wait_ns).max(Duration::from_millis(1))
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `RegistryConfig::keys_max` says 1.7 KiB: this, two words ahead of it in
    /// their own cache lines, the window, and the table's entry.
    #[test]
    fn a_breaker_takes_no_more_memory_than_documented() {
        let bytes = size_of::<Shared>() + 128;
        assert!(bytes <= 1_536, "{bytes}");
    }
}
