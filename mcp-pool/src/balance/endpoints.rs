//! What is known of each endpoint, and whom to use, as functions of (state,
//! event, now).

use super::BalanceConfig;
use crate::{clock::to_ns, random::Random};
use serde::Serialize;
use std::time::Duration;

/// Each ejection in a row doubles the time, up to so many doublings.
const DOUBLINGS_MAX: u32 = 10;

#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    failures: u32,
    ejection_ns: u64,
    max_ejected: f64,
    decay_ns: f64,
}

impl Rules {
    pub(super) fn new(config: &BalanceConfig) -> Self {
        Self {
            failures: config.failures,
            ejection_ns: to_ns(config.ejection),
            max_ejected: config.max_ejected,
            decay_ns: to_ns(config.decay) as f64,
        }
    }
}

#[derive(Debug, Clone)]
struct Endpoint {
    enabled: bool,
    in_flight: usize,
    latency_ns: f64,
    measured_ns: u64,
    failures: u32,
    /// Ejections without a success between them.
    ejections: u32,
    ejected_until_ns: u64,
}

/// What is known of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EndpointStats {
    /// Uses at work.
    pub in_flight: usize,
    /// The moving average of their time.
    pub latency: Duration,
    /// Failures since the last success.
    pub failures: u32,
    /// Whether it is out of rotation, for its failures or by command.
    pub ejected: bool,
}

#[derive(Debug)]
pub(super) struct Endpoints {
    rules: Rules,
    all: Vec<Endpoint>,
}

impl Endpoints {
    pub(super) fn new(rules: Rules, count: usize) -> Self {
        let endpoint = Endpoint {
            enabled: true,
            in_flight: 0,
            latency_ns: 0.0,
            measured_ns: 0,
            failures: 0,
            ejections: 0,
            ejected_until_ns: 0,
        };
        Self {
            rules,
            all: vec![endpoint; count],
        }
    }

    /// The cheaper of two that are picked at random among those that fit and
    /// are in rotation; if none is, among those that fit and are enabled, since
    /// something has to be tried; then among those that fit.
    pub(super) fn pick(
        &mut self,
        fits: impl Fn(usize) -> bool,
        random: &mut Random,
        now_ns: u64,
    ) -> Option<usize> {
        let choose = |wanted: &dyn Fn(&Endpoint) -> bool| -> Vec<usize> {
            let all = self.all.iter().enumerate();
            let chosen = all.filter(|(at, endpoint)| fits(*at) && wanted(endpoint));
            chosen.map(|(at, _)| at).collect()
        };
        let mut among = choose(&|endpoint| endpoint.is_in(now_ns));
        if among.is_empty() {
            among = choose(&|endpoint| endpoint.enabled);
        }
        if among.is_empty() {
            among = choose(&|_| true);
        }
        let picked = match among[..] {
            [] => return None,
            [only] => only,
            _ => {
                let first = below(random, among.len());
                // Another one, each with the same chance.
                let other = (first + 1 + below(random, among.len() - 1)) % among.len();
                let (first, other) = (among[first], among[other]);
                if self.cost(other) < self.cost(first) {
                    other
                } else {
                    first
                }
            }
        };
        self.all[picked].in_flight += 1;
        Some(picked)
    }

    /// How long one more use may take: what is at work by what it takes.
    fn cost(&self, at: usize) -> f64 {
        let endpoint = &self.all[at];
        // One that was never measured is as good as its load.
        (endpoint.in_flight + 1) as f64 * endpoint.latency_ns.max(1.0)
    }

    pub(super) fn end(&mut self, at: usize, failed: bool, began_ns: u64, now_ns: u64) {
        let rules = self.rules;
        let may_eject = self.may_eject(at, now_ns);
        let endpoint = &mut self.all[at];
        endpoint.in_flight -= 1;
        if !failed {
            endpoint.failures = 0;
            endpoint.ejections = 0;
            endpoint.ejected_until_ns = 0;
            endpoint.measure(
                now_ns.saturating_sub(began_ns) as f64,
                now_ns,
                rules.decay_ns,
            );
            return;
        }
        endpoint.failures = endpoint.failures.saturating_add(1);
        // After an ejection the first failure is enough.
        let limit = if endpoint.ejections > 0 {
            1
        } else {
            rules.failures
        };
        if endpoint.failures >= limit && may_eject && endpoint.is_in(now_ns) {
            let doublings = endpoint.ejections.min(DOUBLINGS_MAX);
            let ejection_ns = rules.ejection_ns.saturating_mul(1 << doublings);
            endpoint.ejected_until_ns = now_ns.saturating_add(ejection_ns);
            endpoint.ejections = endpoint.ejections.saturating_add(1);
            endpoint.failures = 0;
        }
    }

    /// Whether one more may be out. Of two or more one always may, and one
    /// always stays.
    fn may_eject(&self, at: usize, now_ns: u64) -> bool {
        let others = self
            .all
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != at);
        let others = others.map(|(_, endpoint)| endpoint);
        let out = others
            .clone()
            .filter(|other| other.ejected_until_ns > now_ns)
            .count();
        let stays = others.clone().any(|other| other.is_in(now_ns));
        let share = (out + 1) as f64 / self.all.len() as f64;
        stays && (out == 0 || share <= self.rules.max_ejected)
    }

    pub(super) fn set_enabled(&mut self, at: usize, enabled: bool) {
        if let Some(endpoint) = self.all.get_mut(at) {
            endpoint.enabled = enabled;
        }
    }

    pub(super) fn stats(&self, now_ns: u64) -> Vec<EndpointStats> {
        let all = self.all.iter().map(|endpoint| EndpointStats {
            in_flight: endpoint.in_flight,
            latency: Duration::from_secs_f64(endpoint.latency_ns.clamp(0.0, 1e18) / 1e9),
            failures: endpoint.failures,
            ejected: !endpoint.is_in(now_ns),
        });
        all.collect()
    }
}

