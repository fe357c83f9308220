//! Content codings (RFC 9110 §8.4): answers packed where that is worth it and wanted, bodies of
//! requests unpacked up to a bound.

mod accept;
mod pack;
mod unpack;

use axum::{body::Body, extract::Request, middleware::Next, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};

pub(in crate::transport::http) use accept::Wanted;
pub(super) use unpack::{UnpackError, Unpacker};

use super::{body::Holding, stats::Counters};
use crate::config::CompressionConfig;

/// Larger bodies are packed and unpacked off the runtime's threads.
const INLINE_BYTES_MAX: usize = 32 * 1024;

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    /// The zlib format (RFC 9110 §8.4.1.2).
    Deflate,
    Brotli,
    Zstd,
}

/// A coding, or several at once, that are not known here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnknownCoding;

impl Coding {
    /// All codings, the one first that is chosen where a client likes several equally.
    const ALL: [Self; 4] = [Self::Zstd, Self::Brotli, Self::Gzip, Self::Deflate];

    const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    fn named(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("x-gzip") {
            return Some(Self::Gzip);
        }
        let mut all = Self::ALL.into_iter();
        all.find(|coding| name.eq_ignore_ascii_case(coding.name()))
    }

    /// The coding of a request's body; `None` where it has none.
    pub(super) fn of_body(headers: &HeaderMap) -> Result<Option<Self>, UnknownCoding> {
        let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => match value.to_str().map(str::trim) {
                Ok(name) if name.eq_ignore_ascii_case("identity") => Ok(None),
                Ok(name) => Self::named(name).map(Some).ok_or(UnknownCoding),
                Err(_) => Err(UnknownCoding),
            },
            // Several on top of each other would also multiply what a bomb can do.
            (Some(_), Some(_)) => Err(UnknownCoding),
        }
    }
}

/// Packs answers.
#[derive(Debug, Clone)]
pub(super) struct Packer {
    bytes_min: u64,
    counters: Counters,
}

impl Packer {
    pub(super) fn new(config: &CompressionConfig, counters: Counters) -> Self {
        Self {
            bytes_min: config.bytes_min as u64,
            counters,
        }
    }

    /// Packs the answer to `request`, if it is worth it and wanted.
    pub(super) async fn check(&self, request: Request, next: Next) -> Response {
        let wanted = Wanted::read(request.headers());
        self.packed(next.run(request).await, &wanted).await
    }

    /// Packs an answer, if it is worth it and `wanted`.
    pub(super) async fn packed(&self, response: Response, wanted: &Wanted) -> Response {
        let size = response.body().size_hint().exact();
        let coded = response.headers().contains_key(header::CONTENT_ENCODING);
        // Streams have no size: what is in them must not wait for more.
        let Some(size) = size.filter(|size| *size > 0 && !coded) else {
            return response;
        };
        let worth = size >= self.bytes_min || !wanted.identity;
        match wanted.coding.filter(|_| worth) {
            Some(coding) => self.pack(response, coding).await,
            None => varying(response),
        }
    }

    async fn pack(&self, response: Response, coding: Coding) -> Response {
        let (mut head, mut body) = response.into_parts();
        let Ok(collected) = (&mut body).collect().await else {
            return Response::from_parts(head, body);
        };
        let plain = collected.to_bytes();
        let packed = match plain.len() <= INLINE_BYTES_MAX {
            true => pack::pack(&plain, coding),
            false => {
                let plain = plain.clone();
                let packed = tokio::task::spawn_blocking(move || pack::pack(&plain, coding));
                packed.await.unwrap_or_else(|error| Err(error.into()))
            }
        };
        let packed = match packed {
            Ok(packed) if packed.len() < plain.len() => Bytes::from(packed),
            Ok(_) => return varying(Response::from_parts(head, Body::from(plain))),
            Err(error) => {
                tracing::error!(%error, ?coding, "an answer could not be packed");
                return Response::from_parts(head, Body::from(plain));
            }
        };
        self.counters.packed(plain.len(), packed.len());
        let name = HeaderValue::from_static(coding.name());
        head.headers.insert(header::CONTENT_ENCODING, name);
        head.headers.remove(header::CONTENT_LENGTH);
        // What the body has held until it was sent is held on.
        let body = Holding::new(Full::new(packed), body);
        varying(Response::from_parts(head, Body::new(body)))
    }
}

/// Says to caches on the way that the answer depends on what is accepted.
fn varying(mut response: Response) -> Response {
    let name = HeaderValue::from_static("accept-encoding");
    response.headers_mut().append(header::VARY, name);
    response
}
