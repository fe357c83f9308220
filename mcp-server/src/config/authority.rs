//! Hosts and origins, as settings and headers write them.

use std::fmt;

use http::{Uri, uri::Authority};

/// A host name or address, lower case and without brackets, and its port, if one is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostPort {
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
}

impl HostPort {
    /// Reads `name`, `name:port` or a bare IPv6 address.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.contains('@') {
            return None;
        }
        let authority = Authority::try_from(text)
            .or_else(|_| Authority::try_from(format!("[{text}]")))
            .ok()?;
        let port = authority.port_u16();
        // What follows the name must be a port; the parser also lets other text pass.
        if port.is_none() && authority.as_str() != authority.host() {
            return None;
        }
        Some(Self {
            host: authority
                .host()
                .trim_matches(['[', ']'])
                .to_ascii_lowercase(),
            port,
        })
    }

    /// Whether a name that may be limited to a port covers the one that was asked for.
    pub(crate) fn covers(&self, asked: &Self) -> bool {
        self.host == asked.host && (self.port.is_none() || self.port == asked.port)
    }

    /// With the port that is meant where none is named.
    pub(crate) fn or_port(&self, default: u16) -> Self {
        Self {
            host: self.host.clone(),
            port: self.port.or(Some(default)),
        }
    }
}

/// A web origin (RFC 6454 §4): scheme, host and port, the scheme's own port where none is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) scheme: String,
    pub(crate) host: HostPort,
}

impl Origin {
    /// Reads `https://app.example.com`, with or without a port, and nothing behind it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let uri = Uri::try_from(text).ok()?;
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let default = default_port(&scheme)?;
        if uri.path() != "/" || uri.query().is_some() {
            return None;
        }
        let host = HostPort::parse(uri.authority()?.as_str())?.or_port(default);
        Some(Self { scheme, host })
    }
}

/// As browsers write it: without the scheme's own port.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HostPort { host, port } = &self.host;
        match host.contains(':') {
            true => write!(f, "{}://[{host}]", self.scheme)?,
            false => write!(f, "{}://{host}", self.scheme)?,
        }
        match port {
            Some(port) if default_port(&self.scheme) != Some(*port) => write!(f, ":{port}"),
            _ => Ok(()),
        }
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Origin;

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        let check = |text: &str, expect: Option<&str>| {
            let origin = Origin::parse(text).map(|origin| origin.to_string());
            assert_eq!(origin.as_deref(), expect, "{text}");
        };
        check("https://App.example.com", Some("https://app.example.com"));
        check("https://app.example.com/", Some("https://app.example.com"));
        check(
            "https://app.example.com:443",
            Some("https://app.example.com"),
        );
        check("http://localhost:3000", Some("http://localhost:3000"));
        check("http://[::1]:3000", Some("http://[::1]:3000"));
        for odd in [
            "",
            "*",
            "null",
            "app.example.com",
            "ftp://a",
            "https://a/b",
            "https://a?b",
            "https://u@a",
            "https://",
            "file:///x",
        ] {
            check(odd, None);
        }
    }
}
