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
    /// When it was last ejected; what began before says nothing about it now.
    ejected_at_ns: u64,
    ejected_until_ns: u64,
}

/// How a use of an endpoint ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Worked,
    Failed,
    /// The caller went away before there was anything to judge by.
    Unknown,
}

/// What is known of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EndpointStats {
    /// Uses at work.
    pub in_flight: usize,
    /// The moving average of their time; it fades while there is none.
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
            ejected_at_ns: 0,
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
                let usual_ns = self.usual_ns(now_ns);
                if self.cost(other, usual_ns, now_ns) < self.cost(first, usual_ns, now_ns) {
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
    fn cost(&self, at: usize, usual_ns: f64, now_ns: u64) -> f64 {
        let endpoint = &self.all[at];
        // One that was never measured is as good as the others.
        let latency_ns = match endpoint.is_measured() {
            true => endpoint.latency_at(now_ns, self.rules.decay_ns),
            false => usual_ns,
        };
        (endpoint.in_flight + 1) as f64 * latency_ns.max(1.0)
    }

    /// The mean of what the measured ones take.
    fn usual_ns(&self, now_ns: u64) -> f64 {
        let measured = self.all.iter().filter(|endpoint| endpoint.is_measured());
        let (sum_ns, count) = measured.fold((0.0, 0usize), |(sum_ns, count), endpoint| {
            let latency_ns = endpoint.latency_at(now_ns, self.rules.decay_ns);
            (sum_ns + latency_ns, count + 1)
        });
        sum_ns / count.max(1) as f64
    }

    pub(super) fn end(&mut self, at: usize, end: End, began_ns: u64, now_ns: u64) {
        let took_ns = now_ns.saturating_sub(began_ns) as f64;
        self.all[at].in_flight -= 1;
        match end {
            End::Unknown => {}
            End::Worked => {
                let endpoint = &mut self.all[at];
                endpoint.measure(took_ns, now_ns, self.rules.decay_ns);
                if endpoint.ejections == 0 || began_ns > endpoint.ejected_at_ns {
                    endpoint.failures = 0;
                    endpoint.ejections = 0;
                    endpoint.ejected_until_ns = 0;
                }
            }
            End::Failed => self.fail(at, took_ns, now_ns),
        }
    }

    fn fail(&mut self, at: usize, took_ns: f64, now_ns: u64) {
        let rules = self.rules;
        let may_eject = self.may_eject(at, now_ns);
        let usual_ns = self.usual_ns(now_ns);
        let endpoint = &mut self.all[at];
        endpoint.failures = endpoint.failures.saturating_add(1);
        // After an ejection the first failure is enough.
        let limit = if endpoint.ejections > 0 {
            1
        } else {
            rules.failures
        };
        if endpoint.failures < limit || !endpoint.is_in(now_ns) {
            return;
        }
        if may_eject {
            let doublings = endpoint.ejections.min(DOUBLINGS_MAX);
            let ejection_ns = rules.ejection_ns.saturating_mul(1 << doublings);
            endpoint.ejected_at_ns = now_ns;
            endpoint.ejected_until_ns = now_ns.saturating_add(ejection_ns);
            endpoint.ejections = endpoint.ejections.saturating_add(1);
            endpoint.failures = 0;
        } else {
            // It has to stay, but is the last to be picked: to fail fast is no merit.
            let dear_ns = took_ns.max(2.0 * usual_ns);
            endpoint.measure(dear_ns, now_ns, rules.decay_ns);
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
            latency: Duration::from_secs_f64(
                endpoint
                    .latency_at(now_ns, self.rules.decay_ns)
                    .clamp(0.0, 1e18)
                    / 1e9,
            ),
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

    fn is_measured(&self) -> bool {
        self.latency_ns > 0.0
    }

    /// What it took fades with time, or one long use would be held against the
    /// endpoint for as long as nobody dares to use it.
    fn latency_at(&self, now_ns: u64, decay_ns: f64) -> f64 {
        let since_ns = now_ns.saturating_sub(self.measured_ns) as f64;
        self.latency_ns * (-since_ns / decay_ns).exp()
    }

    /// A peak counts at once; a better value wins slowly, by how long ago the
    /// last one was (peak-sensitive moving average, as in Finagle).
    fn measure(&mut self, took_ns: f64, now_ns: u64, decay_ns: f64) {
        let since_ns = now_ns.saturating_sub(self.measured_ns) as f64;
        self.measured_ns = now_ns;
        if took_ns > self.latency_ns {
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
mod tests;
