//! What only a second tier needs of the facade: many keys in one round trip, and
//! reads that are as good as asking everybody.

use crate::{
    Answer, Cache, Class, Error, Loaded, Lookup, Origin, Source, Ticket,
    fetch::join_tags,
    freshness::Reading,
    inner::Inner,
    load::{Acquired, Want},
};
use std::hash::Hash;

impl<K, V> Cache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The values of `keys` that a tier has, in their order: those of the first
    /// tier, and those of the second by one round trip, which the first one gets,
    /// too. Loads nothing, and waits no longer than
    /// [`RemoteConfig::deadline`](crate::RemoteConfig::deadline).
    ///
    /// # Cancel safety
    /// Dropping the future loses the look into the second tier, and nothing else.
    pub async fn get_many(&self, keys: &[K]) -> Vec<Option<Answer<V>>> {
        let hit = |key| {
            self.try_get(key)
                .map(|value| Answer::new(value, Source::Hit))
        };
        let mut answers: Vec<_> = keys.iter().map(hit).collect();
        let Some(tier) = self
            .inner
            .tier
            .as_ref()
            .filter(|_| !self.inner.is_bypassed())
        else {
            return answers;
        };
        let missing: Vec<usize> = (0..keys.len())
            .filter(|at| answers[*at].is_none())
            .collect();
        if missing.is_empty() {
            return answers;
        }
        let ticket = self.ticket();
        let asked: Vec<K> = missing.iter().map(|at| keys[*at].clone()).collect();
        let found = Box::pin(tier.look_many(&asked)).await;
        for ((at, key), loaded) in missing.into_iter().zip(asked).zip(found) {
            answers[at] = loaded.map(|loaded| {
                let value = loaded.value.clone();
                self.inner.backfill(key, loaded, ticket);
                Answer::new(value, Source::Remote)
            });
        }
        answers
    }
}

impl<K, V> Inner<K, V>
where
    K: Hash + Eq + Clone,
    V: Clone,
{
    /// What the second tier had when it was asked, after `ticket` was taken.
    fn backfill(&self, key: K, loaded: Loaded<V>, ticket: Ticket) {
        let tags = self.tags_of(&loaded);
        self.keep(key, loaded, &tags, Class::DEFAULT, (ticket, Origin::Load));
    }

    /// See [`Fetch::strict`](crate::Fetch::strict).
    pub(crate) async fn fetch_strict<F, L, E>(
        &self,
        want: &Want<'_, K>,
        load: impl FnOnce() -> F,
    ) -> Result<Answer<V>, Error<E>>
    where
        F: Future<Output = Result<L, E>>,
        L: Into<Loaded<V>>,
        E: Send + Sync + 'static,
    {
        let ticket = self.store.ticket();
        if let Some(tier) = &self.tier {
            let (found, looked) = tier.look(&want.key).await;
            // The first tier knows all that the second did when it was asked.
            if looked.current
                && let Lookup::Fresh(hit) = self.store.get(want.key.as_ref(), self.clock.now_ms())
                && self.reading(|| want.hash, want.class, &hit) == Reading::Fresh
            {
                return Ok(Answer::new(hit.value, Source::Hit));
            }
            if let Some(loaded) = found {
                let value = loaded.value.clone();
                let tags = join_tags(self.tags_of(&loaded), &want.tags);
                let key = want.key.as_ref().clone();
                self.keep(key, loaded, &tags, want.class, (ticket, Origin::Load));
                return Ok(Answer::new(value, Source::Remote));
            }
        }
        match self.acquire(want).await {
            Acquired::Answered(result) => result,
            Acquired::Leads(lead) => self.lead(lead, want, None, load).await,
        }
    }
}
