//! The service map: signed by somebody, read over real HTTP and from files, and never believed without
//! its signature.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    http::{HeaderMap, StatusCode},
    routing,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use mcp_server::{
    app::App,
    config::Config,
    upstream::{Condition, ServiceMapConfig, SignatureKind},
};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{
    http::Http,
    mcp::{Client, Era},
    process::{folder, refused, run, stdout},
    server::Server,
    until,
    upstream::{Fake, remote_tools},
    within,
};

const SECRET: &str = "a secret of more than 32 bytes, for tests only";

/// A map that lists a service at `upstream`.
fn map(serial: u64, name: &str, upstream: SocketAddr) -> String {
    let service = json!({"url": format!("http://{upstream}/mcp"), "allow_private_address": true});
    json!({"version": 1, "serial": serial, "services": {name: service}}).to_string()
}

fn hmac_of(document: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    STANDARD.encode(hmac::sign(&key, document.as_bytes()))
}

/// What a server of maps answers.
#[derive(Default)]
struct Answer {
    status: u16,
    document: String,
    /// In the header.
    signature: Option<String>,
    /// Beside it.
    sidecar: Option<String>,
    hangs: bool,
}

#[derive(Clone)]
struct Maps(Arc<Mutex<Answer>>, SocketAddr);

impl Maps {
    async fn serve() -> Self {
        let answer = Arc::new(Mutex::new(Answer::default()));
        let at = |answer: Arc<Mutex<Answer>>, beside: bool| {
            routing::get(move || {
                let answer = answer.clone();
                async move {
                    if answer.lock().unwrap().hangs {
                        std::future::pending::<()>().await;
                    }
                    let answer = answer.lock().unwrap();
                    let mut headers = HeaderMap::new();
                    if let Some(signature) = &answer.signature {
                        headers.insert("x-signature", signature.parse().unwrap());
                    }
                    let body = match beside {
                        true => answer.sidecar.clone(),
                        false => Some(answer.document.clone()),
                    };
                    let status = match body.is_some() {
                        true => StatusCode::from_u16(answer.status).unwrap(),
                        false => StatusCode::NOT_FOUND,
                    };
                    (status, headers, body.unwrap_or_default())
                }
            })
        };
        let router = Router::new()
            .route("/map.json", at(answer.clone(), false))
            .route("/map.json.sig", at(answer.clone(), true));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self(answer, address)
    }

    fn says(&self, document: &str, signature: Option<String>, sidecar: Option<String>) {
        *self.0.lock().unwrap() = Answer {
            status: 200,
            document: document.to_owned(),
            signature,
            sidecar,
            hangs: false,
        };
    }

    fn url(&self) -> String {
        format!("http://{}/map.json", self.1)
    }
}

fn settings(source: &str) -> Config {
    let mut config = Config::default();
    config.connectors.service_map = ServiceMapConfig {
        source: Some(source.into()),
        signature: SignatureKind::HmacSha256,
        key: Some(SECRET.into()),
        interval: Duration::from_millis(50),
        allow_private_address: true,
        allow_local: true,
        ..ServiceMapConfig::default()
    };
    config.connectors.refresh.backoff = Duration::from_millis(20);
    config
}

/// What is reported once `holds` is true of it.
async fn reported(client: &mut Client, holds: impl Fn(&Value) -> bool) -> Value {
    until("the service map", async || {
        let status = client.ok("connector_list", json!({})).await["service_map"].take();
        holds(&status).then_some(status)
    })
    .await
}

async fn readiness(server: &Server) -> (u16, Value) {
    let mut connection = Http::connect(server.address).await;
    connection.request("GET", "/readyz", &[], "").await;
    let response = connection.response().await;
    (
        response.status(),
        response.message()["parts"]["service_map"].take(),
    )
}

