//! Certificates for `rediss://` addresses.

use super::RedisTls;
use redis::{ClientTlsConfig, TlsCertificates};
use std::{io, path::Path};

/// Reads the files, and sees that there is something that can encrypt.
pub(super) fn certificates(tls: &RedisTls) -> io::Result<TlsCertificates> {
    // Whoever was first has decided; without anybody it is ring.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let read = |path: &Path| {
        let named = |error: io::Error| io::Error::other(format!("{}: {error}", path.display()));
        std::fs::read(path).map_err(named)
    };
    let client_tls = match (&tls.cert_file, &tls.key_file) {
        (Some(cert), Some(key)) => Some(ClientTlsConfig {
            client_cert: read(cert)?,
            client_key: read(key)?,
        }),
        _ => None,
    };
    Ok(TlsCertificates {
        client_tls,
        root_cert: tls.ca_file.as_deref().map(read).transpose()?,
    })
}