impl Endpoint {
    fn is_in(&self, now_ns: u64) -> bool {
        self.enabled && self.ejected_until_ns <= now_ns
    }

    /// A peak counts at once; a better value wins slowly, by how long ago the
    /// last one was (peak-sensitive moving average, as in Finagle).
    fn measure(&mut self, took_ns: f64, now_ns: u64, decay_ns: f64) {
        let since_ns = now_ns.saturating_sub(self.measured_ns) as f64;
        self.measured_ns = now_ns;
        if self.latency_ns <= 0.0 || took_ns > self.latency_ns {
            self.latency_ns = took_ns;
            return;
        }
        let keep = (-since_ns / decay_ns).exp();
        self.latency_ns = self.latency_ns * keep + took_ns * (1.0 - keep);
    }
}

fn below(random: &mut Random, count: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "below a count in memory")]
    let at = (random.unit() * count as f64) as usize;
    at.min(count - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn endpoints(count: usize) -> (Endpoints, Random) {
        let config = BalanceConfig {
            failures: 2,
            ..BalanceConfig::default()
        };
        (Endpoints::new(Rules::new(&config), count), Random::new(5))
    }

    fn fail(endpoints: &mut Endpoints, at: usize, now_ns: u64) {
        let picked = endpoints.pick(|other| other == at, &mut Random::new(1), now_ns);
        assert_eq!(picked, Some(at));
        endpoints.end(at, true, now_ns, now_ns);
    }

    fn ejected(endpoints: &Endpoints, now_ns: u64) -> Vec<bool> {
        endpoints
            .stats(now_ns)
            .iter()
            .map(|stats| stats.ejected)
            .collect()
    }

    /// One takes 10 ms and three take 1 ms: it gets few of the calls.
    #[test]
    fn the_faster_ones_get_more() {
        let (mut endpoints, mut random) = endpoints(4);
        let mut counts = [0u32; 4];
        let mut now_ns = 0;
        for _ in 0..10_000 {
            now_ns += 100_000;
            let at = endpoints.pick(|_| true, &mut random, now_ns).expect("one");
            counts[at] += 1;
            let took_ns = if at == 0 { 10_000_000 } else { 1_000_000 };
            endpoints.end(at, false, now_ns - took_ns.min(now_ns), now_ns);
        }
        assert!(counts[0] < 100, "{counts:?}");
        assert!(counts[1..].iter().all(|count| *count > 2_500), "{counts:?}");
    }

    #[test]
    fn equal_ones_share_by_what_is_in_flight() {
        let (mut endpoints, mut random) = endpoints(5);
        for _ in 0..1_000 {
            endpoints.pick(|_| true, &mut random, 0);
        }
        let stats = endpoints.stats(0);
        assert!(
            stats
                .iter()
                .all(|stats| (190..=210).contains(&stats.in_flight)),
            "{stats:?}"
        );
    }

    #[test]
    fn failures_in_a_row_eject_for_longer_and_longer() {
        let (mut endpoints, _) = endpoints(3);
        fail(&mut endpoints, 0, 0);
        assert_eq!(ejected(&endpoints, 0), [false; 3]);
        fail(&mut endpoints, 0, 0);
        assert_eq!(ejected(&endpoints, 5 * SECOND - 1), [true, false, false]);
        assert_eq!(ejected(&endpoints, 5 * SECOND), [false; 3]);
        fail(&mut endpoints, 0, 5 * SECOND);
        assert_eq!(ejected(&endpoints, 15 * SECOND - 1), [true, false, false]);
        // A success forgives.
        let at = endpoints.pick(|at| at == 0, &mut Random::new(1), 15 * SECOND);
        endpoints.end(at.expect("one"), false, 15 * SECOND, 15 * SECOND);
        fail(&mut endpoints, 0, 16 * SECOND);
        assert_eq!(ejected(&endpoints, 16 * SECOND), [false; 3]);
    }

    #[test]
    fn no_more_are_ejected_than_may_be_and_one_always_stays() {
        for (count, expect) in [(1, 0), (2, 1), (3, 1), (4, 2), (7, 3)] {
            let (mut endpoints, mut random) = endpoints(count);
            for at in (0..count).chain(0..count) {
                fail(&mut endpoints, at, 0);
            }
            let out = ejected(&endpoints, 0)
                .into_iter()
                .filter(|out| *out)
                .count();
            assert_eq!(out, expect, "of {count}");
            let picked = endpoints.pick(|_| true, &mut random, 0).expect("one");
            assert!(!ejected(&endpoints, 0)[picked]);
        }
    }

    #[test]
    fn what_is_disabled_is_used_only_if_nothing_else_is_there() {
        let (mut endpoints, mut random) = endpoints(2);
        endpoints.set_enabled(0, false);
        for _ in 0..100 {
            assert_eq!(endpoints.pick(|_| true, &mut random, 0), Some(1));
        }
        endpoints.set_enabled(1, false);
        assert!(endpoints.pick(|_| true, &mut random, 0).is_some());
        assert_eq!(endpoints.pick(|_| false, &mut random, 0), None);
    }
}
