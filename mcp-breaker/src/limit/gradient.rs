//! The adaptive limit, as a function of (state, sample).

use super::GradientConfig;

/// How quickly the baseline follows faster calls, and slower ones.
const BASELINE_FALLS: f64 = 0.2;
const BASELINE_RISES: f64 = 1.0 / 100.0;
/// While calls take long the baseline rises this many times more slowly.
const CONGESTED_DIVISOR: f64 = 10.0;
/// The strongest fall of one step, before smoothing.
const GRADIENT_MIN: f64 = 0.5;
/// Of the limit, per step in which the dependency said it is overloaded.
const OVERLOAD_FACTOR: f64 = 0.9;

/// Follows Netflix's gradient2, with two departures: the short-term duration is
/// an average over `samples` calls and not one call, and the baseline does not
/// drift up with a lasting overload.
#[derive(Debug)]
pub(crate) struct Gradient {
    config: GradientConfig,
    limit: f64,
    /// The usual duration; 0 before the first step.
    baseline_ns: f64,
    batch: Batch,
}

/// What a call says about the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sample {
    /// It succeeded after this long.
    Took { ns: u64 },
    /// It was refused because the dependency is busy.
    Overload,
}

#[derive(Debug, Default)]
struct Batch {
    samples: u32,
    /// Of the successes among the samples.
    sum_ns: f64,
    in_flight_max: u32,
    overloaded: bool,
}

impl Gradient {
    pub(crate) fn new(config: GradientConfig) -> Self {
        Self {
            config,
            limit: f64::from(config.initial),
            baseline_ns: 0.0,
            batch: Batch::default(),
        }
    }

    /// Takes a sample in; the new limit when enough of them have come.
    pub(crate) fn learn(&mut self, sample: Sample, in_flight: u32) -> Option<u32> {
        self.batch.samples += 1;
        self.batch.in_flight_max = self.batch.in_flight_max.max(in_flight);
        match sample {
            Sample::Took { ns } => self.batch.sum_ns += ns as f64,
            Sample::Overload => self.batch.overloaded = true,
        }
        if self.batch.samples < self.config.samples {
            return None;
        }
        let batch = std::mem::take(&mut self.batch);
        self.step(&batch);
        Some(self.whole_limit())
    }

    fn step(&mut self, batch: &Batch) {
        if batch.overloaded {
            // What the few accepted calls took is no measure of the usual.
            self.move_to(self.limit * OVERLOAD_FACTOR);
            return;
        }
        let short_ns = (batch.sum_ns / f64::from(batch.samples)).max(1.0);
        self.follow_baseline(short_ns);
        if f64::from(batch.in_flight_max) < self.limit / 2.0 {
            // The callers do not use the limit: their durations say nothing
            // about what lies above.
            return;
        }
        let gradient = self.config.tolerance * self.baseline_ns / short_ns;
        let headroom = self.limit.sqrt();
        let stepped = self.limit * gradient.clamp(GRADIENT_MIN, 1.0) + headroom;
        self.move_to(self.limit + (stepped - self.limit) * self.config.smoothing);
    }

    fn move_to(&mut self, limit: f64) {
        self.limit = limit.clamp(f64::from(self.config.min), f64::from(self.config.max));
    }

    fn follow_baseline(&mut self, short_ns: f64) {
        let gap_ns = short_ns - self.baseline_ns;
        let weight = if self.baseline_ns == 0.0 {
            1.0
        } else if gap_ns < 0.0 {
            BASELINE_FALLS
        } else if short_ns > self.baseline_ns * self.config.tolerance {
            BASELINE_RISES / CONGESTED_DIVISOR
        } else {
            BASELINE_RISES
        };
        self.baseline_ns += gap_ns * weight;
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped between two u32"
    )]
    fn whole_limit(&self) -> u32 {
        self.limit.round() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;
    const TOOK_10_MS: Sample = Sample::Took { ns: 10 * MS };

    fn gradient() -> Gradient {
        Gradient::new(GradientConfig {
            samples: 1,
            ..GradientConfig::default()
        })
    }

    /// Feeds steps in which the callers use the whole limit.
    fn feed(gradient: &mut Gradient, steps: u32, took_ns: u64) -> u32 {
        let mut limit = gradient.whole_limit();
        for _ in 0..steps {
            limit = gradient
                .learn(Sample::Took { ns: took_ns }, limit)
                .expect("one sample is a step");
        }
        limit
    }

    #[test]
    fn it_grows_while_calls_take_as_long_as_usual() {
        let mut gradient = gradient();
        assert_eq!(feed(&mut gradient, 200, 10 * MS), 200);
    }

    #[test]
    fn it_falls_when_calls_take_longer_and_recovers() {
        let mut gradient = gradient();
        let before = feed(&mut gradient, 50, 10 * MS);
        let during = feed(&mut gradient, 30, 50 * MS);
        assert!(during * 3 < before, "{before} to {during}");
        assert!(feed(&mut gradient, 50, 10 * MS) > during * 3);
    }

    /// A plain average of all calls would have risen to 50 ms by then, and the
    /// limit with it.
    #[test]
    fn a_lasting_overload_does_not_become_the_baseline() {
        let mut gradient = gradient();
        feed(&mut gradient, 50, 10 * MS);
        feed(&mut gradient, 300, 50 * MS);
        assert!(
            gradient.baseline_ns < 25.0 * MS as f64,
            "{}",
            gradient.baseline_ns
        );
    }

    #[test]
    fn a_dependency_that_became_slower_for_good_is_accepted_in_the_end() {
        let mut gradient = gradient();
        feed(&mut gradient, 50, 10 * MS);
        let limit = feed(&mut gradient, 5_000, 50 * MS);
        assert_eq!(limit, 200);
    }

    #[test]
    fn an_unused_limit_does_not_move() {
        let mut gradient = gradient();
        for _ in 0..100 {
            assert_eq!(gradient.learn(TOOK_10_MS, 2), Some(20));
        }
    }

    #[test]
    fn overload_lowers_it_at_once() {
        let mut gradient = gradient();
        assert_eq!(gradient.learn(Sample::Overload, 1), Some(18));
    }

    #[test]
    fn a_step_waits_for_its_samples() {
        let mut gradient = Gradient::new(GradientConfig {
            samples: 3,
            ..GradientConfig::default()
        });
        assert_eq!(gradient.learn(TOOK_10_MS, 20), None);
        assert_eq!(gradient.learn(TOOK_10_MS, 20), None);
        assert!(gradient.learn(TOOK_10_MS, 20).is_some());
        assert_eq!(gradient.learn(TOOK_10_MS, 20), None);
    }

    proptest! {
        #[test]
        fn the_limit_stays_between_its_bounds(
            samples in prop::collection::vec((any::<u64>(), any::<u32>(), any::<bool>()), 1..200),
        ) {
            let mut gradient = gradient();
            for (ns, in_flight, overloaded) in samples {
                let sample = if overloaded { Sample::Overload } else { Sample::Took { ns } };
                let limit = gradient.learn(sample, in_flight).expect("a step");
                prop_assert!((4..=200).contains(&limit));
            }
        }
    }
}
