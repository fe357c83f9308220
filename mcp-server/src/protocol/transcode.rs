//! From MessagePack to JSON and back, value by value: nothing is built in between that could be
//! many times larger than what came in.

use std::{cell::Cell, fmt, io};

use serde::{
    Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
    ser::{Error as _, SerializeMap, SerializeSeq},
};

/// Why a message could not be put into the other form.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TranscodeError {
    /// It is not MessagePack, or holds what JSON cannot: binary data or extensions.
    #[error("not MessagePack that could be JSON: {reason}")]
    Malformed {
        /// What the parser says.
        reason: String,
    },
    /// The result would be too large.
    #[error("it would be more than {bytes_max} bytes of JSON")]
    TooLarge {
        /// The most that is taken.
        bytes_max: usize,
    },
}

/// The JSON of one MessagePack value that is nested no deeper than `depth_max`, if that is at most
/// `bytes_max` bytes.
///
/// # Errors
///
/// [`TranscodeError`].
pub fn msgpack_to_json(
    msgpack: &[u8],
    depth_max: usize,
    bytes_max: usize,
) -> Result<Vec<u8>, TranscodeError> {
    let mut rest = msgpack;
    let mut source = rmp_serde::Deserializer::new(&mut rest);
    source.set_max_depth(depth_max);
    let mut json = Bounded {
        bytes: Vec::with_capacity(msgpack.len().min(bytes_max)),
        bytes_max,
        full: false,
    };
    let done = Piece::new(&mut source).serialize(&mut serde_json::Serializer::new(&mut json));
    match done {
        Err(_) if json.full => Err(TranscodeError::TooLarge { bytes_max }),
        Err(error) => Err(malformed(error.to_string())),
        Ok(()) if !rest.is_empty() => Err(malformed("there is more behind it".to_owned())),
        Ok(()) => Ok(json.bytes),
    }
}

/// The MessagePack of a JSON text.
///
/// # Errors
///
/// [`TranscodeError`], when it is no JSON or nested deeper than JSON is read.
pub fn json_to_msgpack(json: &[u8]) -> Result<Vec<u8>, TranscodeError> {
    let mut source = serde_json::Deserializer::from_slice(json);
    let mut msgpack = Vec::with_capacity(json.len());
    Piece::new(&mut source)
        .serialize(&mut rmp_serde::Serializer::new(&mut msgpack))
        .map_err(|error| malformed(error.to_string()))?;
    Ok(msgpack)
}

fn malformed(reason: String) -> TranscodeError {
    TranscodeError::Malformed { reason }
}

/// Takes so many bytes and no more.
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
    full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.bytes_max {
            self.full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A value that is still to be read; it can be written once.
struct Piece<D>(Cell<Option<D>>);

impl<D> Piece<D> {
    fn new(source: D) -> Self {
        Self(Cell::new(Some(source)))
    }
}

impl<'de, D: Deserializer<'de>> Serialize for Piece<D> {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        let source = self.0.take();
        let source = source.ok_or_else(|| S::Error::custom("it was written before"))?;
        source
            .deserialize_any(Forward(target))
            .map_err(S::Error::custom)
    }
}

/// Hands on what is read.
struct Forward<S>(S);

macro_rules! forward {
    ($($visit:ident($what:ty) => $serialize:ident;)+) => {$(
        fn $visit<E: serde::de::Error>(self, value: $what) -> Result<S::Ok, E> {
            self.0.$serialize(value).map_err(E::custom)
        }
    )+};
}

