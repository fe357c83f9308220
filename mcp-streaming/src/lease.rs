//! How much a stream takes from the budgets above it at once: a function of
//! plain numbers.
//!
//! A stream does not touch the shared counters for every event. It leases a
//! chunk and works off it; the more streams share a limit, the smaller the
//! chunk, so that what is leased and unused stays a small share of the limit.

/// The largest chunk.
const CHUNK_MAX: u64 = 64 << 10;
/// The smallest one.
const CHUNK_MIN: u64 = 1 << 10;
/// What is leased and unused is about this share of a limit at the most, until
/// the chunks are smallest.
const SHARE: u64 = 16;

/// The chunk under a limit that so many streams share.
pub(crate) fn chunk(limit: u64, streams: u64) -> u64 {
    let share = limit / SHARE / streams.max(1);
    (share / CHUNK_MIN * CHUNK_MIN).clamp(CHUNK_MIN, CHUNK_MAX)
}

/// What to lease for `missing` bytes: whole chunks, at most `room`, which is
/// what the stream may still lease and is never below `missing`.
pub(crate) fn wanted(missing: u64, chunk: u64, room: u64) -> u64 {
    missing.next_multiple_of(chunk).min(room)
}

/// What to give back: everything from an empty stream, all that is unused where
/// others wait for it, otherwise what goes beyond two chunks, down to one.
pub(crate) fn spare(used: u64, leased: u64, chunk: u64, pressed: bool) -> u64 {
    let unused = leased - used;
    if used == 0 || pressed {
        unused
    } else if unused > 2 * chunk {
        unused - chunk
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn chunks_shrink_as_streams_come() {
        let check = |limit, streams, expect| assert_eq!(chunk(limit, streams), expect);
        check(256 << 20, 0, 64 << 10);
        check(256 << 20, 256, 64 << 10);
        check(256 << 20, 512, 32 << 10);
        check(256 << 20, 10_000, 1 << 10);
        check(64 << 10, 1, 4 << 10);
        check(1 << 10, 1, 1 << 10);
    }

    #[test]
    fn spare_bytes_go_back() {
        let check = |used, leased, pressed, expect| {
            assert_eq!(spare(used, leased, 1_000, pressed), expect);
        };
        check(0, 64, false, 64);
        check(1, 2_001, false, 0);
        check(1, 2_002, false, 1_001);
        check(1, 2, true, 1);
        check(2, 2, true, 0);
    }

    proptest! {
        #[test]
        fn a_lease_covers_what_is_missing_and_no_more_than_the_room(
            missing in 1u64..1 << 30, chunk in 1u64..=CHUNK_MAX, more in 0u64..1 << 30,
        ) {
            let room = missing + more;
            let wanted = wanted(missing, chunk, room);
            prop_assert!(wanted >= missing && wanted <= room && wanted < missing + chunk);
        }

        #[test]
        fn what_is_used_stays_leased(
            used in 0u64..1 << 30, unused in 0u64..1 << 30, chunk in CHUNK_MIN..=CHUNK_MAX, pressed: bool,
        ) {
            let back = spare(used, used + unused, chunk, pressed);
            prop_assert!(back <= unused);
            prop_assert!(unused - back <= 2 * chunk);
        }
    }
}
