//! Whether something grows slowly: plain functions of what was measured minute by minute.
//!
//! Two things are asked, of medians and orders only, so that a few wild minutes change neither:
//! whether later values are larger than earlier ones more often than chance explains (Mann and
//! Kendall's test), and how fast they grow (Theil and Sen's slope).

use schemars::JsonSchema;
use serde::Serialize;

use super::Tier;

/// Minutes that a drift is looked for in.
pub(super) const DRIFT_MINUTES: usize = 120;
/// With fewer of them nothing is said.
const POINTS_MIN: usize = 60;
/// How many standard deviations from chance are taken for a trend. With noise and nothing else, four
/// are reached once in some hundred days of looking every ten minutes.
const Z_MIN: f64 = 4.0;
/// The last points are what "now" is.
const NOW_LEN: usize = 15;
/// A forecast further ahead says nothing.
const FORECAST_HOURS_MAX: f64 = 24.0 * 30.0;

/// A value at some minute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Minutes since whatever moment.
    pub minute: f64,
    /// The value.
    pub value: f64,
}

/// How values change with time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slope {
    /// The change in an hour.
    pub per_hour: f64,
    /// How many standard deviations the order of the values is from chance; negative where they
    /// fall.
    pub z: f64,
}

impl Slope {
    /// Of `points` in the order of time, of which no two are of one minute. `None` where they are
    /// too few.
    #[must_use]
    pub fn of(points: &[Point]) -> Option<Self> {
        if points.len() < POINTS_MIN {
            return None;
        }
        let mut slopes = Vec::with_capacity(points.len() * (points.len() - 1) / 2);
        let mut order = 0.0;
        for (at, later) in points.iter().enumerate() {
            for earlier in &points[..at] {
                let rise = later.value - earlier.value;
                if rise != 0.0 {
                    order += rise.signum();
                }
                slopes.push(rise / (later.minute - earlier.minute));
            }
        }
        let deviation = variance(points).sqrt();
        let z = match deviation > 0.0 {
            // A step towards chance: the order is a whole number, and chance is not.
            true => (order - order.clamp(-1.0, 1.0)) / deviation,
            false => 0.0,
        };
        Some(Self {
            per_hour: median(&mut slopes) * 60.0,
            z,
        })
    }

    /// Whether the values grow, and not by chance.
    #[must_use]
    pub fn is_growth(&self) -> bool {
        self.z >= Z_MIN && self.per_hour > 0.0
    }
}

/// Of the order of values that come by chance, equal ones among them.
fn variance(points: &[Point]) -> f64 {
    let term = |count: f64| count * (count - 1.0) * (2.0 * count + 5.0);
    let mut values: Vec<f64> = points.iter().map(|point| point.value).collect();
    values.sort_by(f64::total_cmp);
    let ties = values.chunk_by(|before, next| before == next);
    let ties: f64 = ties.map(|equal| term(equal.len() as f64)).sum();
    (term(values.len() as f64) - ties) / 18.0
}

fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        _ => *values.select_nth_unstable_by(middle, f64::total_cmp).1,
    }
}

/// Whether a tool's latency grows slowly, and where that leads.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TrendStatus {
    /// The tool.
    pub tool: String,
    /// How much longer its calls take after an hour, in percent; negative where they get faster.
    pub percent_per_hour: f64,
    /// How many standard deviations from chance that is; from 4 on it is taken for a drift.
    pub significance: f64,
    /// Whether it is a drift upwards, and none by chance.
    pub is_drift: bool,
    /// What a call takes now, as the geometric mean.
    pub typical_ms: f64,
    /// In how many hours a typical call passes the target of its tier, if it goes on like this;
    /// absent where it does not within 30 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_missed_in_hours: Option<f64>,
    /// The minutes that this is made of.
    pub minutes: u64,
}

