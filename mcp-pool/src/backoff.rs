//! When to connect again after connects that failed.

use crate::random::Random;

/// Doubles with each failure in a row, up to a ceiling; half of it is random,
/// so that many pools do not come back at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    pub(crate) first_ns: u64,
    pub(crate) max_ns: u64,
}

impl Backoff {
    /// How long to wait after so many failures in a row, at least one.
    pub(crate) fn delay_ns(&self, failures: u32, random: &mut Random) -> u64 {
        let doublings = failures.saturating_sub(1).min(63);
        let factor = 1u64 << doublings;
        let delay_ns = self.first_ns.saturating_mul(factor).min(self.max_ns);
        random.scale(delay_ns, 0.5, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_its_ceiling_with_half_of_it_random() {
        let backoff = Backoff {
            first_ns: 100,
            max_ns: 1_000,
        };
        let mut random = Random::new(1);
        for (failures, full_ns) in [
            (1, 100),
            (2, 200),
            (3, 400),
            (4, 800),
            (5, 1_000),
            (99, 1_000),
        ] {
            for _ in 0..100 {
                let delay_ns = backoff.delay_ns(failures, &mut random);
                assert!(
                    (full_ns / 2..=full_ns).contains(&delay_ns),
                    "{failures}: {delay_ns}"
                );
            }
        }
    }
}
