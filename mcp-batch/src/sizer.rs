//! The size to aim at: from the fit where it holds, by additive increase and
//! multiplicative decrease where it does not.

use crate::fit::{Fit, Line};

/// The fixed cost may be this share of a batch; larger batches gain little.
/// Aimed at 8 %, noise rarely takes it past 10.
const OVERHEAD_MAX: f64 = 0.08;
/// What a batch costs besides its function, about: a pass of the scheduler, the
/// locks, the first cold lines. Without it a function that costs nothing would
/// be given single items.
const MACHINERY_NS: f64 = 2_000.0;
/// A cost this far from the prediction means that the curve has changed.
const SURPRISE: f64 = 0.3;
/// The fixed cost is taken to be larger than the line says by this much of its
/// error: a size too large costs little, one too small costs its share at once.
const CAUTION: f64 = 0.5;
/// Multiplicative decrease.
const SHRINK: f64 = 0.9;
/// The target falls to this share of itself in one step at most.
const FALL_MAX: f64 = 0.85;
/// The target grows by this share of itself in one step at most.
const GROW: f64 = 0.12;
/// Items per second may fall by this share before the size is blamed.
const SLOWER: f64 = 0.97;
/// Every so many batches one is smaller, while all sizes are equal.
const DITHER_EVERY: u32 = 2;
/// Every so many batches one is larger, while all have one item: there it may
/// cost the latency goal.
const PROBE_EVERY: u32 = 16;

/// How sizes are chosen; parsed from the configuration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SizerRules {
    pub(crate) max: usize,
    pub(crate) adaptive: bool,
    pub(crate) goal_ns: Option<f64>,
}

/// The target and what it was learnt from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sizer {
    rules: SizerRules,
    fit: Fit,
    target: f64,
    /// Smoothed items per nanosecond of full batches.
    rate: f64,
    /// What the last batch said, if it was left out for it.
    surprise: f64,
    equal_batches: u32,
}

impl Sizer {
    pub(crate) fn new(rules: SizerRules) -> Self {
        Self {
            rules,
            fit: Fit::default(),
            target: to_f64(rules.max),
            rate: 0.0,
            surprise: 0.0,
            equal_batches: 0,
        }
    }

    /// The size to aim at, 1 to the maximum.
    pub(crate) fn target(&self) -> usize {
        to_usize(self.target).clamp(1, self.rules.max)
    }

    /// The most items of the next batch: now and then less than the target (or
    /// more, where it is 1), while all sizes are equal and teach nothing about
    /// the slope.
    pub(crate) fn cap(&mut self) -> usize {
        let target = self.target();
        if !self.rules.adaptive || self.fit.is_spread() {
            return target;
        }
        self.equal_batches = self.equal_batches.wrapping_add(1);
        if target == 1 {
            let probe = self.equal_batches.is_multiple_of(PROBE_EVERY);
            return self.rules.max.min(if probe { 2 } else { 1 });
        }
        if self.equal_batches.is_multiple_of(DITHER_EVERY) {
            (target - target.div_ceil(4)).max(1)
        } else {
            target
        }
    }

    /// The line, where one fits.
    pub(crate) fn line(&self) -> Option<Line> {
        self.fit.line()
    }

    /// Learns from a finished batch.
    pub(crate) fn learn(&mut self, items: usize, cost_ns: u64) {
        if items == 0 || !self.rules.adaptive {
            return;
        }
        // Exact up to 2^53 ns, which are 104 days.
        let (items, cost_ns) = (to_f64(items), cost_ns.max(1) as f64);
        let surprise = self.surprise(items, cost_ns);
        if surprise != 0.0 {
            if surprise != self.surprise {
                // One such batch is an outlier until the next one agrees.
                self.surprise = surprise;
                return;
            }
            self.fit.forget();
            self.rate = 0.0;
        }
        self.surprise = 0.0;
        self.fit.add(items, cost_ns);
        let rate = items / cost_ns;
        let weight = if self.rate > 0.0 { 0.25 } else { 1.0 };
        self.rate += weight * (rate - self.rate);
        let desired = match self.fit.line() {
            Some(line) => self.by_line(line),
            None => self.by_rate(items, cost_ns),
        };
        let growth = (self.target * GROW).max(1.0);
        self.target = desired
            .clamp(self.target * FALL_MAX, self.target + growth)
            .clamp(1.0, to_f64(self.rules.max));
    }

    /// 1 if the batch cost far more than the line says, -1 if far less, 0 if
    /// neither. Where no line fits, any between one of setup cost alone and one of
    /// item cost alone may be it.
    fn surprise(&self, items: f64, cost_ns: f64) -> f64 {
        let (least, most) = match (self.fit.line(), self.fit.mean()) {
            (Some(line), _) => (line.cost_ns(items), line.cost_ns(items)),
            (None, Some((n, c))) => (c.min(c * items / n), c.max(c * items / n)),
            (None, None) => return 0.0,
        };
        if cost_ns > most.max(1.0) * (1.0 + SURPRISE) {
            1.0
        } else if cost_ns < least.max(1.0) * (1.0 - SURPRISE) {
            -1.0
        } else {
            0.0
        }
    }

    /// The smallest size whose fixed share is small, under the latency goal.
    /// A line that starts below zero says that smaller batches are cheaper per
    /// item.
    fn by_line(&mut self, line: Line) -> f64 {
        let fixed_ns = line.a_ns + MACHINERY_NS;
        if fixed_ns < 0.0 {
            self.fit.move_on();
            return self.target * SHRINK;
        }
        let fixed_ns = fixed_ns + CAUTION * line.a_error_ns;
        let efficient = fixed_ns * (1.0 / OVERHEAD_MAX - 1.0) / line.b_ns.max(f64::MIN_POSITIVE);
        let quick = self.rules.goal_ns.map_or(f64::INFINITY, |goal_ns| {
            ((goal_ns - line.a_ns) / line.b_ns.max(f64::MIN_POSITIVE)).floor()
        });
        efficient.ceil().min(quick)
    }

    /// Grows while full batches get no slower per item and stay under the
    /// goal. A batch far below the target says nothing about it.
    fn by_rate(&mut self, items: f64, cost_ns: f64) -> f64 {
        if self.rules.goal_ns.is_some_and(|goal_ns| cost_ns > goal_ns) {
            return (self.target * SHRINK).min(items);
        }
        if items < 0.7 * self.target {
            return self.target;
        }
        if items / cost_ns < self.rate * SLOWER && items >= self.target.floor() {
            self.rate = items / cost_ns;
            return self.target * SHRINK;
        }
        let grown = self.target + to_f64(self.rules.max) / 16.0;
        // Not past the goal, even if each item costs what these did.
        let quick = self
            .rules
            .goal_ns
            .map_or(f64::INFINITY, |goal_ns| (items * goal_ns / cost_ns).floor());
        grown.min(quick.max(self.target))
    }
}

/// Exact: sizes are far below 2^53.
fn to_f64(size: usize) -> f64 {
    size as f64
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a float saturates, and sizes are small"
)]
fn to_usize(size: f64) -> usize {
    size as usize
}

#[cfg(test)]
mod tests;
