//! Detached signatures.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{hmac, signature};

use super::SignatureKind;

/// A shorter secret could be found by trying.
const SECRET_BYTES_MIN: usize = 32;
/// What stands before the 32 bytes of a public key in the form that PEM holds (RFC 8410).
const SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// What signatures are checked with.
pub(super) enum Key {
    Hmac(hmac::Key),
    Ed25519([u8; 32]),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

impl Key {
    /// The key that a setting means; the error says what would be one, and nothing of the key.
    pub(super) fn new(kind: SignatureKind, text: &str) -> Result<Self, &'static str> {
        match kind {
            SignatureKind::HmacSha256 => match text.trim().as_bytes() {
                secret if secret.len() < SECRET_BYTES_MIN => {
                    Err("the secret has less than 32 bytes")
                }
                secret => Ok(Self::Hmac(hmac::Key::new(hmac::HMAC_SHA256, secret))),
            },
            SignatureKind::Ed25519 => {
                let not_one = "the key is no public key of Ed25519 in base64 or PEM";
                let lines = text.lines().filter(|line| !line.starts_with("-----"));
                let bytes = unwrapped(&lines.collect::<String>()).ok_or(not_one)?;
                let raw = bytes.strip_prefix(&SPKI).unwrap_or(&bytes);
                raw.try_into().map(Self::Ed25519).map_err(|_| not_one)
            }
        }
    }

    /// Whether `signature`, in base64, is one of `document` by the holder of this key. Takes as long
    /// for a wrong one as for a right one.
    pub(super) fn signed(&self, document: &[u8], signature: &str) -> bool {
        let Some(signature) = unwrapped(signature) else {
            return false;
        };
        match self {
            Self::Hmac(key) => hmac::verify(key, document, &signature).is_ok(),
            Self::Ed25519(key) => signature::UnparsedPublicKey::new(&signature::ED25519, key)
                .verify(document, &signature)
                .is_ok(),
        }
    }
}

/// The bytes of a base64 text, which may be broken into lines.
fn unwrapped(text: &str) -> Option<Vec<u8>> {
    let letters: String = text.split_whitespace().collect();
    STANDARD.decode(letters).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &[u8] = b"a map";
    // Made by OpenSSL: `openssl dgst -sha256 -hmac`, `openssl pkeyutl -sign -rawin`.
    const SECRET: &str = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk";
    const BY_SECRET: &str = "PINc4GD3BYGIF1FiB7azjwIx2rqrJRSpS2ZDiw7XEbA=";
    const PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAdw2TS03k4lhm7LG9Oy1nmV0svmFfKNMAlDyUBffr86w=\n\
        -----END PUBLIC KEY-----\n";
    const RAW: &str = "dw2TS03k4lhm7LG9Oy1nmV0svmFfKNMAlDyUBffr86w=";
    const BY_KEY: &str = "FGElJJmyLpjtkA2Fqgk6wX7oUU7V3x8X3/Yd3u8w5oX3OwoLb+AoWTRTmUwbxTXR3iTy\n\
        XqW2Z9ADcxFPpLaXCA==\n";

    #[test]
    fn only_what_was_signed_is_taken_for_signed() {
        for (kind, key, signature) in [
            (SignatureKind::HmacSha256, SECRET, BY_SECRET),
            (SignatureKind::Ed25519, PEM, BY_KEY),
            (SignatureKind::Ed25519, RAW, BY_KEY),
        ] {
            let key = Key::new(kind, key).unwrap();
            assert!(key.signed(MAP, signature), "{kind:?}");
            assert!(!key.signed(b"a mop", signature));
            assert!(!key.signed(b"", signature));
            let mut other = signature.to_owned();
            other.replace_range(0..1, "A");
            for wrong in ["", "=", "not base64", &other, &signature[..20]] {
                assert!(!key.signed(MAP, wrong), "{kind:?} {wrong}");
            }
            assert_eq!(format!("{key:?}"), "Key(***)");
        }
        // A signature of the one kind is none of the other.
        let key = Key::new(SignatureKind::Ed25519, RAW).unwrap();
        assert!(!key.signed(MAP, BY_SECRET));
    }

    #[test]
    fn what_is_no_key_is_refused_without_showing_it() {
        for (kind, text) in [
            (SignatureKind::HmacSha256, "short"),
            (SignatureKind::Ed25519, "hush hush"),
            (SignatureKind::Ed25519, BY_KEY),
            (SignatureKind::Ed25519, ""),
        ] {
            let refused = Key::new(kind, text).unwrap_err();
            assert!(text.is_empty() || !refused.contains(text), "{refused}");
        }
    }
}
