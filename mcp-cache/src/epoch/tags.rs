//! Tags as entries carry them: fingerprints, four of them in place.

/// A tag's fingerprint within one [`Epochs`](crate::Epochs), made by
/// [`Epochs::tag`](crate::Epochs::tag) and valid there only.
///
/// Two names can share a fingerprint (one pair in four thousand million);
/// invalidating one then invalidates both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag(pub(crate) u32);

const IN_PLACE: usize = 4;

/// The tags of one entry; up to four take no allocation.
#[derive(Debug)]
pub(crate) enum TagSet {
    /// The first `len` of `tags`.
    Few {
        len: u8,
        tags: [Tag; IN_PLACE],
    },
    Many(Box<[Tag]>),
}

impl Default for TagSet {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl TagSet {
    pub(crate) fn new(tags: &[Tag]) -> Self {
        let mut few = [Tag(0); IN_PLACE];
        match (few.get_mut(..tags.len()), u8::try_from(tags.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(tags);
                Self::Few { len, tags: few }
            }
            _ => Self::Many(tags.into()),
        }
    }

    pub(crate) fn as_slice(&self) -> &[Tag] {
        match self {
            Self::Few { len, tags } => &tags[..usize::from(*len)],
            Self::Many(tags) => tags,
        }
    }

    /// Bytes outside of the set itself for these tags.
    pub(crate) fn heap_bytes(tags: &[Tag]) -> u64 {
        if tags.len() <= IN_PLACE {
            return 0;
        }
        size_of_val::<[Tag]>(tags) as u64
    }
}
