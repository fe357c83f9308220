//! The page's files, which are part of the program.

use axum::{Router, extract::Request, response::Response, routing};
use http::{HeaderName, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::transport::http::body;

/// Nothing but the page's own files, no inline script or style, no frame around it, and no HTML out
/// of texts.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // A newer program has newer files: they are asked for each time, and sent only when they differ.
    (header::CACHE_CONTROL, "no-cache"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";

struct Asset {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
}

macro_rules! assets {
    ($($kind:ident $path:literal,)+) => {
        &[$(Asset {
            path: concat!("/dashboard/", $path),
            kind: $kind,
            text: include_str!(concat!("../../../../assets/dashboard/", $path)),
        },)+]
    };
}

const PAGE: Asset = Asset {
    path: "/dashboard",
    kind: HTML,
    text: include_str!("../../../../assets/dashboard/index.html"),
};

const FILES: &[Asset] = assets! {
    CSS "style.css",
    SVG "icon.svg",
    SCRIPT "js/api.js",
    SCRIPT "js/chart.js",
    SCRIPT "js/dom.js",
    SCRIPT "js/main.js",
    SCRIPT "js/series.js",
    SCRIPT "js/theme.js",
    SCRIPT "js/token.js",
    SCRIPT "js/panels/alerts.js",
    SCRIPT "js/panels/benchmark.js",
    SCRIPT "js/panels/cache.js",
    SCRIPT "js/panels/clients.js",
    SCRIPT "js/panels/memory.js",
    SCRIPT "js/panels/overview.js",
    SCRIPT "js/panels/parts.js",
    SCRIPT "js/panels/setup.js",
    SCRIPT "js/panels/slow.js",
    SCRIPT "js/panels/tools.js",
    SCRIPT "vendor/uPlot.iife.min.js",
    CSS "vendor/uPlot.min.css",
    TEXT "vendor/uPlot.LICENSE",
};

/// Whether the path is one of the page's own files, which hold nobody's data.
pub(in crate::transport::http) fn is_asset(path: &str) -> bool {
    path == PAGE.path || path.starts_with("/dashboard/")
}

pub(super) fn routes() -> Router {
    std::iter::once(&PAGE)
        .chain(FILES)
        .fold(Router::new(), |routes, asset| {
            let tag = HeaderValue::from_str(&tag(asset.text)).expect("digits are visible text");
            let answer = move |request: Request| {
                let response = asset.answer(&request, &tag);
                async move { response }
            };
            routes.route(asset.path, routing::get(answer))
        })
}

impl Asset {
    fn answer(&'static self, request: &Request, tag: &HeaderValue) -> Response {
        let known = request.headers().get(header::IF_NONE_MATCH) == Some(tag);
        let (status, text) = match known {
            true => (StatusCode::NOT_MODIFIED, ""),
            false => (StatusCode::OK, self.text),
        };
        let mut response = body::response(status, self.kind, text);
        let headers = response.headers_mut();
        headers.insert(header::ETAG, tag.clone());
        for (name, value) in HEADERS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Another one for another text.
fn tag(text: &str) -> String {
    let digest = Sha256::digest(text);
    let digits: String = digest[..12]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("\"{digits}\"")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// All files below `dir`, as they are named in the list.
    fn below(dir: &Path, prefix: &str) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
        entries
            .flat_map(|entry| {
                let name = entry.file_name().into_string().unwrap();
                match entry.path().is_dir() {
                    true => below(&entry.path(), &format!("{prefix}{name}/")),
                    false => vec![format!("{prefix}{name}")],
                }
            })
            .collect()
    }

    #[test]
    fn every_file_of_the_folder_is_served_and_none_has_what_the_policy_forbids() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/dashboard");
        let mut there = below(&dir, "");
        there.retain(|path| path != "index.html");
        there.sort();
        let mut listed: Vec<_> = FILES
            .iter()
            .map(|file| file.path.trim_start_matches("/dashboard/").to_owned())
            .collect();
        listed.sort();
        assert_eq!(listed, there);
        for asset in std::iter::once(&PAGE).chain(FILES) {
            if asset.path.contains("/vendor/") {
                continue;
            }
            for forbidden in [
                "innerHTML",
                "style=\"",
                "onclick=",
                "eval(",
                "http://cdn",
                "https://cdn",
            ] {
                assert!(
                    !asset.text.contains(forbidden),
                    "{}: {forbidden}",
                    asset.path
                );
            }
        }
    }
}
