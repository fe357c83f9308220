//! One load for all who miss a key at once.

use crate::{
    Answer, Class, Error, Hit, Inserted, LoadEnd, Loaded, Lookup, Origin, Source, Tag, Ticket,
    classes::ClassRules,
    fetch::join_tags,
    flight::{Joined, Lead, Turn, began_after},
    freshness::Reading,
    inner::Inner,
    outcome::{Ending, Outcome},
};
use std::{borrow::Cow, future::poll_fn, hash::Hash, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};

/// What a caller that missed asks for.
#[derive(Clone)]
pub(crate) struct Want<'a, K: Clone> {
    pub(crate) key: Cow<'a, K>,
    pub(crate) hash: u64,
    pub(crate) class: Class,
    /// Known before the load.
    pub(crate) tags: Vec<Tag>,
    /// Their names, for the second tier if there is one.
    pub(crate) names: Vec<String>,
    /// When the caller came.
    pub(crate) began: Ticket,
    /// Only a load that begins from now on will do.
    pub(crate) renew: bool,
    /// The caller's load may have read the source since `began`.
    pub(crate) begun: Option<Begun>,
}

/// A load that began before its caller knew that there is none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    /// What the second tier knew then.
    pub(crate) born: Option<u64>,
}

impl<K: Clone> Want<'_, K> {
    pub(crate) fn to_owned(&self) -> Want<'static, K> {
        Want {
            key: Cow::Owned(self.key.as_ref().clone()),
            tags: self.tags.clone(),
            names: self.names.clone(),
            ..*self
        }
    }
}

type Result<V, E> = std::result::Result<Answer<V>, Error<E>>;

/// What a caller that missed has to do.
pub(crate) enum Acquired<'a, K, V, E> {
    /// Nothing: somebody else's load answers it, or an error that was kept.
    Answered(Result<V, E>),
    /// To load for all.
    Leads(Lead<'a, K, Outcome<V>>),
}

