use super::*;
use crate::random::unit;

fn learner(stale_share: f64) -> Learner {
    let config = AdaptiveConfig {
        stale_share,
        ttl_max: Duration::from_secs(36_000),
        ..AdaptiveConfig::default()
    };
    config.validate().expect("valid");
    Learner::new(&config, Duration::from_secs(60))
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Groups differ in the bits that pick a cell.
fn group(key: usize) -> u64 {
    (key as u64) << 16
}

/// A key of the simulated trace; rates per second.
struct Key {
    requests: f64,
    changes: f64,
    next_request: f64,
    next_change: f64,
    version: u64,
    /// Version, load and expiry of what the cache holds.
    held: Option<(u64, f64, f64)>,
}

struct Trace {
    keys: Vec<Key>,
    random: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Ratios {
    requests: f64,
    hits: f64,
    stale: f64,
}

impl Ratios {
    fn hit(self) -> f64 {
        self.hits / self.requests
    }

    fn stale(self) -> f64 {
        self.stale / self.requests
    }
}

/// The time until the next event of a Poisson process.
fn wait(random: &mut u64, rate: f64) -> f64 {
    -(1.0 - unit(random)).ln() / rate
}

impl Trace {
    /// 200 keys, asked for by Zipf's law, changing from every ten seconds to
    /// once a day, independently of that.
    fn new() -> Self {
        let mut random = 42;
        let keys = (0..200)
            .map(|rank| {
                let requests = 2.0 / f64::from(rank + 1);
                let changes = 0.1 * 10f64.powf(-4.0 * unit(&mut random));
                Key {
                    requests,
                    changes,
                    next_request: wait(&mut random, requests),
                    next_change: wait(&mut random, changes),
                    version: 0,
                    held: None,
                }
            })
            .collect();
        Self { keys, random }
    }

    /// Runs for `until` seconds, the first quarter of which is not counted.
    fn run(mut self, until: f64, mut ttl: impl FnMut(usize, Option<Observation>) -> f64) -> Ratios {
        let mut ratios = Ratios::default();
        let mut events: std::collections::BTreeSet<(u64, usize)> = Default::default();
        // Of numbers that are not negative, the bits have their order.
        let stamp = f64::to_bits;
        for (index, key) in self.keys.iter().enumerate() {
            events.insert((stamp(key.next_request), index));
        }
        while let Some((_, index)) = events.pop_first() {
            let key = &mut self.keys[index];
            let now = key.next_request;
            if now > until {
                break;
            }
            while key.next_change <= now {
                key.version += 1;
                key.next_change += wait(&mut self.random, key.changes);
            }
            let counts = now > until / 4.0;
            ratios.requests += f64::from(counts);
            match key.held {
                Some((version, _, expires)) if now < expires => {
                    ratios.hits += f64::from(counts);
                    ratios.stale += f64::from(counts && version != key.version);
                }
                before => {
                    let seen = before.map(|(version, loaded, expires)| Observation {
                        held: seconds(now - loaded),
                        gap: Some(seconds(now - expires)),
                        changed: version != key.version,
                    });
                    key.held = Some((key.version, now, now + ttl(index, seen)));
                }
            }
            key.next_request += wait(&mut self.random, key.requests);
            events.insert((stamp(key.next_request), index));
        }
        ratios
    }
}

const HOURS: f64 = 8.0 * 3600.0;

/// The hit ratio of the one time to live for all that serves this share of
/// stale answers.
fn fixed_at(stale: f64) -> f64 {
    let (mut low, mut high) = (0.1f64, 36_000.0f64);
    let mut best = Ratios::default();
    for _ in 0..10 {
        let middle = (low * high).sqrt();
        let ratios = Trace::new().run(HOURS, |_, _| middle);
        match ratios.stale() > stale {
            true => high = middle,
            false => (low, best) = (middle, ratios),
        }
    }
    best.hit()
}

#[test]
fn it_hits_more_at_the_same_staleness() {
    for share in [0.01, 0.05] {
        let mut learner = learner(share);
        let learned = Trace::new().run(HOURS, |key, seen| {
            if let Some(seen) = seen {
                learner.observe(group(key), seen);
            }
            learner.ttl(group(key)).as_secs_f64()
        });
        let fixed = fixed_at(learned.stale());
        assert!(
            learned.hit() >= fixed + 0.05,
            "share {share}: learned {learned:?}, fixed {fixed}"
        );
        assert!(learned.stale() <= 1.5 * share, "{learned:?}");
    }
}

/// However long nothing changed, the time to live follows once it does.
#[test]
fn a_quiet_time_is_not_held_against_it() {
    let mut learner = learner(0.01);
    let load = |learner: &mut Learner, changed| {
        let ttl = learner.ttl(group(1));
        let gap = Duration::from_secs(1);
        let held = ttl + gap;
        learner.observe(
            group(1),
            Observation {
                held,
                gap: Some(gap),
                changed,
            },
        );
    };
    for _ in 0..100_000 {
        load(&mut learner, false);
    }
    assert_eq!(learner.ttl(group(1)), Duration::from_secs(36_000));
    for _ in 0..1_000 {
        load(&mut learner, true);
    }
    let ttl = learner.ttl(group(1));
    assert!(ttl < Duration::from_secs(360), "{ttl:?}");
}
