//! The checker on this cache: over every form of invalidation and load.
//!
//! `MCP_CACHE_HISTORY_OPS=10000000` makes each test that long.

use mcp_cache::{
    Cache,
    history::{InvalidateForm, LoadForm, Plan, Report, cache_config, run},
};
use std::sync::Arc;

fn operations() -> u64 {
    let asked = std::env::var("MCP_CACHE_HISTORY_OPS").ok();
    asked.map_or(100_000, |text| {
        text.parse().expect("a number of operations")
    })
}

async fn check(plan: Plan) -> Report {
    let cache: Cache<String, u64> = Cache::new(&cache_config()).expect("valid");
    let cache = Arc::new(cache);
    let report = run(Arc::clone(&cache), &plan).await;
    report.unwrap_or_else(|violation| panic!("{violation}; {:?}", cache.stats()))
}

fn plan() -> Plan {
    Plan {
        operations: operations(),
        ..Plan::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_read_is_older_than_an_invalidation_that_returned() {
    let report = check(plan()).await;
    // A warmed key may be invalidated or evicted before it is read.
    assert!(report.unanswered < report.reads / 2, "{report:?}");
    assert!(report.loads > report.invalidations / 4, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nor_is_one_when_loads_are_cancelled() {
    let mut plan = plan();
    plan.cancelled = 0.3;
    plan.seed = 2;
    let report = check(plan).await;
    assert!(report.unanswered > report.reads / 20, "{report:?}");
}

/// Few keys, so that nearly everything meets; each form by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_form_by_itself() {
    for (seed, invalidate) in (10..).zip(InvalidateForm::ALL) {
        for load in LoadForm::ALL {
            let mut plan = plan();
            plan.operations /= 10;
            (plan.keys, plan.seed) = (4, seed);
            plan.invalidate = vec![*invalidate];
            plan.load = vec![*load];
            let report = check(plan).await;
            assert!(
                report.invalidations > 0,
                "{invalidate:?} {load:?} {report:?}"
            );
        }
    }
}
