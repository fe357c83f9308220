//! Lists of tools while upstreams are slow or dead, and starts in front of many slow ones.

use std::time::Duration;

use tokio::time::Instant;

use super::{Findings, Plan, REMOTE, Say, line, measured, settings, until_listed, with_gateway};
use crate::bench::{
    client::Client,
    error::BenchError,
    latency::Latencies,
    measure::millis,
    report::{Check, Target},
    server::Launch,
    upstream::{Behaviour, Upstream},
};

/// Upstreams of which half are dead: of those every second one refuses connections, and the others
/// take them and say nothing.
const MIXED: u32 = 20;
/// How often the tools are listed, and how long 95 % of the times may take, in ms.
const LISTS: u32 = 5_000;
const LIST_P95_MAX: f64 = 2.0;
/// Upstreams at a start, and how long they take.
const SLOW: u32 = 16;
const DELAY_MIN: Duration = Duration::from_millis(100);
const DELAY_MAX: Duration = Duration::from_millis(300);
/// Starts of each kind, in turns.
const STARTS: u32 = 3;
/// How much sooner all are there than if they were asked one by one.
const GAIN_MIN: f64 = 0.35;

pub(super) async fn run(
    plan: &Plan,
    launch: &Launch,
    say: Say<'_>,
    findings: &mut Findings,
) -> Result<(), BenchError> {
    say(format!(
        "lists in front of {MIXED} upstreams, half of which are dead"
    ));
    let mut upstreams = Vec::new();
    let mut refusing = Vec::new();
    for number in 0..MIXED {
        let is_dead = number % 2 == 1;
        let upstream = Upstream::serve(Behaviour {
            tool: format!("{REMOTE}{number}"),
            hangs: is_dead,
            ..Behaviour::default()
        })
        .await?;
        if number % 4 == 1 {
            refusing.push(number as usize);
        }
        upstreams.push(upstream);
    }
    // A hung one must be given up in time, so that those that refuse are asked, too.
    let settled = settings(&upstreams, &["connect_timeout: 2s"]);
    for number in refusing.into_iter().rev() {
        upstreams.remove(number);
    }
    with_gateway(launch, &settled, async |server| {
        until_listed(server, MIXED as usize / 2).await?;
        let mut client = Client::connect(server.address, "bench").await?;
        let (mut took, began) = (Latencies::default(), Instant::now());
        for _ in 0..plan.samples.unwrap_or(LISTS) {
            took.record(client.list().await?.1);
        }
        let p95 = millis(took.percentile(95.0));
        let name = "p95 of a list with ten of twenty upstreams dead, ms";
        findings
            .checks
            .push(Check::new(name, p95, Target::AtMost(LIST_P95_MAX)));
        let lines = vec![line("tools/list", &took)];
        findings.runs.push(measured(
            "ten of twenty upstreams dead",
            1,
            began.elapsed(),
            lines,
        ));
        Ok(())
    })
    .await?;
    say(format!("starts in front of {SLOW} slow upstreams"));
    starts(launch, findings).await
}

/// How long it takes until the tools of all slow upstreams are there, asked one by one and as many at
/// once as by default.
async fn starts(launch: &Launch, findings: &mut Findings) -> Result<(), BenchError> {
    let mut upstreams = Vec::new();
    for number in 0..SLOW {
        let list_delay = DELAY_MIN + (DELAY_MAX - DELAY_MIN) * number / (SLOW - 1);
        upstreams.push(
            Upstream::serve(Behaviour {
                tool: format!("{REMOTE}{number}"),
                list_delay,
                ..Behaviour::default()
            })
            .await?,
        );
    }
    let began = Instant::now();
    let (mut one_by_one, mut at_once) = (Latencies::default(), Latencies::default());
    for _ in 0..STARTS {
        for (lines, latencies) in [
            (&["syncs_max: 1"][..], &mut one_by_one),
            (&[], &mut at_once),
        ] {
            let settled = settings(&upstreams, lines);
            let took = with_gateway(launch, &settled, async |server| {
                until_listed(server, SLOW as usize).await
            })
            .await?;
            latencies.record(took);
        }
    }
    let median = |latencies: &Latencies| latencies.percentile(50.0).as_secs_f64();
    let gain = 1.0 - median(&at_once) / median(&one_by_one);
    let name = format!("how much sooner {SLOW} upstreams are listed than one by one");
    findings
        .checks
        .push(Check::new(name, gain, Target::AtLeast(GAIN_MIN)));
    let lines = vec![
        line("one by one", &one_by_one),
        line("by default", &at_once),
    ];
    findings.runs.push(measured(
        "starts with slow upstreams",
        1,
        began.elapsed(),
        lines,
    ));
    Ok(())
}
