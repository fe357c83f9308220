//! The running fit of cost(n) = a + b·n: weighted least squares whose weights
//! fade with every batch.

/// Each batch fades the ones before it by this: about six of them count.
const FADE: f64 = 0.83;
/// How much is left of the past once it is known to be wrong.
const SURPRISED: f64 = 0.02;
/// How much is left of the past when the target moves along a curve.
const MOVED: f64 = 0.5;
/// Batches before a fit is trusted, in weight.
const WEIGHT_MIN: f64 = 2.0;
/// Sizes must differ by this share of their mean for a slope to mean anything.
const SPREAD_MIN: f64 = 0.04;
/// What the line leaves unexplained, as a share of the mean cost.
const ERROR_MAX: f64 = 0.2;

/// cost(n) = a + b·n.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Line {
    /// Nanoseconds per batch; below zero where the cost grows faster than the
    /// size.
    pub(crate) a_ns: f64,
    /// Nanoseconds per item.
    pub(crate) b_ns: f64,
    /// How far off `a_ns` may well be: its standard error.
    pub(crate) a_error_ns: f64,
}

impl Line {
    pub(crate) fn cost_ns(&self, items: f64) -> f64 {
        self.a_ns + self.b_ns * items
    }
}

/// Fading sums of the batches seen.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Fit {
    weight: f64,
    /// Of the squared weights: it says of how many batches the sums really are.
    weight_squared: f64,
    n: f64,
    c: f64,
    nn: f64,
    nc: f64,
    cc: f64,
}

impl Fit {
    /// Learns that `items` took `cost_ns`.
    pub(crate) fn add(&mut self, items: f64, cost_ns: f64) {
        self.fade(FADE);
        self.weight += 1.0;
        self.weight_squared += 1.0;
        self.n += items;
        self.c += cost_ns;
        self.nn += items * items;
        self.nc += items * cost_ns;
        self.cc += cost_ns * cost_ns;
    }

    /// Nearly forgets: the curve has changed.
    pub(crate) fn forget(&mut self) {
        self.fade(SURPRISED);
    }

    /// Forgets a part: what was learnt of other sizes holds there, not here.
    pub(crate) fn move_on(&mut self) {
        self.fade(MOVED);
    }

    fn fade(&mut self, by: f64) {
        self.weight_squared *= by * by;
        for sum in [
            &mut self.weight,
            &mut self.n,
            &mut self.c,
            &mut self.nn,
            &mut self.nc,
            &mut self.cc,
        ] {
            *sum *= by;
        }
    }

    /// The mean size and the mean cost, unless too little is known.
    pub(crate) fn mean(&self) -> Option<(f64, f64)> {
        (self.weight >= WEIGHT_MIN).then(|| (self.n / self.weight, self.c / self.weight))
    }

    /// Whether sizes differ enough for a slope.
    pub(crate) fn is_spread(&self) -> bool {
        let mean = self.n / self.weight.max(f64::MIN_POSITIVE);
        self.variance_of_sizes() > (SPREAD_MIN * mean).powi(2)
    }

    fn variance_of_sizes(&self) -> f64 {
        if self.weight <= 0.0 {
            return 0.0;
        }
        let mean = self.n / self.weight;
        (self.nn / self.weight - mean * mean).max(0.0)
    }

    /// The line, unless too little is known or it does not fit.
    pub(crate) fn line(&self) -> Option<Line> {
        let (n, c) = self.mean().filter(|_| self.is_spread())?;
        let (covariance, variance) = (self.nc / self.weight - n * c, self.variance_of_sizes());
        let b_ns = covariance / variance;
        let error = (self.cc / self.weight - c * c - b_ns * covariance).max(0.0);
        let batches = self.weight * self.weight / self.weight_squared;
        let fits = error.sqrt() <= ERROR_MAX * c;
        (fits && b_ns >= 0.0).then(|| Line {
            a_ns: c - b_ns * n,
            b_ns,
            a_error_ns: (error / (batches - 2.0).max(1.0) * (1.0 + n * n / variance)).sqrt(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_sizes_say_nothing_about_the_slope() {
        let mut fit = Fit::default();
        for _ in 0..100 {
            fit.add(50.0, 300.0);
        }
        assert!(!fit.is_spread());
        assert_eq!(fit.line(), None);
    }

    #[test]
    fn noise_that_hides_the_line_is_no_fit() {
        let mut fit = Fit::default();
        for i in 0..100 {
            let cost_ns = if i % 3 == 0 { 1000.0 } else { 100.0 };
            fit.add(f64::from(10 + i % 7), cost_ns);
        }
        assert_eq!(fit.line(), None);
    }

    proptest! {
        #[test]
        fn a_line_is_found(a in 1.0f64..1e6, b in 1.0f64..1e5, sizes in proptest::collection::vec(1u32..60, 12..40)) {
            let mut fit = Fit::default();
            for n in sizes.iter().chain(&[3, 50, 20]) {
                fit.add(f64::from(*n), a + b * f64::from(*n));
            }
            let line = fit.line().expect("exact");
            for n in [1.0, 50.0] {
                let exact = a + b * n;
                prop_assert!((line.cost_ns(n) - exact).abs() < 0.01 * exact, "{line:?}");
            }
        }

        #[test]
        fn the_past_fades(n in 2u32..50) {
            let mut fit = Fit::default();
            for i in 0..50 {
                fit.add(f64::from(n + i % 3), 1e9);
            }
            fit.forget();
            for i in 0..8 {
                fit.add(f64::from(n + 5 * (i % 3)), 100.0 + f64::from(n + 5 * (i % 3)));
            }
            fit.forget();
            for i in 0..8 {
                fit.add(f64::from(n + 5 * (i % 3)), 100.0 + f64::from(n + 5 * (i % 3)));
            }
            let found = fit.c / fit.weight;
            prop_assert!(found < 1e7, "{found}");
        }
    }
}
