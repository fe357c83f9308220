//! Keys and values as bytes.

use bytes::Bytes;

/// A key that other processes can read.
pub trait RemoteKey: Sized {
    /// Its bytes; two keys must not have the same.
    fn to_bytes(&self) -> Bytes;
    /// The key of these bytes; `None` if there is none.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

/// A value that other processes can read.
pub trait RemoteValue: Sized {
    /// Its bytes.
    fn to_bytes(&self) -> Bytes;
    /// The value of these bytes; `None` if there is none, which is a miss: a
    /// type that changes its form should see that the old one is not taken for
    /// the new.
    fn from_bytes(bytes: Bytes) -> Option<Self>;
}

impl RemoteKey for String {
    fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self.as_bytes())
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        String::from_utf8(bytes.to_vec()).ok()
    }
}

impl RemoteKey for std::sync::Arc<str> {
    fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self.as_bytes())
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok().map(Self::from)
    }
}

impl RemoteKey for Bytes {
    fn to_bytes(&self) -> Bytes {
        self.clone()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self::copy_from_slice(bytes))
    }
}

impl RemoteKey for u64 {
    fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(&self.to_be_bytes())
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

impl RemoteValue for Bytes {
    fn to_bytes(&self) -> Bytes {
        self.clone()
    }

    fn from_bytes(bytes: Bytes) -> Option<Self> {
        Some(bytes)
    }
}

impl RemoteValue for String {
    fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self.as_bytes())
    }

    fn from_bytes(bytes: Bytes) -> Option<Self> {
        String::from_utf8(bytes.into()).ok()
    }
}

impl RemoteValue for u64 {
    fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(&self.to_le_bytes())
    }

    fn from_bytes(bytes: Bytes) -> Option<Self> {
        bytes.as_ref().try_into().ok().map(Self::from_le_bytes)
    }
}
