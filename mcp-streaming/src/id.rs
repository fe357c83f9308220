//! The names of events, as a client sends them back in `Last-Event-ID`.

use std::{fmt, str::FromStr};
use thiserror::Error;

/// An event's id: the process it comes from, its session, its stream and its
/// number in the stream. Ids are unique in all sessions, and written as four
/// hexadecimal numbers: `5f3a91c0-9d2-1-2a`.
///
/// It is a name and no secret: to resume needs the session, by its id and owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventId {
    pub(crate) origin: Origin,
    pub(crate) seq: u64,
}

/// A stream's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    /// Random, one per budget: ids of an earlier life match nothing.
    pub(crate) epoch: u32,
    /// Random, one per session; 0 outside of sessions.
    pub(crate) session: u32,
    pub(crate) stream: u64,
}

impl EventId {
    /// The event's number in its stream. The first one is 1; each further one is
    /// one more.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The stream's number, unique in the budget that began it.
    #[must_use]
    pub fn stream(&self) -> u64 {
        self.origin.stream
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:x}", self.origin, self.seq)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            epoch,
            session,
            stream,
        } = self;
        write!(f, "{epoch:x}-{session:x}-{stream:x}")
    }
}

/// A text is no event id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not an event id")]
pub struct ParseEventIdError;

impl FromStr for EventId {
    type Err = ParseEventIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('-').map(parse_hex);
        let mut next = || parts.next().flatten().ok_or(ParseEventIdError);
        let narrow = |n: u64| u32::try_from(n).map_err(|_| ParseEventIdError);
        let origin = Origin {
            epoch: narrow(next()?)?,
            session: narrow(next()?)?,
            stream: next()?,
        };
        let seq = next()?;
        match parts.next() {
            None => Ok(Self { origin, seq }),
            Some(_) => Err(ParseEventIdError),
        }
    }
}

/// Only what [`EventId`] writes: no sign, no leading zero, lower case.
fn parse_hex(text: &str) -> Option<u64> {
    let digits = text.bytes();
    let is_ours = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    let canonical = text == "0" || !text.starts_with('0');
    let plain = !text.is_empty() && digits.into_iter().all(is_ours);
    if !(plain && canonical) {
        return None;
    }
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_is_read_back(epoch: u32, session: u32, stream: u64, seq: u64) {
            let id = EventId { origin: Origin { epoch, session, stream }, seq };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn any_text_is_an_id_in_one_way_only(text in "[0-9a-f+-]{0,12}") {
            if let Ok(id) = text.parse::<EventId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "1",
            "1-2-3",
            "1-2-3-4-5",
            "1-2-3-",
            "1-2-3-G",
            "01-2-3-4",
            "+1-2-3-4",
            "100000000-0-0-0",
        ] {
            assert_eq!(text.parse::<EventId>(), Err(ParseEventIdError), "{text}");
        }
    }
}
