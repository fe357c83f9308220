//! What processes tell each other.
//!
//! ```text
//! version  1 byte, 1
//! origin   8 bytes: who published it
//! form     1 byte: `i` invalidates scopes, `f` forgets everything
//! scopes   each a kind byte and a name with its length as a varint
//! ```

use super::{
    scope::{Kind, Scope},
    wire::{Reader, put_bytes},
};
use bytes::Bytes;

const VERSION: u8 = 1;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    Invalidate {
        origin: u64,
        scopes: Vec<Scope>,
    },
    /// Everything older than the message may be wrong.
    Forget,
}

impl Message {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        match self {
            Self::Invalidate { origin, scopes } => {
                out.extend_from_slice(&origin.to_le_bytes());
                out.push(b'i');
                for scope in scopes {
                    out.push(scope.kind as u8);
                    put_bytes(&mut out, &scope.name);
                }
            }
            Self::Forget => {
                out.extend_from_slice(&[0; 8]);
                out.push(b'f');
            }
        }
        out
    }

    /// What cannot be read, or only by a later version, means everything.
    pub(crate) fn decode(bytes: Bytes) -> Self {
        Self::parse(bytes).unwrap_or(Self::Forget)
    }

    fn parse(bytes: Bytes) -> Option<Self> {
        let mut reader = Reader(bytes);
        if reader.byte()? != VERSION {
            return None;
        }
        let origin = reader.u64()?;
        if reader.byte()? != b'i' {
            return None;
        }
        let mut scopes = Vec::new();
        while !reader.0.is_empty() {
            let kind = Kind::from_byte(reader.byte()?)?;
            scopes.push(Scope::new(kind, reader.bytes()?));
        }
        Some(Self::Invalidate { origin, scopes })
    }
}

#[cfg(all(test, not(mcp_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_told_is_heard(
            origin in any::<u64>(),
            names in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
        ) {
            let scopes = names.iter().map(|name| Scope::new(Kind::Tag, name)).collect();
            let message = Message::Invalidate { origin, scopes };
            let bytes = Bytes::from(message.encode());
            prop_assert_eq!(Message::decode(bytes), message);
        }

        #[test]
        fn noise_is_heard_as_forget_or_as_scopes(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Message::decode(bytes.into());
        }
    }

    #[test]
    fn what_is_cut_or_later_forgets_everything() {
        let scopes = vec![Scope::new(Kind::Tag, "agents")];
        let bytes = Bytes::from(Message::Invalidate { origin: 1, scopes }.encode());
        assert_eq!(
            Message::decode(bytes.slice(..bytes.len() - 1)),
            Message::Forget
        );
        assert_eq!(
            Message::decode(Bytes::from(Message::Forget.encode())),
            Message::Forget
        );
        let mut later = bytes.to_vec();
        later[0] = 2;
        assert_eq!(Message::decode(later.into()), Message::Forget);
    }
}
