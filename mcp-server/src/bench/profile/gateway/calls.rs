//! Calls through the gateway: beside direct ones, to a slow upstream, and of very many clients.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::{task::JoinSet, time::Instant};

use super::{
    Findings, Plan, REMOTE, Say, line, measured, micros, reuse, settings, until_listed,
    with_gateway,
};
use crate::bench::{
    client::Client,
    error::BenchError,
    latency::Latencies,
    measure::millis,
    report::{Check, Target},
    server::{Launch, Server},
    upstream::{Behaviour, Upstream},
};

/// Direct calls and calls through the gateway take turns of so many, so that what else happens on
/// the machine falls on both.
const TURN: u32 = 100;
/// Calls of each kind, where no number is given.
const CALLS: u32 = 10_000;
/// What a call through the gateway may cost more, in µs.
const OVERHEAD_P50_MAX: f64 = 150.0;
const OVERHEAD_P95_MAX: f64 = 500.0;
/// The least share of calls that need no new connection.
const REUSE_MIN: f64 = 0.9;
/// How long the slow upstream takes, and how long 95 % of the calls to it may take, in ms.
const SLOW: Duration = Duration::from_millis(100);
const SLOW_P95_MAX: f64 = 200.0;
/// Clients of the slow upstream, and their calls.
const SLOW_CLIENTS: u32 = 16;
const SLOW_CALLS: u32 = 25;
/// Clients that call at once, their calls, and the connections that they share.
const CROWD: u32 = 1_000;
const CROWD_CALLS: u32 = 5;
const CONNECTIONS_MAX: u64 = 32;

pub(super) async fn run(
    plan: &Plan,
    launch: &Launch,
    say: Say<'_>,
    findings: &mut Findings,
) -> Result<(), BenchError> {
    say("calls, directly and through the gateway in turns".to_owned());
    let quick = upstream(Duration::ZERO).await?;
    let settled = settings([&quick], &[]);
    with_gateway(launch, &settled, async |server| {
        until_listed(server, 1).await?;
        overhead(plan, server, &quick, findings).await
    })
    .await?;
    say(format!("calls of an upstream that takes {SLOW:?}"));
    let slow = upstream(SLOW).await?;
    let settled = settings([&slow], &[]);
    let clients = plan.clients.unwrap_or(SLOW_CLIENTS);
    with_gateway(launch, &settled, async |server| {
        until_listed(server, 1).await?;
        let (took, elapsed) = crowd(server, clients, SLOW_CALLS).await?;
        let p95 = millis(took.percentile(95.0));
        let check = Check::new(
            "p95 of calls to an upstream of 100 ms, ms",
            p95,
            Target::AtMost(SLOW_P95_MAX),
        );
        findings.checks.push(check);
        let lines = vec![line("slow", &took)];
        findings.runs.push(measured(
            "an upstream that takes 100 ms",
            clients,
            elapsed,
            lines,
        ));
        Ok(())
    })
    .await?;
    say(format!("{CROWD} clients at once"));
    let busy = upstream(Duration::from_millis(5)).await?;
    let most = format!("connections_max: {CONNECTIONS_MAX}");
    // All of them wait for one of the connections, and none is refused.
    let settled = settings([&busy], &[&most, "in_flight_max: 2000"]);
    with_gateway(launch, &settled, async |server| {
        until_listed(server, 1).await?;
        let (took, elapsed) = crowd(server, CROWD, CROWD_CALLS).await?;
        let most = Target::AtMost(CONNECTIONS_MAX as f64);
        let name = format!("connections to one upstream at once, of {CROWD} clients");
        findings
            .checks
            .push(Check::new(name, busy.most_open() as f64, most));
        let lines = vec![line("crowd", &took)];
        findings
            .runs
            .push(measured("very many clients", CROWD, elapsed, lines));
        Ok(())
    })
    .await
}

