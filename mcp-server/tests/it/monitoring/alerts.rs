//! Alerts come, worsen and go: on a clock that is simulated, and in a server that is really slow.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Bytes, extract::State, routing};
use mcp_server::{
    call::{Lane, Via},
    client::Clients,
    config::Config,
    monitoring::{
        AlertKind, Ended, Letter, Monitor, MonitoringConfig, Outcome, Recorder, Severity, Sources,
        Tier,
    },
    telemetry::{SlowOperations, SlowOperationsConfig},
    transport::http::Counters,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};

use super::quick;
use crate::support::{
    WriteLock,
    http::Http,
    mcp::{Client, Era},
    process::folder,
    server::Server,
    until,
    upstream::{Fake, settings_of},
    within,
};

/// A monitor of calls that are made up.
fn monitor(config: MonitoringConfig) -> (Monitor, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::new(config.window));
    let sources = Sources {
        recorder: recorder.clone(),
        parts: Vec::new(),
        checks: Vec::new(),
        slow: Arc::new(SlowOperations::new(&SlowOperationsConfig::default())),
        clients: Clients::default(),
        http: Counters::default(),
        courier: None,
        rollups: None,
        reports: None,
    };
    (Monitor::new(config, sources), recorder)
}

fn call(recorder: &Recorder, tier: Tier, took: u64, elsewhere: u64) {
    recorder.tool("a_tool", tier).record(Ended {
        lane: Lane::Other,
        via: Via::Tool,
        took: Duration::from_millis(took),
        elsewhere: Duration::from_millis(elsewhere),
        outcome: Outcome::Done,
    });
}

fn latency(monitor: &Monitor) -> Option<Severity> {
    let active = monitor.alerts().active;
    let latency = active.iter().find(|alert| alert.kind == AlertKind::Latency);
    latency.map(|alert| alert.severity)
}

#[tokio::test(start_paused = true)]
async fn slow_calls_raise_a_warning_then_an_alarm_and_both_end_with_their_window() {
    let (monitor, recorder) = monitor(MonitoringConfig::default());
    // Six looks a minute, at a call per second.
    let minute = async |took: u64| {
        for second in 1..=65 {
            call(&recorder, Tier::Local, took, 0);
            tokio::time::advance(Duration::from_secs(1)).await;
            recorder.follow();
            if second % 10 == 0 {
                monitor.look().await;
            }
        }
    };
    minute(5).await;
    assert_eq!((latency(&monitor), monitor.alerts().raised), (None, 0));
    minute(160).await;
    assert_eq!(latency(&monitor), Some(Severity::Warning));
    assert_eq!(monitor.status().grade.letter, Some(Letter::C));
    minute(210).await;
    assert_eq!(latency(&monitor), Some(Severity::Critical));
    assert_eq!(monitor.status().grade.letter, Some(Letter::D));
    minute(5).await;
    assert_eq!(monitor.alerts().active, []);
    let history = monitor.alerts().history;
    let over = history
        .iter()
        .find(|alert| alert.kind == AlertKind::Latency);
    let over = over.expect("it was there");
    // One alert from the first to the last, as bad as at its worst.
    assert_eq!(over.severity, Severity::Critical);
    assert!(over.resolved_at.is_some());
    assert_eq!(monitor.status().grade.letter, Some(Letter::A));
}

#[tokio::test(start_paused = true)]
async fn what_another_server_takes_is_no_reason_for_an_alert() {
    let (monitor, recorder) = monitor(MonitoringConfig::default());
    for _ in 0..50 {
        call(&recorder, Tier::Gateway, 900, 895);
    }
    monitor.look().await;
    assert_eq!(monitor.alerts().active, []);
    let status = monitor.status();
    assert_eq!(status.grade.letter, Some(Letter::A));
    // Clients wait for it all the same, and the target says so.
    let gateway = &status.targets[2];
    assert_eq!((gateway.calls, gateway.performance_target_met), (50, false));
    assert!(status.tools[0].minute.p50_ms > 800.0, "{:?}", status.tools);
    for _ in 0..50 {
        call(&recorder, Tier::Gateway, 900, 400);
    }
    monitor.look().await;
    assert_eq!(latency(&monitor), Some(Severity::Critical));
}

