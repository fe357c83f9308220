//! Durations in configuration files as `250ms`, `60s`, `5m`, `1h`.

use serde::{Deserialize, Deserializer, Serializer, de::Error};
use std::time::Duration;

/// Largest first, so that a duration is written in the largest unit that is
/// exact.
const UNITS: [(&str, u128); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

pub(crate) fn serialize<S: Serializer>(value: &Duration, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&to_text(*value))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(input)?;
    parse(&text).ok_or_else(|| refusal(&text))
}

fn to_text(value: Duration) -> String {
    let ns = value.as_nanos();
    let exact = UNITS
        .iter()
        .find(|(_, unit_ns)| ns > 0 && ns.is_multiple_of(*unit_ns));
    exact.map_or_else(
        || "0s".to_owned(),
        |(name, unit_ns)| format!("{}{name}", ns / unit_ns),
    )
}

fn parse(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, unit_ns) = UNITS.iter().find(|(name, _)| *name == unit.trim())?;
    let ns = number.parse::<u128>().ok()?.checked_mul(*unit_ns)?;
    u64::try_from(ns).ok().map(Duration::from_nanos)
}

/// The same for a duration that may be absent.
pub(crate) mod optional {
    use super::{Deserialize, Deserializer, Duration, Serializer, parse, refusal, to_text};

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => out.serialize_some(&to_text(*value)),
            None => out.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        input: D,
    ) -> Result<Option<Duration>, D::Error> {
        let Some(text) = Option::<String>::deserialize(input)? else {
            return Ok(None);
        };
        parse(&text).map(Some).ok_or_else(|| refusal(&text))
    }
}

fn refusal<E: Error>(text: &str) -> E {
    E::custom(format!(
        "`{text}` is not a duration: write it as 250ms, 60s, 5m or 1h"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_follow_the_table() {
        let check = |text, expect: Option<Duration>| assert_eq!(parse(text), expect, "{text:?}");
        check("250ms", Some(Duration::from_millis(250)));
        check("60s", Some(Duration::from_secs(60)));
        check("5 m", Some(Duration::from_secs(300)));
        check("1h", Some(Duration::from_secs(3600)));
        check("0s", Some(Duration::ZERO));
        check("60", None);
        check("", None);
        check("s", None);
        check("-1s", None);
        check("1.5s", None);
        check("99999999999999999999h", None);
        check("1d", None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(ns in any::<u64>()) {
            let value = Duration::from_nanos(ns);
            prop_assert_eq!(parse(&to_text(value)), Some(value));
        }
    }
}
