//! Loads in the background.

use crate::{
    Answer, Cache, Error, Hit, Loaded,
    flight::{Joined, Lead, Parked},
    inner::Inner,
    load::Want,
    outcome::Outcome,
    tasks::Room,
};
use std::{hash::Hash, sync::Arc};

/// A lead and the cache that it belongs to; abandoned if its task never runs.
struct Carried<K, V> {
    inner: Arc<Inner<K, V>>,
    parked: Option<Parked<Outcome<V>>>,
}

impl<K, V> Carried<K, V> {
    fn resume(&mut self) -> Option<Lead<'_, K, Outcome<V>>> {
        let parked = self.parked.take()?;
        Some(self.inner.flights.resume(parked))
    }
}

impl<K, V> Drop for Carried<K, V> {
    fn drop(&mut self) {
        drop(self.resume());
    }
}

impl<K, V> Cache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Loads in the background, unless somebody does already, the last error is
    /// kept, or there are as many such loads as may be.
    pub(crate) fn refresh<F, L, E>(
        &self,
        want: &Want<'_, K>,
        before: Option<Hit<V>>,
        load: impl FnOnce() -> F + Send + 'static,
    ) where
        F: Future<Output = Result<L, E>> + Send + 'static,
        L: Into<Loaded<V>> + 'static,
        E: Send + Sync + 'static,
    {
        let inner = &self.inner;
        if inner.kept_error::<E>(want).is_some() {
            return;
        }
        let joined = inner
            .flights
            .join(want.hash, &want.key, want.began, |_| true);
        let Joined::Lead(lead) = joined else { return };
        let Some(room) = self.tasks.permit() else {
            inner.shed();
            return;
        };
        inner.counters.refreshes.add_one();
        // Whoever asks next sees the value, or the error by a load of its own.
        self.lead_apart(room, lead, want, before, load, |_: Result<_, Error<E>>| {});
    }

    /// Leads in the background; `done` hears what came of it.
    pub(crate) fn lead_apart<F, L, E>(
        &self,
        room: Room,
        lead: Lead<'_, K, Outcome<V>>,
        want: &Want<'_, K>,
        before: Option<Hit<V>>,
        load: impl FnOnce() -> F + Send + 'static,
        done: impl FnOnce(Result<Answer<V>, Error<E>>) + Send + 'static,
    ) where
        F: Future<Output = Result<L, E>> + Send + 'static,
        L: Into<Loaded<V>> + 'static,
        E: Send + Sync + 'static,
    {
        let inner = Arc::clone(&self.inner);
        let mut carried = Carried {
            parked: Some(lead.park()),
            inner: Arc::clone(&inner),
        };
        let want = want.to_owned();
        self.tasks.spawn(room, async move {
            let Some(lead) = carried.resume() else { return };
            done(inner.lead(lead, &want, before.as_ref(), load).await);
        });
    }
}