impl<K, V> Inner<K, V>
where
    K: Hash + Eq + Clone,
    V: Clone,
{
    /// Loads, or waits for the one who does. `before` is what the value replaces.
    pub(crate) async fn fetch<F, L, E>(
        &self,
        want: &Want<'_, K>,
        before: Option<&Hit<V>>,
        load: impl FnOnce() -> F,
    ) -> Result<V, E>
    where
        F: Future<Output = std::result::Result<L, E>>,
        L: Into<Loaded<V>>,
        E: Send + Sync + 'static,
    {
        match self.acquire(want).await {
            Acquired::Answered(result) => result,
            Acquired::Leads(lead) => self.lead(lead, want, before, load).await,
        }
    }

    /// Waits for whoever loads already, or takes the lead. Holds no load, so that
    /// ten thousand who wait are small.
    pub(crate) async fn acquire<'a, E>(&'a self, want: &Want<'_, K>) -> Acquired<'a, K, V, E>
    where
        E: Send + Sync + 'static,
    {
        if let Some(error) = self.kept_error(want) {
            self.counters.error_hits.add_one();
            return Acquired::Answered(Err(Error::Load(error)));
        }
        loop {
            let may_join = |ticket| !want.renew && self.may_serve(ticket, Some(&want.tags), want);
            let joined = self
                .flights
                .join(want.hash, &want.key, want.began, may_join);
            let mut seat = match joined {
                Joined::Lead(lead) => return Acquired::Leads(lead),
                Joined::Follow(seat) => seat,
            };
            match poll_fn(|cx| seat.poll(cx, |outcome| self.read(outcome, want))).await {
                Turn::Landed(Some(result)) => {
                    self.counters.coalesced.add_one();
                    return Acquired::Answered(result);
                }
                // What the leader brought may not be served to this caller.
                Turn::Landed(None) => {}
                Turn::Lead(lead) => return Acquired::Leads(lead),
            }
        }
    }

    /// What a load brought, if it may be served to this caller.
    fn read<E>(&self, outcome: &Outcome<V>, want: &Want<'_, K>) -> Option<Result<V, E>>
    where
        E: Send + Sync + 'static,
    {
        if !self.may_serve(outcome.ticket, outcome.tags.as_deref(), want) {
            return None;
        }
        match &outcome.ending {
            Ending::Loaded(value) => Some(Ok(Answer::new(value.clone(), Source::Shared))),
            // An error of another type is not this caller's.
            Ending::Failed(error) => {
                let error = Arc::clone(error).downcast().ok()?;
                Some(Err(Error::Load(error)))
            }
            Ending::TimedOut { limit } => Some(Err(Error::DeadlineExceeded { limit: *limit })),
        }
    }

    /// Nothing was invalidated between the load's beginning and the caller's, or
    /// nothing of what was is the value's.
    fn may_serve(&self, load: Ticket, tags: Option<&[Tag]>, want: &Want<'_, K>) -> bool {
        began_after(load, want.began)
            || tags.is_some_and(|tags| self.store.is_live(load, &want.key, tags))
    }

    /// Loads, stores, and gives the outcome to all who wait.
    pub(crate) async fn lead<F, L, E>(
        &self,
        lead: Lead<'_, K, Outcome<V>>,
        want: &Want<'_, K>,
        before: Option<&Hit<V>>,
        load: impl FnOnce() -> F,
    ) -> Result<V, E>
    where
        F: Future<Output = std::result::Result<L, E>>,
        L: Into<Loaded<V>>,
        E: Send + Sync + 'static,
    {
        // Before the second look and before the source is read.
        let ticket = match want.begun {
            Some(_) => want.began,
            None => self.store.ticket(),
        };
        if let Some(value) = self.second_look(want) {
            lead.land(|| Outcome {
                ending: Ending::Loaded(value.clone()),
                ticket,
                tags: None,
            });
            self.counters.coalesced.add_one();
            return Ok(Answer::new(value, Source::Shared));
        }
        lead.begin(ticket);
        let mut born = None;
        if let Some(tier) = &self.tier {
            born = tier.born();
            // What is renewed, or has expired here, comes from its source.
            if !want.renew && before.is_none() {
                let (found, looked) = Box::pin(tier.look(&want.key)).await;
                if let Some(loaded) = found {
                    let (value, _) = self.land(lead, want, loaded, ticket);
                    return Ok(Answer::new(value, Source::Remote));
                }
                born = looked.born;
            }
        }
        if let Some(begun) = want.begun {
            born = begun.born;
        }
        self.counters.loads.add_one();
        let class = self.classes.rules(want.class);
        let started = self.observer.as_ref().map(|_| Instant::now());
        let loaded = match class.hard {
            None => load().await,
            // Boxed: a timer is large, and most loads have none.
            Some(limit) => match Box::pin(timeout(limit, load())).await {
                Ok(loaded) => loaded,
                Err(_) => {
                    self.counters.load_timeouts.add_one();
                    self.ended(LoadEnd::TimedOut, started);
                    lead.land(|| Outcome {
                        ending: Ending::TimedOut { limit },
                        ticket,
                        tags: Some(want.tags.clone().into()),
                    });
                    return Err(Error::DeadlineExceeded { limit });
                }
            },
        };
        match loaded {
            Ok(loaded) => {
                let loaded = loaded.into();
                if let Some(before) = before {
                    self.learn(class, want.hash, before, &loaded.value);
                }
                let value = self.land_loaded(lead, want, loaded, (ticket, born), started);
                Ok(Answer::new(value, Source::Loaded))
            }
            Err(error) => {
                self.ended(LoadEnd::Failed, started);
                Err(Error::Load(self.fail(lead, want, error, ticket)))
            }
        }
    }

    /// Somebody may have stored the value between this caller's miss and its lead.
    fn second_look(&self, want: &Want<'_, K>) -> Option<V> {
        if want.renew {
            return None;
        }
        let now_ms = self.clock.now_ms();
        self.confirm_lease(now_ms);
        match self.store.get(want.key.as_ref(), now_ms) {
            Lookup::Fresh(hit) => {
                self.counters.second_hits.add_one();
                // One that is due was not loaded just now.
                let reading = self.reading(|| want.hash, want.class, &hit);
                (reading == Reading::Fresh).then_some(hit.value)
            }
            Lookup::Stale(_) => {
                self.counters.second_stale.add_one();
                None
            }
            Lookup::Miss => {
                self.counters.second_misses.add_one();
                None
            }
        }
    }

    /// From the source: the second tier gets it if the first one takes it.
    fn land_loaded(
        &self,
        lead: Lead<'_, K, Outcome<V>>,
        want: &Want<'_, K>,
        loaded: Loaded<V>,
        (ticket, born): (Ticket, Option<u64>),
        started: Option<Instant>,
    ) -> V {
        let tier = self.tier.as_ref();
        let record = tier.and_then(|tier| tier.record(&want.key, &loaded, &want.names, born));
        let (value, stored) = self.land(lead, want, loaded, ticket);
        if let (true, Some(tier), Some(record)) = (stored, tier, record) {
            tier.store(record);
        }
        let ended = if stored {
            LoadEnd::Stored
        } else {
            LoadEnd::NotStored
        };
        self.ended(ended, started);
        value
    }

    /// Stores, and gives the value to all who wait; whether it was stored.
    pub(crate) fn land(
        &self,
        lead: Lead<'_, K, Outcome<V>>,
        want: &Want<'_, K>,
        loaded: Loaded<V>,
        ticket: Ticket,
    ) -> (V, bool) {
        let tags = join_tags(self.tags_of(&loaded), &want.tags);
        let value = loaded.value.clone();
        let stored = loaded.kept && !self.is_bypassed() && {
            let key = want.key.as_ref().clone();
            let origin = (ticket, Origin::Load);
            self.keep(key, loaded, &tags, want.class, origin) == Inserted::Stored
        };
        lead.land(|| Outcome {
            ending: Ending::Loaded(value.clone()),
            ticket,
            tags: Some(tags.into()),
        });
        (value, stored)
    }

    fn fail<E: Send + Sync + 'static>(
        &self,
        lead: Lead<'_, K, Outcome<V>>,
        want: &Want<'_, K>,
        error: E,
        ticket: Ticket,
    ) -> Arc<E> {
        self.counters.load_errors.add_one();
        let error = Arc::new(error);
        let ttl_ms = u64::from(self.classes.rules(want.class).error_ttl_ms);
        if let Some(failures) = self.failures.as_ref().filter(|_| ttl_ms > 0) {
            let until_ms = self.clock.now_ms() + ttl_ms;
            let key = want.key.as_ref().clone();
            failures.keep(key, error.clone(), ticket, &want.tags, until_ms);
        }
        lead.land(|| Outcome {
            ending: Ending::Failed(error.clone()),
            ticket,
            tags: Some(want.tags.clone().into()),
        });
        error
    }

    /// An error that was kept, is still live, and is of the caller's type. Which tags
    /// the value would have had is not known, so any that are invalidated end it.
    pub(crate) fn kept_error<E>(&self, want: &Want<'_, K>) -> Option<Arc<E>>
    where
        E: Send + Sync + 'static,
    {
        let failures = self.failures.as_ref().filter(|_| !want.renew)?;
        let is_live = |ticket: Ticket, tags: &[Tag]| {
            self.store.epochs().now() == ticket.epoch && self.store.is_live(ticket, &want.key, tags)
        };
        let error = failures.get(&want.key, self.clock.now_ms(), is_live)?;
        error.downcast().ok()
    }

    fn learn(&self, class: &ClassRules, group: u64, before: &Hit<V>, value: &V) {
        let Some(differs) = self.differs.as_ref().filter(|_| class.is_adaptive()) else {
            return;
        };
        let changed = differs(&before.value, value);
        class.observe(group, before.age_ms, before.fresh_for_ms, changed);
    }

    fn ended(&self, ended: LoadEnd, started: Option<Instant>) {
        let took = started.map_or(Duration::ZERO, |started| started.elapsed());
        self.report(|observer| observer.on_load(ended, took));
    }

    /// Loads, and leaves no trace in the cache.
    pub(crate) async fn load_past<F, L, E>(
        &self,
        class: Class,
        load: impl FnOnce() -> F,
    ) -> Result<V, E>
    where
        F: Future<Output = std::result::Result<L, E>>,
        L: Into<Loaded<V>>,
    {
        self.counters.bypassed.add_one();
        let loaded = match self.classes.rules(class).hard {
            None => load().await,
            Some(limit) => Box::pin(timeout(limit, load()))
                .await
                .map_err(|_| Error::DeadlineExceeded { limit })?,
        };
        let loaded = loaded.map_err(|error| Error::Load(Arc::new(error)))?;
        Ok(Answer::new(loaded.into().value, Source::Bypassed))
    }
}