#[tokio::test]
async fn a_tampered_map_is_rejected_and_the_last_good_one_kept() {
    let (one, two) = (Fake::new(), Fake::new());
    two.exchange(&["second"]);
    let ((first, _), (second, _)) = (one.serve().await, two.serve().await);
    let maps = Maps::serve().await;
    let good = map(1, "one", first.address);
    maps.says(&good, Some(hmac_of(&good)), None);
    let server = Server::with(settings(&maps.url())).await;
    within("the map", server.app().gateway().settled()).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    until("its tools", async || {
        (remote_tools(&mut client).await.len() == 6).then_some(())
    })
    .await;
    let status = reported(&mut client, |status| status["condition"] == "ready").await;
    assert_eq!(
        (&status["serial"], &status["services"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(readiness(&server).await, (200, json!({"status": "ok"})));

    // One letter is another, and the signature is the old one: somebody stood in between.
    let newer = map(2, "two", second.address);
    let tampered = newer.replace("\"two\"", "\"twp\"");
    for (document, signature, sidecar) in [
        (&tampered, Some(hmac_of(&newer)), None),
        (&tampered, None, Some(hmac_of(&newer))),
        (&newer, Some("bm8=".to_owned()), None),
        (&newer, None, None),
    ] {
        maps.says(document, signature, sidecar);
        let status = reported(&mut client, |status| status["condition"] == "stale").await;
        assert_eq!(status["serial"], 1, "{status}");
        assert_eq!(remote_tools(&mut client).await.len(), 6);
        // The server is ready, and says what is wrong.
        let (code, detail) = readiness(&server).await;
        assert_eq!(
            (code, &detail["status"]),
            (200, &json!("degraded")),
            "{detail}"
        );
        maps.says(&good, Some(hmac_of(&good)), None);
        reported(&mut client, |status| status["condition"] == "ready").await;
    }
    // What is signed is taken, be the signature in the header or beside it.
    maps.says(&newer, None, Some(hmac_of(&newer)));
    reported(&mut client, |status| status["serial"] == 2).await;
    until("the other tools", async || {
        (remote_tools(&mut client).await == ["second"]).then_some(())
    })
    .await;
    // The old map is signed as well, and no way back.
    maps.says(&good, Some(hmac_of(&good)), None);
    let status = reported(&mut client, |status| status["condition"] == "stale").await;
    let error = status["error"].as_str().unwrap();
    assert!(error.contains("serial number 1"), "{error}");
    assert_eq!(remote_tools(&mut client).await, ["second"]);
    for server in [server, first, second] {
        server.stop().await;
    }
}

/// Whatever a source does, it is given up, and the server goes on.
#[tokio::test]
async fn a_map_that_cannot_be_read_is_given_up() {
    assert_eq!(ServiceMapConfig::default().timeout, Duration::from_secs(5));
    let fake = Fake::new();
    let (upstream, _) = fake.serve().await;
    let good = map(1, "one", upstream.address);
    let check = async |set: &dyn Fn(&mut Config), change: &dyn Fn(&mut Answer), says: &str| {
        let maps = Maps::serve().await;
        maps.says(&good, Some(hmac_of(&good)), None);
        change(&mut maps.0.lock().unwrap());
        let mut config = settings(&maps.url());
        config.connectors.service_map.timeout = Duration::from_millis(300);
        set(&mut config);
        let server = Server::with(config).await;
        let mut client = Client::http(Era::Modern, server.address).await;
        let status = reported(&mut client, |status| status["condition"] == "failed").await;
        let error = status["error"].as_str().unwrap().to_owned();
        assert!(error.contains(says) && !error.contains(SECRET), "{error}");
        assert_eq!(readiness(&server).await.0, 200);
        server.stop().await;
    };
    let same = |_: &mut Config| {};
    check(&same, &|answer| answer.hangs = true, "within 300ms").await;
    check(&same, &|answer| answer.status = 500, "HTTP 500").await;
    check(&same, &|answer| answer.document.push(' '), "signature").await;
    check(
        &|config| config.connectors.service_map.bytes_max = 20.try_into().unwrap(),
        &|_| {},
        "longer than 20 bytes",
    )
    .await;
    // Its address must be public, and what it lists, unless the settings say otherwise.
    check(
        &|config| config.connectors.service_map.allow_private_address = false,
        &|_| {},
        "no public address",
    )
    .await;
    check(
        &|config| config.connectors.service_map.allow_local = false,
        &|_| {},
        "allow_local",
    )
    .await;
    check(
        &|config| config.connectors.service_map.key = Some("short".into()),
        &|_| {},
        "less than 32 bytes",
    )
    .await;
    check(
        &|config| config.connectors.service_map.key = Some("${NO_SUCH_KEY}".into()),
        &|_| {},
        "NO_SUCH_KEY",
    )
    .await;
    assert_eq!(fake.lists(), 0);
    upstream.stop().await;
}

/// The last good map is there after a restart, though its source is gone; with another key it is not.
#[tokio::test]
async fn a_restart_begins_with_the_last_good_map() {
    let dir = folder();
    let random = SystemRandom::new();
    let pair = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(pair.as_ref()).unwrap();
    let path = dir.path().join("map.json");
    let document = map(3, "one", "127.0.0.1:1".parse().unwrap());
    let signature = STANDARD.encode(pair.sign(document.as_bytes()));
    std::fs::write(&path, &document).unwrap();
    std::fs::write(dir.path().join("map.json.sig"), signature).unwrap();
    let mut config = settings(path.to_str().unwrap());
    config.memory.data_dir = Some(dir.path().join("data"));
    config.connectors.service_map.signature = SignatureKind::Ed25519;
    let public = STANDARD.encode(pair.public_key());
    config.connectors.service_map.key = Some(public.clone().into());

    let run_once = async |config: &Config, expect: Condition| {
        let app = App::build(config).await.unwrap();
        app.start().await;
        within("the map", app.gateway().settled()).await;
        let status = app.gateway().map_status().unwrap();
        assert_eq!(status.condition, expect, "{status:?}");
        let names = app.gateway().statuses().len();
        app.close().await;
        names
    };
    assert_eq!(run_once(&config, Condition::Ready).await, 1);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(run_once(&config, Condition::Stale).await, 1);
    let other = STANDARD.encode([7; 32]);
    config.connectors.service_map.key = Some(other.into());
    assert_eq!(run_once(&config, Condition::Failed).await, 0);

    // The command says what a server would.
    let source = path.to_str().unwrap();
    let environment = [
        ("MCP_SERVER__CONNECTORS__SERVICE_MAP__SOURCE", source),
        ("MCP_SERVER__CONNECTORS__SERVICE_MAP__KEY", "${MAP_KEY}"),
        ("MCP_SERVER__CONNECTORS__SERVICE_MAP__ALLOW_LOCAL", "true"),
        ("MAP_KEY", public.as_str()),
    ];
    let data = dir.path().join("data");
    let command = ["connectors", "map", "--data-dir", data.to_str().unwrap()];
    refused(&command, &environment, 1, &["not used", "map.json"]).await;
    std::fs::write(&path, &document).unwrap();
    let shown = stdout(&run(&command, &environment).await);
    assert!(
        shown.contains("serial number 3") && shown.contains("one: http://"),
        "{shown}"
    );
    std::fs::write(&path, document + " ").unwrap();
    refused(&command, &environment, 1, &["signature is not right"]).await;
    refused(&command, &[], 2, &["name no service map"]).await;
    let keyless = &environment[..1];
    refused(&command, keyless, 2, &["connectors.service_map.key"]).await;
}
