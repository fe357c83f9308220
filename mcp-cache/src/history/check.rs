//! The verdict on a log of operations.

use std::fmt;

/// One operation of one worker. Moments are drawn from one counter, so that no
/// two are the same and their order is the order of real time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Op {
    /// The moment of the call.
    pub called: u64,
    /// The moment of the return.
    pub returned: u64,
    /// The key.
    pub key: u32,
    /// What was done.
    pub action: Action,
}

/// What an operation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Read, and got this version; `None` if it was cancelled or failed.
    Read(Option<u64>),
    /// Invalidated, or wrote through, after the source held this version.
    Invalidate(u64),
}

/// A read that is older than an invalidation that had returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    /// The read.
    pub read: Op,
    /// The version that it had to answer with, at least.
    pub at_least: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Op {
            called,
            key,
            action,
            ..
        } = self.read;
        write!(
            f,
            "a stale read of key {key}: {action:?}, called at {called}, after the invalidation \
             of version {} had returned",
            self.at_least
        )
    }
}

impl std::error::Error for Violation {}

/// Checks a log. `floors` holds, by key, the version that every read must
/// answer with at least; it is taken from the logs before and brought up to
/// date.
///
/// # Errors
/// The first read, by its call, that is too old.
///
/// # Panics
/// If an operation's key has no floor.
pub fn check(log: &[Op], floors: &mut [u64]) -> Result<(), Violation> {
    // What matters of an invalidation is its return, of a read its call.
    let moment = |op: &Op| match op.action {
        Action::Read(_) => op.called,
        Action::Invalidate(_) => op.returned,
    };
    let mut order: Vec<&Op> = log.iter().collect();
    order.sort_unstable_by_key(|op| moment(op));
    for op in order {
        let floor = &mut floors[op.key as usize];
        match op.action {
            Action::Invalidate(version) => *floor = (*floor).max(version),
            Action::Read(Some(version)) if version < *floor => {
                return Err(Violation {
                    read: *op,
                    at_least: *floor,
                });
            }
            Action::Read(_) => {}
        }
    }
    Ok(())
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use super::*;

    fn op(called: u64, returned: u64, key: u32, action: Action) -> Op {
        Op {
            called,
            returned,
            key,
            action,
        }
    }

    #[test]
    fn only_a_read_after_the_return_is_bound() {
        use Action::{Invalidate, Read};
        let rows: [(&[Op], Option<u64>); 6] = [
            // Called before the invalidation returned: the old version will do.
            (
                &[op(1, 4, 0, Invalidate(5)), op(3, 9, 0, Read(Some(4)))],
                None,
            ),
            (
                &[op(1, 4, 0, Invalidate(5)), op(6, 9, 0, Read(Some(4)))],
                Some(5),
            ),
            (
                &[op(6, 9, 0, Read(Some(5))), op(1, 4, 0, Invalidate(5))],
                None,
            ),
            // Other keys, and reads without an answer, say nothing.
            (
                &[op(1, 4, 0, Invalidate(5)), op(6, 9, 1, Read(Some(0)))],
                None,
            ),
            (&[op(1, 4, 0, Invalidate(5)), op(6, 9, 0, Read(None))], None),
            // The highest one counts, in whatever order they return.
            (
                &[
                    op(1, 2, 0, Invalidate(7)),
                    op(1, 4, 0, Invalidate(6)),
                    op(5, 6, 0, Read(Some(6))),
                ],
                Some(7),
            ),
        ];
        for (log, expect) in rows {
            let result = check(log, &mut [0, 0]);
            assert_eq!(
                result.err().map(|violation| violation.at_least),
                expect,
                "{log:?}"
            );
        }
    }

    #[test]
    fn floors_carry_over() {
        let mut floors = [0];
        let first = [op(1, 2, 0, Action::Invalidate(3))];
        assert_eq!(check(&first, &mut floors), Ok(()));
        assert_eq!(floors, [3]);
        let second = [op(1, 2, 0, Action::Read(Some(2)))];
        let violation = check(&second, &mut floors).expect_err("stale");
        assert!(violation.to_string().contains("key 0"), "{violation}");
    }
}
