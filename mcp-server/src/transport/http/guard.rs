//! Who may call at all: the `Host` header against DNS rebinding, `Origin` against foreign pages.

use std::{net::SocketAddr, time::Duration};

use axum::{extract::Request, response::Response};
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header, uri::Authority};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::body::plain;
use crate::config::{HostPort, HttpConfig, Origin};

/// How long a browser may keep the answer to its question before a call.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(3600);

/// The names under which the server answers and the origins whose pages it answers.
#[derive(Debug)]
pub(super) struct Guard {
    /// What nearly every client writes, of which nothing has to be read.
    plain: Vec<String>,
    hosts: Vec<HostPort>,
    origins: Vec<Origin>,
}

impl Guard {
    pub(super) fn new(config: &HttpConfig, address: SocketAddr) -> Self {
        let any_port = |host: &str| HostPort {
            host: host.to_owned(),
            port: None,
        };
        let mut hosts: Vec<_> = ["localhost", "127.0.0.1", "::1"].map(any_port).into();
        if !address.ip().is_unspecified() {
            hosts.push(any_port(&address.ip().to_string()));
        }
        hosts.extend(
            config
                .allowed_hosts
                .iter()
                .filter_map(|host| HostPort::parse(host)),
        );
        let port = address.port();
        let names = ["localhost", "127.0.0.1", "[::1]"];
        let plain = names.map(|name| format!("{name}:{port}"));
        Self {
            plain: plain.into_iter().chain(names.map(str::to_owned)).collect(),
            hosts,
            origins: config
                .allowed_origins
                .iter()
                .filter_map(|origin| Origin::parse(origin))
                .collect(),
        }
    }

    /// The refusal of a request that may not be made.
    pub(super) fn refusal<B>(&self, request: &Request<B>) -> Option<Response> {
        let reason = self.verdict(request.uri(), request.headers()).err()?;
        tracing::warn!(reason, path = request.uri().path(), "refused a request");
        Some(plain(StatusCode::FORBIDDEN, reason))
    }

    fn verdict(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), &'static str> {
        let host = only(headers, header::HOST)?;
        let is_plain = |host| self.plain.iter().any(|plain| plain == host);
        if uri.authority().is_none()
            && !headers.contains_key(header::ORIGIN)
            && host.is_some_and(is_plain)
        {
            return Ok(());
        }
        let host = host
            .and_then(HostPort::parse)
            .ok_or("the Host header is missing or malformed")?;
        // An absolute-form target (RFC 9112 §3.2.2) must not contradict the header.
        let contradicts =
            |authority: &Authority| HostPort::parse(authority.as_str()).as_ref() != Some(&host);
        if uri.authority().is_some_and(contradicts) {
            return Err("the request target names another host than the Host header");
        }
        if !self.hosts.iter().any(|allowed| allowed.covers(&host)) {
            return Err("this Host is not served here; see http.allowed_hosts");
        }
        match only(headers, header::ORIGIN)? {
            Some(origin) if !self.allows_origin(origin, &host) => {
                Err("pages of this Origin may not call; see http.allowed_origins")
            }
            _ => Ok(()),
        }
    }

    /// A page of the server itself, or one that was allowed.
    fn allows_origin(&self, origin: &str, host: &HostPort) -> bool {
        let Some(origin) = Origin::parse(origin) else {
            return false;
        };
        let own = origin.scheme == "http" && origin.host == host.or_port(80);
        own || self.origins.contains(&origin)
    }
}

/// The header's one value; it is an error to have several or one that is not text.
fn only(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, &'static str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value
            .to_str()
            .map(Some)
            .map_err(|_| "a Host or Origin header is not text"),
        (Some(_), Some(_)) => Err("there is more than one Host or Origin header"),
    }
}

/// What lets the pages of other origins call at all: answers to the browser's questions before a
/// call, and leave to read the answer. The guard has refused origins that are not allowed.
pub(super) fn cors(config: &HttpConfig) -> CorsLayer {
    let origins = config
        .allowed_origins
        .iter()
        .filter_map(|origin| Origin::parse(origin)?.to_string().parse().ok());
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([
            HeaderName::from_static("mcp-session-id"),
            header::WWW_AUTHENTICATE,
        ])
        .max_age(PREFLIGHT_MAX_AGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        let config = HttpConfig {
            allowed_hosts: vec!["mcp.example.com".into(), "lan:7420".into()],
            allowed_origins: vec!["https://App.example.com/".into()],
            ..HttpConfig::default()
        };
        Guard::new(&config, SocketAddr::from(([127, 0, 0, 1], 7420)))
    }

    fn check(headers: &[(&str, &str)], target: &str, allowed: bool) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, value.parse().unwrap());
        }
        let verdict = guard().verdict(&target.parse().unwrap(), &map);
        assert_eq!(
            verdict.is_ok(),
            allowed,
            "{headers:?} {target}: {verdict:?}"
        );
    }

    #[test]
    fn only_known_hosts_are_served() {
        for host in [
            "localhost",
            "LOCALHOST:7420",
            "127.0.0.1:1",
            "[::1]:7420",
            "mcp.example.com",
            "mcp.example.com:443",
            "lan:7420",
        ] {
            check(&[("host", host)], "/mcp", true);
        }
        for host in [
            "",
            "evil.com",
            "localhost.evil.com",
            "lan",
            "lan:1",
            "0.0.0.0:7420",
            "user@localhost",
            "127.0.0.1.nip.io",
            "localhost:port",
            "local host",
        ] {
            check(&[("host", host)], "/mcp", false);
        }
        check(&[], "/mcp", false);
        check(
            &[("host", "localhost"), ("host", "localhost")],
            "/mcp",
            false,
        );
        check(&[("host", "localhost")], "http://localhost/mcp", true);
        check(&[("host", "localhost")], "http://evil.com/mcp", false);
        check(&[("host", "evil.com")], "http://localhost/mcp", false);
    }

    #[test]
    fn only_known_origins_are_served() {
        let check = |origin, allowed| {
            check(
                &[("host", "localhost:7420"), ("origin", origin)],
                "/mcp",
                allowed,
            );
        };
        check("http://localhost:7420", true);
        check("https://app.example.com", true);
        check("http://app.example.com", false);
        check("https://app.example.com:444", false);
        check("http://localhost:3000", false);
        check("http://127.0.0.1:7420", false);
        check("http://evil.com", false);
        check("null", false);
        check("", false);
    }
}
