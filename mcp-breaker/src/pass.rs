//! What a call that was let through must be settled as, in eight bytes.

use crate::machine::ProbeId;

/// The life that a call belongs to in the low half, and its part in the high
/// one: [`WATCHED`], [`BYPASS`], [`LIMITED`], [`REFUSED`], [`SETTLED`], or the
/// number of a probe plus one.
///
/// One plain number and not an enum with data: the compiler then keeps a permit
/// in registers, which is most of what an allowed call costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pass(u64);

const WATCHED: u32 = 0;
const SETTLED: u32 = u32::MAX;
const REFUSED: u32 = u32::MAX - 1;
const LIMITED: u32 = u32::MAX - 2;
const BYPASS: u32 = u32::MAX - 3;

/// Probes of one half-open life are numbered below this, and then from 0 again.
pub(crate) const PROBE_NUMBERS: u32 = 1 << 31;

/// A pass, spelled out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A call of a closed life: its result goes to the windows.
    Watched,
    Probe(ProbeId),
    /// A call of a disabled breaker.
    Bypass,
    /// Not let through because of the concurrency limit.
    Limited,
    /// Not let through because of the state.
    Refused,
    /// The result was delivered.
    Settled,
}

impl Pass {
    pub(crate) const BYPASS: Self = Self::new(0, BYPASS);
    pub(crate) const LIMITED: Self = Self::new(0, LIMITED);
    pub(crate) const REFUSED: Self = Self::new(0, REFUSED);
    pub(crate) const SETTLED: Self = Self::new(0, SETTLED);

    #[inline]
    const fn new(life: u32, role: u32) -> Self {
        Self(((role as u64) << 32) | life as u64)
    }

    #[inline]
    pub(crate) const fn watched(life: u32) -> Self {
        Self::new(life, WATCHED)
    }

    pub(crate) const fn probe(probe: ProbeId) -> Self {
        Self::new(probe.generation, probe.number + 1)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "takes the low half")]
    pub(crate) const fn life(self) -> u32 {
        self.0 as u32
    }

    #[inline]
    const fn part(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    pub(crate) const fn is_watched(self) -> bool {
        self.part() == WATCHED
    }

    /// Whether the call may be made.
    #[inline]
    pub(crate) const fn lets_through(self) -> bool {
        self.part() < LIMITED
    }

    #[inline]
    pub(crate) const fn is_settled(self) -> bool {
        self.part() == SETTLED
    }

    pub(crate) const fn role(self) -> Role {
        match self.part() {
            WATCHED => Role::Watched,
            BYPASS => Role::Bypass,
            LIMITED => Role::Limited,
            REFUSED => Role::Refused,
            SETTLED => Role::Settled,
            number => Role::Probe(ProbeId {
                generation: self.life(),
                number: number - 1,
            }),
        }
    }
}

/// The answer to a caller: two registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) pass: Pass,
    /// When the call began, in nanoseconds, if calls are timed; for a limited
    /// call the limiter's word.
    pub(crate) detail: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pass_is_told_from_the_others() {
        let check = |pass: Pass, role, lets_through| {
            assert_eq!(pass.role(), role);
            assert_eq!(pass.lets_through(), lets_through, "{role:?}");
            assert_eq!(pass.is_watched(), role == Role::Watched);
            assert_eq!(pass.is_settled(), role == Role::Settled);
        };
        check(Pass::watched(7), Role::Watched, true);
        check(Pass::BYPASS, Role::Bypass, true);
        check(Pass::LIMITED, Role::Limited, false);
        check(Pass::REFUSED, Role::Refused, false);
        check(Pass::SETTLED, Role::Settled, false);
        for number in [0, 1, PROBE_NUMBERS - 1] {
            let probe = ProbeId {
                generation: 3,
                number,
            };
            check(Pass::probe(probe), Role::Probe(probe), true);
        }
    }
}