async fn upstream(call_delay: Duration) -> Result<Upstream, BenchError> {
    Upstream::serve(Behaviour {
        tool: format!("{REMOTE}echo"),
        call_delay,
        ..Behaviour::default()
    })
    .await
}

async fn overhead(
    plan: &Plan,
    server: &Server,
    upstream: &Upstream,
    findings: &mut Findings,
) -> Result<(), BenchError> {
    let mut direct = (
        Client::connect(upstream.address, "bench").await?,
        Latencies::default(),
    );
    let mut through = (
        Client::connect(server.address, "bench").await?,
        Latencies::default(),
    );
    let calls = plan.samples.unwrap_or(CALLS);
    // What is slow only once is not what is asked here.
    for (client, _) in [&mut direct, &mut through] {
        turn(client, &mut Latencies::default(), TURN).await?;
    }
    let (connections, before, began) = (upstream.connections(), upstream.calls(), Instant::now());
    let mut left = calls;
    while left > 0 && began.elapsed() < plan.duration * 3 {
        let count = left.min(TURN);
        for (client, latencies) in [&mut direct, &mut through] {
            turn(client, latencies, count).await?;
        }
        left -= count;
    }
    let (direct, through) = (direct.1, through.1);
    let more = |percent| {
        let (with, without) = (through.percentile(percent), direct.percentile(percent));
        micros(with) - micros(without)
    };
    let made = (upstream.calls() - before) / 2;
    let reused = reuse(made, upstream.connections() - connections);
    for (name, value, target) in [
        (
            "overhead of a call through the gateway, p50, µs",
            more(50.0),
            Target::AtMost(OVERHEAD_P50_MAX),
        ),
        (
            "overhead of a call through the gateway, p95, µs",
            more(95.0),
            Target::AtMost(OVERHEAD_P95_MAX),
        ),
        (
            "share of calls that needed no new connection",
            reused,
            Target::AtLeast(REUSE_MIN),
        ),
    ] {
        findings.checks.push(Check::new(name, value, target));
    }
    let lines = vec![line("direct", &direct), line("through", &through)];
    findings
        .runs
        .push(measured("one client, in turns", 1, began.elapsed(), lines));
    Ok(())
}

async fn turn(
    client: &mut Client,
    latencies: &mut Latencies,
    count: u32,
) -> Result<(), BenchError> {
    for _ in 0..count {
        latencies.record(call(client).await?);
    }
    Ok(())
}

#[derive(Deserialize)]
struct Answered {
    answer: u64,
}

/// One call, which must be answered.
async fn call(client: &mut Client) -> Result<Duration, BenchError> {
    let tool = format!("{REMOTE}echo");
    let answer = client
        .call::<Answered>(&tool, &json!({"text": "hello"}))
        .await?;
    match answer.result {
        Ok(Answered { answer: 42 }) => Ok(answer.received - answer.sent),
        Ok(Answered { answer }) => Err(BenchError::Answer {
            tool,
            reason: format!("{answer}"),
        }),
        Err(code) => Err(BenchError::Refused { tool, code }),
    }
}

/// Many clients that call one after the other, all at once.
async fn crowd(
    server: &Server,
    clients: u32,
    calls: u32,
) -> Result<(Latencies, Duration), BenchError> {
    let mut connected = Vec::new();
    for _ in 0..clients {
        connected.push(Client::connect(server.address, "bench").await?);
    }
    let began = Instant::now();
    let mut running = JoinSet::new();
    for mut client in connected {
        running.spawn(async move {
            let mut latencies = Latencies::default();
            turn(&mut client, &mut latencies, calls)
                .await
                .map(|()| latencies)
        });
    }
    let mut all = Latencies::default();
    while let Some(done) = running.join_next().await {
        let done = done.map_err(std::io::Error::other);
        all.merge(&done.map_err(BenchError::io("a client"))??);
    }
    Ok((all, began.elapsed()))
}
