//! Which of several endpoints to use: the less loaded and faster of two that
//! are picked at random.

use crate::{
    error::{ConfigError, Error},
    lease::Lease,
    manager::Manager,
    pool::Pool,
    random::Random,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

mod endpoints;

pub use endpoints::EndpointStats;
use endpoints::{End, Endpoints, Rules};

/// When an endpoint is out of rotation, and for how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BalanceConfig {
    /// Failures in a row that eject an endpoint. Default 5.
    pub failures: u32,
    /// How long it is out at first; each ejection in a row doubles that, up to
    /// ten times. Default `5s`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub ejection: Duration,
    /// The share of endpoints that may be out at a time, in `[0, 1]`. Default
    /// 0.5. Of two or more one may always be out, and one always stays.
    pub max_ejected: f64,
    /// Over what time latency is averaged: what is older counts for less than
    /// 1/e. Default `10s`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub decay: Duration,
}

impl Default for BalanceConfig {
    fn default() -> Self {
        Self {
            failures: 5,
            ejection: Duration::from_secs(5),
            max_ejected: 0.5,
            decay: Duration::from_secs(10),
        }
    }
}

impl BalanceConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that makes no sense, and says why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |holds: bool, field, reason| match holds {
            true => Ok(()),
            false => Err(ConfigError { field, reason }),
        };
        check(self.failures >= 1, "failures", "must be at least 1")?;
        check(
            self.ejection >= Duration::from_millis(1),
            "ejection",
            "must be at least 1ms",
        )?;
        check(
            self.ejection <= crate::DURATION_MAX,
            "ejection",
            "must be at most 30d",
        )?;
        let fits = (0.0..=1.0).contains(&self.max_ejected);
        check(fits, "max_ejected", "must be between 0 and 1")?;
        check(
            self.decay >= Duration::from_millis(1),
            "decay",
            "must be at least 1ms",
        )?;
        check(
            self.decay <= crate::DURATION_MAX,
            "decay",
            "must be at most 30d",
        )
    }
}

/// Pools of equal endpoints as one. Clones share it.
pub struct Balance<M: Manager>(Arc<Inner<M>>);

struct Inner<M: Manager> {
    pools: Vec<Pool<M>>,
    endpoints: Mutex<(Endpoints, Random)>,
}

impl<M: Manager> Clone for Balance<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Manager> Balance<M> {
    /// Spreads over these pools.
    ///
    /// # Errors
    /// There is no pool, or the configuration makes no sense.
    pub fn new(config: &BalanceConfig, pools: Vec<Pool<M>>) -> Result<Self, ConfigError> {
        config.validate()?;
        if pools.is_empty() {
            return Err(ConfigError {
                field: "pools",
                reason: "must be at least one",
            });
        }
        let endpoints = Endpoints::new(Rules::new(config), pools.len());
        Ok(Self(Arc::new(Inner {
            pools,
            endpoints: Mutex::new((endpoints, Random::seeded())),
        })))
    }

    /// A connection to the better of two endpoints picked at random. If there
    /// is none to be had, the failure counts against the endpoint, and the
    /// others are tried, each once.
    ///
    /// # Cancel safety
    /// As [`Pool::get`]. A caller that goes away counts neither for the endpoint
    /// nor against it.
    ///
    /// # Errors
    /// The last endpoint's.
    pub async fn get(&self) -> Result<Balanced<M>, Error> {
        self.get_among(|_| true).await
    }

    /// As [`get`](Self::get), among the endpoints that `fits` allows, by
    /// number.
    ///
    /// # Errors
    /// The last endpoint's; [`Error::Unavailable`] if none fits.
    pub async fn get_among(&self, fits: impl Fn(usize) -> bool) -> Result<Balanced<M>, Error> {
        let mut tried = vec![false; self.0.pools.len()];
        let mut last = Error::Unavailable;
        loop {
            let Some(mut call) = self.begin(|at| !tried[at] && fits(at)) else {
                return Err(last);
            };
            tried[call.endpoint] = true;
            match self.0.pools[call.endpoint].get_owned().await {
                Ok(lease) => {
                    call.end = End::Worked;
                    return Ok(Balanced { lease, call });
                }
                Err(error) => {
                    call.end = End::Failed;
                    last = error;
                }
            }
        }
    }

    fn begin(&self, fits: impl Fn(usize) -> bool) -> Option<Call<M>> {
        let mut endpoints = self.0.endpoints.lock();
        let (endpoints, random) = &mut *endpoints;
        let began_ns = self.now_ns();
        let endpoint = endpoints.pick(fits, random, began_ns)?;
        Some(Call {
            balance: self.clone(),
            endpoint,
            began_ns,
            end: End::Unknown,
        })
    }

    /// All pools share the first one's origin of time here.
    fn now_ns(&self) -> u64 {
        self.0.pools[0].0.now_ns()
    }

    /// Takes an endpoint out, or puts it back, whatever it did: for those who
    /// know from elsewhere, as from a circuit breaker. One that is out this way
    /// does not count against [`max_ejected`](BalanceConfig::max_ejected).
    pub fn set_enabled(&self, endpoint: usize, enabled: bool) {
        self.0.endpoints.lock().0.set_enabled(endpoint, enabled);
    }

    /// The pools, in the order in which they were given.
    #[must_use]
    pub fn pools(&self) -> &[Pool<M>] {
        &self.0.pools
    }

    /// What is known of each endpoint.
    #[must_use]
    pub fn stats(&self) -> Vec<EndpointStats> {
        self.0.endpoints.lock().0.stats(self.now_ns())
    }
}

/// One use of an endpoint; its end is what the endpoint is judged by.
struct Call<M: Manager> {
    balance: Balance<M>,
    endpoint: usize,
    began_ns: u64,
    /// A caller that goes away before it has a connection says nothing.
    end: End,
}

impl<M: Manager> Drop for Call<M> {
    fn drop(&mut self) {
        let now_ns = self.balance.now_ns();
        let mut endpoints = self.balance.0.endpoints.lock();
        endpoints
            .0
            .end(self.endpoint, self.end, self.began_ns, now_ns);
    }
}

/// A connection of one of the endpoints. The time until it is dropped counts as
/// the endpoint's latency.
#[must_use = "dropping it gives the connection back"]
pub struct Balanced<M: Manager> {
    // In this order: the connection is back when the call ends.
    lease: Lease<'static, M>,
    call: Call<M>,
}

impl<M: Manager> Balanced<M> {
    /// The endpoint's number.
    #[must_use]
    pub fn endpoint(&self) -> usize {
        self.call.endpoint
    }

    /// Counts against the endpoint when this is dropped.
    pub fn fail(&mut self) {
        self.call.end = End::Failed;
    }
}

impl<M: Manager> Deref for Balanced<M> {
    type Target = Lease<'static, M>;

    fn deref(&self) -> &Lease<'static, M> {
        &self.lease
    }
}

impl<M: Manager> DerefMut for Balanced<M> {
    fn deref_mut(&mut self) -> &mut Lease<'static, M> {
        &mut self.lease
    }
}

impl<M: Manager> fmt::Debug for Balanced<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balanced")
            .field("endpoint", &self.call.endpoint)
            .finish_non_exhaustive()
    }
}

impl<M: Manager> fmt::Debug for Balance<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balance")
            .field("pools", &self.0.pools)
            .finish_non_exhaustive()
    }
}
