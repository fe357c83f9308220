//! Encrypted connections to a real server, with certificates of our own.

use mcp_server::memory::postgres::{PostgresConfig, PostgresError, PostgresStore};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::{
    contract::{call, text},
    support::{
        postgres::{Postgres, dsn, is_installed, own, owned_folder},
        process::folder,
    },
};
use mcp_server::ports::MemoryStore;

/// A root of the name, and what it signed for 127.0.0.1: certificate and key.
fn signed(name: &str) -> (String, String, String) {
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.distinguished_name.push(DnType::CommonName, name);
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let server = server.signed_by(&key, &root).unwrap();
    (root.pem(), server.pem(), key.serialize_pem())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_trusted_only_by_its_certificate() {
    if !is_installed() {
        return;
    }
    let files = owned_folder();
    let file = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        own(&path);
        path
    };
    let (root, certificate, key) = signed("root");
    let certificate = file("server.pem", &certificate);
    let key = file("server.key", &key);
    let settings = [
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", certificate.display()),
        format!("ssl_key_file={}", key.display()),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let Some(server) = Postgres::start_with("scram-sha-256", &settings).await else {
        return;
    };
    let dir = folder();
    let trusting = |name: &str, root: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, root).unwrap();
        PostgresConfig {
            dsn: Some(dsn(&format!("{}?sslmode=require", server.dsn()))),
            ca_file: Some(path),
            acquire_timeout: std::time::Duration::from_secs(5),
            ..PostgresConfig::default()
        }
    };
    let config = trusting("root.pem", &root);
    let store = PostgresStore::open(dir.path(), &config).await.unwrap();
    store.add(&call(), text("encrypted")).await.unwrap();
    let encrypted = "SELECT count(*) FILTER (WHERE ssl), count(*) FROM pg_stat_ssl s \
                     JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'mcp-server'";
    let row = server
        .client()
        .await
        .query_one(encrypted, &[])
        .await
        .unwrap();
    let (yes, all): (i64, i64) = (row.get(0), row.get(1));
    assert!(all > 0 && yes == all, "{yes} of {all} connections");
    store.close().await;

    let stranger = trusting("other.pem", &signed("another root").0);
    let error = PostgresStore::open(dir.path(), &stranger)
        .await
        .unwrap_err();
    assert!(
        matches!(error, PostgresError::Unreachable { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("certificate"), "{error}");
}