/// So many adds at once, which wait until the database is let go.
async fn held_up(server: &Server, calls: usize, time: Duration) {
    let lock = WriteLock::take(server.app().data_dir());
    let mut adds = JoinSet::new();
    for number in 0..calls {
        let address = server.address;
        adds.spawn(async move {
            let mut client = Client::http(Era::Modern, address).await;
            let content = format!("memory {number}");
            client.ok("memory_add", json!({"content": content})).await
        });
    }
    tokio::time::sleep(time).await;
    drop(lock);
    within("the adds", async {
        while adds.join_next().await.is_some() {}
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_slow_says_so_and_tells_the_webhook() {
    let (told, mut hears) = mpsc::channel(64);
    let receiver = Router::new()
        .route(
            "/hook",
            routing::post(
                async |State(told): State<mpsc::Sender<Bytes>>, body: Bytes| {
                    told.send(body).await.expect("the test listens");
                },
            ),
        )
        .with_state(told);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook = listener.local_addr().unwrap();
    let hooked = tokio::spawn(async move { axum::serve(listener, receiver).await });

    let mut monitoring = quick();
    // Far apart, so that a slow machine changes nothing.
    monitoring.alerts.latency_warning = Duration::from_millis(100);
    monitoring.alerts.latency_critical = Duration::from_secs(1);
    monitoring.alerts.webhook.url = Some(format!("http://{hook}/hook"));
    monitoring.alerts.webhook.allow_private_address = true;
    let server = Server::with(Config {
        monitoring,
        ..Config::default()
    })
    .await;
    let mut next = async |turn: &str, severity: &str| {
        within("news", async {
            loop {
                let news: Value = serde_json::from_slice(&hears.recv().await.unwrap()).unwrap();
                let alert = &news["alert"];
                if alert["kind"] == "latency" && news["turn"] == turn {
                    assert_eq!(alert["severity"], severity, "{news}");
                    assert_eq!(alert["subject"], "memory_add");
                    return;
                }
            }
        })
        .await;
    };
    held_up(&server, 25, Duration::from_millis(160)).await;
    next("raised", "warning").await;
    held_up(&server, 40, Duration::from_millis(2_500)).await;
    next("changed", "critical").await;
    next("resolved", "critical").await;
    let alerts = server.app().monitor().alerts();
    let is_over = |alert: &&mcp_server::monitoring::Alert| alert.kind == AlertKind::Latency;
    assert!(alerts.history.iter().any(|alert| is_over(&alert)));
    hooked.abort();
    server.stop().await;
}

/// The panel's numbers, the metric, the alert and the readiness tell the same story.
#[tokio::test]
async fn a_connector_that_is_down_is_told_of_everywhere_and_so_is_its_return() {
    let fake = Fake::new();
    let (upstream, connector) = fake.serve().await;
    let mut config = settings_of([("far", connector)]);
    config.monitoring = quick();
    config.connectors.refresh.interval = Duration::from_millis(100);
    config.connectors.refresh.backoff = Duration::from_millis(50);
    config.connectors.refresh.backoff_max = Duration::from_millis(100);
    let server = Server::with(config).await;
    let story = async || {
        let mut connection = Http::connect(server.address).await;
        let ready = connection.get("/readyz", &[]).await;
        assert_eq!(ready.status(), 200);
        let ready = ready.message()["parts"]["connectors"]["status"].clone();
        let status = connection.get("/api/status", &[]).await.message();
        let all = status["dependencies"].as_array().unwrap();
        let far = all.iter().find(|dependency| dependency["name"] == "far");
        let state = far.map(|far| far["state"].clone()).unwrap_or_default();
        let active = status["alerts"]["active"].as_array().unwrap();
        let alerted = active.iter().any(|alert| alert["subject"] == "far");
        let metrics = connection.get("/metrics", &[]).await.body;
        let row = "mcp_connector_up{connector=\"far\"} ";
        let up = metrics.lines().find_map(|line| line.strip_prefix(row));
        (ready, state, alerted, up.map(str::to_owned))
    };
    let told = |ready: &str, state: &str, alerted: bool, up: &str| {
        (json!(ready), json!(state), alerted, Some(up.to_owned()))
    };
    let fine = told("ok", "up", false, "1.0");
    until("the start", async || (story().await == fine).then_some(())).await;
    upstream.stop().await;
    // Its tools are known from earlier.
    let stale = told("degraded", "degraded", true, "0.5");
    until("the outage", async || {
        (story().await == stale).then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn the_minutes_and_the_report_are_in_the_data_folder() {
    let folder = folder();
    let mut config = Config::default();
    config.memory.data_dir = Some(folder.path().to_owned());
    config.monitoring.reports.interval = Duration::from_secs(60);
    let app = mcp_server::app::App::build(&config).await.unwrap();
    let monitor = app.monitor();
    monitor.minute().await;
    let report = monitor.report(jiff::Timestamp::now());
    assert_eq!(report.hours.len(), 1);
    let reports = mcp_server::monitoring::ReportFolder::new(
        folder.path(),
        &mcp_server::monitoring::ReportsConfig {
            keep: 2.try_into().unwrap(),
            ..Default::default()
        },
    );
    for second in 0..4 {
        let mut report = report.clone();
        report.at = jiff::Timestamp::from_second(1_700_000_000 + second).unwrap();
        reports.write(&report).unwrap();
    }
    let mut names: Vec<_> = std::fs::read_dir(folder.path().join("reports"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let kept = ["report-20231114T221322Z", "report-20231114T221323Z"];
    let expect: Vec<_> = kept
        .iter()
        .flat_map(|name| [format!("{name}.html"), format!("{name}.json")])
        .collect();
    assert_eq!(names, expect);
    let latest: Value = serde_json::from_str(&monitor.latest_report().unwrap()).unwrap();
    assert_eq!(latest["at"], "2023-11-14T22:13:23Z");
    let page = folder.path().join("reports").join(&names[2]);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(
        page.contains("<h1>Report of") && !page.contains("<script"),
        "{page}"
    );
    assert!(folder.path().join("monitoring.db").is_file());
    app.close().await;
}