impl TrendStatus {
    /// Of a tool whose calls took, minute by minute, what `points` say as logarithms of
    /// milliseconds. `None` where they are too few.
    #[must_use]
    pub fn of(tool: &str, tier: Tier, points: &[Point]) -> Option<Self> {
        let slope = Slope::of(points)?;
        let lately = &points[points.len().saturating_sub(NOW_LEN)..];
        let mut lately: Vec<f64> = lately.iter().map(|point| point.value).collect();
        let now = median(&mut lately);
        let is_drift = slope.is_growth();
        let left = (tier.target().as_secs_f64() * 1e3).ln() - now;
        let hours = (left / slope.per_hour).max(0.0);
        Some(Self {
            tool: tool.to_owned(),
            percent_per_hour: slope.per_hour.exp_m1() * 100.0,
            significance: slope.z,
            is_drift,
            typical_ms: now.exp(),
            target_missed_in_hours: (is_drift && hours <= FORECAST_HOURS_MAX).then_some(hours),
            minutes: points.len() as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::random::Random;

    const CALLS: f64 = 1_000.0;
    const SIGMA: f64 = 0.3;
    /// How often it is looked.
    const EVERY: usize = 10;

    /// The means of the logarithms of 1,000 log-normal latencies a minute: normal themselves, with
    /// a thousandth of the variance.
    fn minutes(seed: u64, minutes: usize, percent_per_hour: f64) -> Vec<Point> {
        let mut random = Random::new(seed);
        let growth = (percent_per_hour / 100.0).ln_1p() / 60.0;
        let deviation = SIGMA / CALLS.sqrt();
        let value =
            |minute: usize, noise: f64| 4.0_f64.ln() + growth * minute as f64 + deviation * noise;
        (0..minutes)
            .map(|minute| Point {
                minute: minute as f64,
                value: value(minute, normal(&mut random)),
            })
            .collect()
    }

    /// Box and Muller.
    fn normal(random: &mut Random) -> f64 {
        let radius = (-2.0 * (1.0 - random.unit()).max(1e-12).ln()).sqrt();
        radius * (std::f64::consts::TAU * random.unit()).cos()
    }

    fn is_drift(points: &[Point]) -> bool {
        let found = TrendStatus::of("tool", Tier::Local, points);
        found.is_some_and(|trend| trend.is_drift)
    }

    #[test]
    fn a_drift_of_a_percent_an_hour_is_found_within_two_hours() {
        let is_found = |seed: &u64| {
            let points = minutes(*seed, DRIFT_MINUTES, 1.0);
            let mut looks = (EVERY..=DRIFT_MINUTES).step_by(EVERY);
            looks.any(|until| is_drift(&points[..until]))
        };
        let found = (0..100).filter(is_found).count();
        assert!(found >= 95, "{found} of 100");
    }

    #[test]
    fn noise_is_seldom_taken_for_a_drift() {
        let days = 100;
        let points = minutes(4_711, days * 24 * 60, 0.0);
        let (mut alarms, mut was) = (0, false);
        for until in (DRIFT_MINUTES..=points.len()).step_by(EVERY) {
            let is = is_drift(&points[until - DRIFT_MINUTES..until]);
            alarms += usize::from(is && !was);
            was = is;
        }
        assert!(alarms <= 1, "{alarms} in {days} days");
    }

    #[test]
    fn a_trend_says_how_fast_and_where_it_leads() {
        let trend = TrendStatus::of("tool", Tier::Local, &minutes(3, 120, 20.0)).unwrap();
        assert!((trend.percent_per_hour - 20.0).abs() < 1.0, "{trend:?}");
        assert!((trend.typical_ms - 5.7).abs() < 0.2, "{trend:?}");
        // From 5.7 to 50 ms at 20 % an hour.
        let hours = trend.target_missed_in_hours.unwrap();
        assert!((hours - 11.9).abs() < 1.0, "{hours}");
        let falling = TrendStatus::of("tool", Tier::Local, &minutes(3, 120, -20.0)).unwrap();
        assert!(
            !falling.is_drift && falling.percent_per_hour < -15.0,
            "{falling:?}"
        );
        assert_eq!(falling.target_missed_in_hours, None);
    }

    #[test]
    fn a_few_wild_minutes_change_nothing() {
        let mut points = minutes(5, 120, 0.0);
        for at in [3, 60, 110, 111, 119] {
            points[at].value += 5.0;
        }
        let trend = TrendStatus::of("tool", Tier::Local, &points).unwrap();
        assert!(
            !trend.is_drift && trend.percent_per_hour.abs() < 0.6,
            "{trend:?}"
        );
    }

    #[test]
    fn equal_values_and_few_minutes_say_nothing() {
        let flat: Vec<_> = (0..100)
            .map(|minute| Point {
                minute: f64::from(minute),
                value: 7.0,
            })
            .collect();
        let slope = Slope::of(&flat).unwrap();
        assert_eq!((slope.per_hour, slope.z), (0.0, 0.0));
        assert_eq!(Slope::of(&flat[..59]), None);
        // Whole numbers that rise in steps are seen all the same.
        let steps: Vec<_> = (0..100)
            .map(|minute| Point {
                minute: f64::from(minute),
                value: f64::from(minute / 10),
            })
            .collect();
        let slope = Slope::of(&steps).unwrap();
        assert!(
            slope.is_growth() && (slope.per_hour - 6.0).abs() < 0.5,
            "{slope:?}"
        );
    }
}
