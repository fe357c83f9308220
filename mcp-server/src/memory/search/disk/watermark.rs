//! How far an index has read its store.

/// The layout of the index and the rules that cut texts into words: an index of another number is
/// made again.
const FORMAT: u32 = 1;

/// The last change that is in an index. The stamp tells one history of a store from another that
/// happens to be as long, such as that of a restored backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Watermark {
    /// The change's place in the store's sequence; 0 before the first.
    pub sequence: i64,
    /// What the store wrote beside it.
    pub stamp: i64,
}

impl Watermark {
    pub(super) fn to_payload(self) -> String {
        format!("{FORMAT} {} {}", self.sequence, self.stamp)
    }

    /// `None` when the payload is not of this format.
    pub(super) fn from_payload(payload: &str) -> Option<Self> {
        let mut parts = payload.split(' ');
        let format: u32 = parts.next()?.parse().ok()?;
        let sequence = parts.next()?.parse().ok()?;
        let stamp = parts.next()?.parse().ok()?;
        (format == FORMAT && parts.next().is_none()).then_some(Self { sequence, stamp })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_read_back_and_others_refused() {
        let mark = Watermark {
            sequence: 7,
            stamp: -3,
        };
        assert_eq!(Watermark::from_payload(&mark.to_payload()), Some(mark));
        for other in ["", "1", "1 7", "0 7 3", "1 7 3 4", "1 x 3"] {
            assert_eq!(Watermark::from_payload(other), None, "{other:?}");
        }
    }
}
