//! `rediss://` addresses, on a server that speaks TLS and nothing else.

use super::{
    Node, Source,
    server::{Server, free_port, is_installed},
};
use mcp_cache::{RedisConfig, RedisStore, RedisTls, Remote, RemoteConfig, Source as From};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;

/// A root, and what it signed.
struct Certificates(TempDir);

impl Certificates {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut root = CertificateParams::new(Vec::new()).expect("parameters");
        // Of another name than what it signs, which would count as signed by itself.
        root.distinguished_name.push(DnType::CommonName, "root");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let root = CertifiedIssuer::self_signed(root, key).expect("a root");
        let write = |name: &str, text: String| {
            std::fs::write(folder.path().join(name), text).expect("a file");
        };
        write("root.pem", root.pem());
        for (name, subject) in [("server", "127.0.0.1"), ("client", "client")] {
            let key = KeyPair::generate().expect("a key");
            let signed = CertificateParams::new(vec![subject.to_owned()])
                .and_then(|parameters| parameters.signed_by(&key, &root));
            write(&format!("{name}.pem"), signed.expect("signed").pem());
            write(&format!("{name}.key"), key.serialize_pem());
        }
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A server that asks who connects for a certificate, or does not.
    async fn server(&self, asks: &str) -> (Server, String) {
        let port = free_port().to_string();
        let text = |path: &Path| path.to_str().expect("a path of text").to_owned();
        let [root, pem, key] =
            ["root.pem", "server.pem", "server.key"].map(|name| text(&self.file(name)));
        let args = [
            &["--tls-port", &port, "--tls-auth-clients", asks][..],
            &["--tls-cert-file", &pem, "--tls-key-file", &key],
            &["--tls-ca-cert-file", &root],
        ];
        let server = Server::with(&args.concat()).await;
        (server, format!("rediss://127.0.0.1:{port}"))
    }
}

fn config(url: &str, tls: RedisTls) -> RedisConfig {
    RedisConfig {
        tls,
        ..RedisConfig::single(url)
    }
}

#[tokio::test]
async fn a_tier_over_tls_works_and_trusts_only_whom_it_was_told() {
    if !is_installed() {
        return;
    }
    let certificates = Certificates::new();
    let (_server, url) = certificates.server("no").await;
    let trusting = RedisTls {
        ca_file: Some(certificates.file("root.pem")),
        ..RedisTls::default()
    };
    let source = Source::default();
    let tier = RemoteConfig {
        deadline: Duration::from_millis(200),
        ..RemoteConfig::default()
    };
    let config = config(&url, trusting);
    let (a, b) = (
        Node::at(&config, &tier).await,
        Node::at(&config, &tier).await,
    );
    a.get("k", &source).await;
    a.stored(1).await;
    assert_eq!(b.get("k", &source).await.source, From::Remote);
    let version = source.write();
    a.cache.invalidate("k");
    a.settle().await;
    assert_eq!(b.strict("k", &source).await.value, format!("v{version}"));
    // The system's roots know nothing of ours.
    let stranger = RedisStore::new(&RedisConfig::single(url)).expect("an address");
    assert!(!connects(stranger).await);
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_one() {
    if !is_installed() {
        return;
    }
    let certificates = Certificates::new();
    let (_server, url) = certificates.server("yes").await;
    let known = RedisTls {
        ca_file: Some(certificates.file("root.pem")),
        cert_file: Some(certificates.file("client.pem")),
        key_file: Some(certificates.file("client.key")),
    };
    let unknown = RedisTls {
        cert_file: None,
        key_file: None,
        ..known.clone()
    };
    for (tls, welcome) in [(known, true), (unknown, false)] {
        let store = RedisStore::new(&config(&url, tls)).expect("an address");
        assert_eq!(connects(store).await, welcome);
    }
}

#[test]
fn what_cannot_be_read_is_said_when_it_is_made() {
    let url = "rediss://127.0.0.1:1";
    let missing = RedisTls {
        ca_file: Some("missing.pem".into()),
        ..RedisTls::default()
    };
    let refused = RedisStore::new(&config(url, missing)).expect_err("there is no such file");
    assert!(refused.to_string().contains("missing.pem"), "{refused}");
    let half = RedisTls {
        cert_file: Some("client.pem".into()),
        ..RedisTls::default()
    };
    assert!(config(url, half).validate().is_err());
}

async fn connects(store: RedisStore) -> bool {
    let store = Arc::new(store);
    let remote = Remote::builder(store.clone(), store)
        .build()
        .expect("valid");
    let connected = tokio::time::timeout(Duration::from_secs(2), remote.connected());
    connected.await.is_ok()
}
