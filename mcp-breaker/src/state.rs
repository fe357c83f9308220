//! The breaker's states, and the one word that publishes them.

use serde::Serialize;
use std::fmt;

/// What a breaker does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// Calls pass and their results are watched.
    Closed,
    /// Calls are refused until the reopen delay has passed.
    Open,
    /// A bounded number of probes passes; all other calls are refused.
    HalfOpen,
    /// Calls are refused until an operator says otherwise.
    ForcedOpen,
    /// Calls pass and nothing is watched, until an operator says otherwise.
    Disabled,
}

impl State {
    /// The state's name in `snake_case`, as metrics labels use it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::Disabled => "disabled",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Generations count state changes and wrap at this many bits.
pub(crate) const GENERATION_BITS: u32 = 29;
pub(crate) const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;

/// The generation that follows `generation`.
pub(crate) const fn next_generation(generation: u32) -> u32 {
    generation.wrapping_add(1) & GENERATION_MASK
}

/// State 3 bits | generation 29 | probes out 16 | probes ok 16.
///
/// The machine behind the lock is the truth; this is the summary of it that
/// callers read without a lock. Closed is zero in its state bits, so that the
/// hot path tests the three top bits against nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) u64);

const STATE_SHIFT: u32 = 61;
const GENERATION_SHIFT: u32 = 32;
const OUT_SHIFT: u32 = 16;

impl Word {
    pub(crate) const fn pack(state: State, generation: u32, out: u16, ok: u16) -> Self {
        let generation = (generation & GENERATION_MASK) as u64;
        Self(
            (state_bits(state) << STATE_SHIFT)
                | (generation << GENERATION_SHIFT)
                | ((out as u64) << OUT_SHIFT)
                | ok as u64,
        )
    }

    pub(crate) const fn state(self) -> State {
        match self.0 >> STATE_SHIFT {
            0 => State::Closed,
            1 => State::Open,
            2 => State::HalfOpen,
            3 => State::ForcedOpen,
            _ => State::Disabled,
        }
    }

    #[inline]
    pub(crate) const fn is_closed(self) -> bool {
        self.0 >> STATE_SHIFT == 0
    }

    #[inline]
    pub(crate) const fn generation(self) -> u32 {
        (self.0 >> GENERATION_SHIFT) as u32 & GENERATION_MASK
    }

    /// Probes that are out and not yet answered.
    pub(crate) const fn out(self) -> u16 {
        ((self.0 >> OUT_SHIFT) & 0xFFFF) as u16
    }

    /// Probes that succeeded in this half-open life.
    pub(crate) const fn ok(self) -> u16 {
        (self.0 & 0xFFFF) as u16
    }

    /// Whether this is the closed life number `generation`.
    #[inline]
    pub(crate) const fn is_closed_life(self, generation: u32) -> bool {
        self.0 >> GENERATION_SHIFT == generation as u64
    }
}

const fn state_bits(state: State) -> u64 {
    match state {
        State::Closed => 0,
        State::Open => 1,
        State::HalfOpen => 2,
        State::ForcedOpen => 3,
        State::Disabled => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [State; 5] = [
        State::Closed,
        State::Open,
        State::HalfOpen,
        State::ForcedOpen,
        State::Disabled,
    ];

    fn check(state: State, generation: u32, out: u16, ok: u16) {
        let word = Word::pack(state, generation, out, ok);
        assert_eq!(
            (word.state(), word.generation(), word.out(), word.ok()),
            (state, generation, out, ok)
        );
        assert_eq!(word.is_closed(), state == State::Closed);
        assert_eq!(word.is_closed_life(generation), state == State::Closed);
    }

    /// Every value of every field, against both extremes of the other fields:
    /// a field that leaked one bit into a neighbour would show there. The 29
    /// bits of the generation are walked as two overlapping halves.
    #[test]
    fn packing_is_exact_for_every_value_of_every_field() {
        let generations = (0..=0x7FFF).chain((0..=0x3FFF).map(|high| high << 15));
        for state in STATES {
            for (generation, edge) in generations
                .clone()
                .flat_map(|g| [(g, 0), (g, u16::MAX)])
                .chain([(GENERATION_MASK, 1)])
            {
                check(state, generation, edge, edge);
                check(state, GENERATION_MASK - generation, edge, !edge);
            }
            for count in 0..=u16::MAX {
                for generation in [0, GENERATION_MASK] {
                    check(state, generation, count, 0);
                    check(state, generation, count, u16::MAX);
                    check(state, generation, 0, count);
                    check(state, generation, u16::MAX, count);
                }
            }
        }
    }

    #[test]
    fn generations_wrap_inside_their_bits() {
        assert_eq!(next_generation(0), 1);
        assert_eq!(next_generation(GENERATION_MASK), 0);
    }

    #[test]
    fn a_life_is_told_from_its_neighbours() {
        let word = Word::pack(State::Closed, 9, 0, 0);
        assert!(!word.is_closed_life(8) && !word.is_closed_life(10));
    }
}
