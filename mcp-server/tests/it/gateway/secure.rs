//! Upstreams with TLS: how often it is negotiated, and redirects that lead to it.

use std::{path::Path, sync::atomic::Ordering};

use mcp_server::upstream::ServerConfig;
use serde_json::json;

use crate::support::{
    mcp::{Client, Era},
    process::{Process, folder},
    raw::{Answer, Secure, orderly},
    until,
    upstream::remote_tools,
};

/// A server with one connector, whose certificate the system trusts.
async fn gateway(dir: &Path, secure: &Secure, url: &str) -> Process {
    let certificate = dir.join("trusted.pem");
    std::fs::write(&certificate, &secure.certificate).unwrap();
    let mut connector = ServerConfig::url(url.to_owned());
    connector.allow_private_address = true;
    let settings = json!({"connectors": {"servers": {"up": connector}}});
    let file = dir.join("settings.yaml");
    std::fs::write(&file, settings.to_string()).unwrap();
    let arguments = [
        "--listen",
        "127.0.0.1:0",
        "--config",
        file.to_str().unwrap(),
    ];
    let trust = [("SSL_CERT_FILE", certificate.to_str().unwrap())];
    Process::serve_with(&dir.join("data"), &arguments, &trust).await
}

fn answering() -> crate::support::raw::Script {
    orderly(|_| Answer::Result(json!({"content": [], "isError": false})))
}

#[tokio::test]
async fn a_thousand_calls_take_one_handshake() {
    let secure = Secure::serve(answering()).await;
    let folder = folder();
    let url = format!("https://localhost:{}/mcp", secure.address.port());
    let process = gateway(folder.path(), &secure, &url).await;
    let mut client = Client::http(Era::Modern, process.address).await;
    until("the tool", async || {
        (remote_tools(&mut client).await == ["echo"]).then_some(())
    })
    .await;
    for _ in 0..1_000 {
        let result = client.call("echo", json!({})).await;
        assert_eq!(result["isError"], false, "{result}");
    }
    assert_eq!(secure.handshakes.load(Ordering::SeqCst), 1);
    process.kill().await;
}

/// What is at an address without TLS may say that it is at one with it.
#[tokio::test]
async fn a_redirect_to_tls_is_followed() {
    let port = std::sync::Arc::new(std::sync::OnceLock::new());
    let (inner, to) = (answering(), port.clone());
    let script: crate::support::raw::Script = std::sync::Arc::new(move |message, number| {
        // The first connection is the one without.
        let is_probe = message["method"] == "server/discover" && number == 0;
        match is_probe {
            true => Answer::Bytes(
                format!(
                    "HTTP/1.1 308 Permanent Redirect\r\nLocation: https://localhost:{}/mcp\r\n\
                     Content-Length: 0\r\n\r\n",
                    to.get().unwrap()
                )
                .into_bytes(),
            ),
            false => inner(message, number),
        }
    });
    let secure = Secure::serve(script).await;
    port.set(secure.address.port()).unwrap();
    let folder = folder();
    let url = format!("http://localhost:{}/mcp?token=hush", secure.address.port());
    let process = gateway(folder.path(), &secure, &url).await;
    let mut client = Client::http(Era::Modern, process.address).await;
    until("the tool", async || {
        (remote_tools(&mut client).await == ["echo"]).then_some(())
    })
    .await;
    assert!(secure.handshakes.load(Ordering::SeqCst) > 0);
    assert_eq!(process.log.count("hush"), 0);
    process.kill().await;
}
