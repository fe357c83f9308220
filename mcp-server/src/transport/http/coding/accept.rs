//! Which coding a client wants (RFC 9110 §12.5.3).

use http::{HeaderMap, header};

use super::Coding;

/// Quality values, in thousandths.
const BEST: u16 = 1_000;

/// What a client wants.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::transport::http) struct Wanted {
    /// The coding it likes best, if it likes one at least as much as none.
    pub(super) coding: Option<Coding>,
    /// Whether it takes a body without a coding.
    pub(super) identity: bool,
}

impl Wanted {
    pub(in crate::transport::http) fn read(headers: &HeaderMap) -> Self {
        let mut qualities = [None; Coding::ALL.len()];
        let (mut identity, mut any) = (None, None);
        let values = headers.get_all(header::ACCEPT_ENCODING).iter();
        let values = values.filter_map(|value| value.to_str().ok());
        for element in values.flat_map(|value| value.split(',')) {
            let mut parts = element.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let quality = quality(parts);
            if name == "*" {
                any = Some(quality);
            } else if name.eq_ignore_ascii_case("identity") {
                identity = Some(quality);
            } else if let Some(coding) = Coding::named(name) {
                let index = Coding::ALL.iter().position(|known| *known == coding);
                if let Some(index) = index {
                    qualities[index] = Some(quality);
                }
            }
        }
        let identity = identity.or_else(|| any.filter(|quality| *quality == 0));
        let mut best = None;
        for (coding, quality) in Coding::ALL.into_iter().zip(qualities) {
            let quality = quality.or(any).unwrap_or(0);
            if quality > best.map_or(0, |(_, best)| best) {
                best = Some((coding, quality));
            }
        }
        Self {
            coding: best
                .filter(|(_, quality)| *quality >= identity.unwrap_or(0))
                .map(|(coding, _)| coding),
            identity: identity != Some(0),
        }
    }
}

/// A quality that cannot be read stands for one that is not wanted.
fn quality<'a>(mut parameters: impl Iterator<Item = &'a str>) -> u16 {
    let Some(parameter) = parameters.next() else {
        return BEST;
    };
    let value = parameter
        .strip_prefix(['q', 'Q'])
        .and_then(|rest| rest.trim_start().strip_prefix('='))
        .and_then(|value| thousandths(value.trim()));
    value.unwrap_or(0)
}

/// `0`, `1`, or either with a point and up to three digits behind it.
fn thousandths(value: &str) -> Option<u16> {
    let (whole, digits) = value.split_once('.').unwrap_or((value, ""));
    let is_number = digits.len() <= 3 && digits.bytes().all(|digit| digit.is_ascii_digit());
    if !is_number {
        return None;
    }
    let part: u16 = format!("{digits:0<3}").parse().ok()?;
    match whole {
        "0" => Some(part),
        "1" if part == 0 => Some(BEST),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_what_is_wanted_is_chosen() {
        use Coding::{Brotli, Deflate, Gzip, Zstd};

        let check = |accept: &str, coding: Option<Coding>, identity: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, accept.parse().unwrap());
            let wanted = Wanted::read(&headers);
            assert_eq!(wanted, Wanted { coding, identity }, "{accept}");
        };
        check("gzip", Some(Gzip), true);
        check("x-gzip", Some(Gzip), true);
        check("GZIP, Deflate", Some(Gzip), true);
        check("gzip, deflate, br", Some(Brotli), true);
        check("gzip, deflate, br, zstd", Some(Zstd), true);
        check("deflate", Some(Deflate), true);
        check("gzip;q=0.5, deflate;q=0.8", Some(Deflate), true);
        check("zstd;q=0.1, br;q=0.123", Some(Brotli), true);
        check("gzip ; q = 1.000", Some(Gzip), true);
        check("gzip;q=0", None, true);
        check("gzip;q=0.0", None, true);
        check("*", Some(Zstd), true);
        check("zstd;q=0, *", Some(Brotli), true);
        check("*;q=0", None, false);
        check("identity;q=0, gzip", Some(Gzip), false);
        check("identity;q=0", None, false);
        check("gzip;q=0.4, identity;q=0.6", None, true);
        check("gzip;q=0.6, identity;q=0.6", Some(Gzip), true);
        check("gzip, *;q=0", Some(Gzip), false);
        for odd in [
            "",
            ",",
            ";",
            "gzip;q=2",
            "gzip;q=1.5",
            "gzip;q=x",
            "gzip;q=0.1234",
            "gzip;z=1",
        ] {
            check(odd, None, true);
        }
        check("compress, exi", None, true);
        let none = Wanted::read(&HeaderMap::new());
        assert_eq!((none.coding, none.identity), (None, true));
    }
}