impl<'de, S: Serializer> Visitor<'de> for Forward<S> {
    type Value = S::Ok;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, a boolean, a number, a text, an array or an object")
    }

    forward! {
        visit_bool(bool) => serialize_bool;
        visit_i64(i64) => serialize_i64;
        visit_u64(u64) => serialize_u64;
        visit_f64(f64) => serialize_f64;
        visit_str(&str) => serialize_str;
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<S::Ok, E> {
        self.0.serialize_unit().map_err(E::custom)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<S::Ok, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, source: D) -> Result<S::Ok, D::Error> {
        source.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut source: A) -> Result<S::Ok, A::Error> {
        let target = self.0.serialize_seq(source.size_hint());
        let mut target = target.map_err(A::Error::custom)?;
        while source.next_element_seed(Element(&mut target))?.is_some() {}
        target.end().map_err(A::Error::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut source: A) -> Result<S::Ok, A::Error> {
        let target = self.0.serialize_map(source.size_hint());
        let mut target = target.map_err(A::Error::custom)?;
        while let Some(key) = source.next_key::<String>()? {
            target.serialize_key(&key).map_err(A::Error::custom)?;
            source.next_value_seed(Member(&mut target))?;
        }
        target.end().map_err(A::Error::custom)
    }
}

struct Element<'a, S>(&'a mut S);

impl<'de, S: SerializeSeq> DeserializeSeed<'de> for Element<'_, S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        let piece = Piece::new(source);
        self.0.serialize_element(&piece).map_err(D::Error::custom)
    }
}

struct Member<'a, S>(&'a mut S);

impl<'de, S: SerializeMap> DeserializeSeed<'de> for Member<'_, S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        let piece = Piece::new(source);
        self.0.serialize_value(&piece).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i32>().prop_map(|n| Value::from(f64::from(n) / 8.0)),
            ".{0,40}".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 60, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
                prop::collection::hash_map(".{0,8}", inner, 0..20)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_goes_there_comes_back(value in values()) {
            let text = value.to_string();
            let msgpack = json_to_msgpack(text.as_bytes()).unwrap();
            // By the reference, too.
            prop_assert_eq!(&rmp_serde::from_slice::<Value>(&msgpack).unwrap(), &value);
            let json = msgpack_to_json(&msgpack, 128, 1 << 20).unwrap();
            prop_assert_eq!(serde_json::from_slice::<Value>(&json).unwrap(), value);
        }

        /// Whatever the bytes: an answer, and one that is JSON within the bounds.
        #[test]
        fn any_bytes_are_answered(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            max in 1_usize..2_000,
        ) {
            if let Ok(json) = msgpack_to_json(&bytes, 32, max) {
                prop_assert!(json.len() <= max);
                prop_assert!(serde_json::from_slice::<Value>(&json).is_ok());
            }
        }
    }

    #[test]
    fn what_json_cannot_hold_is_refused() {
        let pack = |value: &Value| rmp_serde::to_vec(value).unwrap();
        let mut deep = vec![0x91; 1_000];
        deep.push(0xc0);
        let mut two = pack(&json!(1));
        two.extend(pack(&json!(2)));
        for (bytes, what) in [
            (vec![], "nothing"),
            (vec![0xc1], "a reserved byte"),
            (vec![0xc4, 1, 0], "binary data"),
            (vec![0xd4, 1, 0], "an extension"),
            (
                vec![0xdd, 0xff, 0xff, 0xff, 0xff],
                "an array that lies about its length",
            ),
            (
                vec![0xdb, 0xff, 0xff, 0xff, 0xff, b'a'],
                "a text that lies about its length",
            ),
            (vec![0xa1, 0xff], "a text that is not UTF-8"),
            (vec![0x81, 0x01, 0x02], "a number for a name"),
            (deep, "what is nested too deep"),
            (two, "two values"),
        ] {
            let read = msgpack_to_json(&bytes, 100, 1_000_000);
            assert!(
                matches!(read, Err(TranscodeError::Malformed { .. })),
                "{what}: {read:?}"
            );
        }
        // A byte for each null, five in JSON.
        let nulls = pack(&json!(vec![Value::Null; 1_000]));
        let read = msgpack_to_json(&nulls, 10, 4_000);
        assert!(
            matches!(read, Err(TranscodeError::TooLarge { bytes_max: 4_000 })),
            "{read:?}"
        );
        assert!(msgpack_to_json(&nulls, 10, 6_000).is_ok());
    }
}
