//! The history checker on every cache: who serves a value that was invalidated
//! while it was loaded?

use crate::peers::check_peers;
use mcp_cache::{
    Cache,
    history::{InvalidateForm, LoadForm, Plan, Subject, cache_config, run},
};
use std::sync::Arc;
use tokio::runtime::Runtime;

const OPERATIONS: u64 = 1_000_000;

/// What is known of a cache; the bench fails if the checker does not see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Never,
    Stale,
}

/// Runs the checker by one form of invalidation, with loads in the foreground.
pub(crate) fn check<S: Subject>(
    runtime: &Runtime,
    name: &str,
    subject: S,
    (form, known): (InvalidateForm, Known),
) {
    let plan = Plan {
        operations: OPERATIONS,
        keys: 16,
        written_through: 0.0,
        invalidate: vec![form],
        load: vec![LoadForm::Foreground],
        ..Plan::default()
    };
    let verdict = runtime.block_on(run(Arc::new(subject), &plan));
    let found = match &verdict {
        Ok(_) => Known::Never,
        Err(_) => Known::Stale,
    };
    let text = verdict.map_or_else(
        |violation| violation.to_string(),
        |report| format!("no stale read among {}", report.reads),
    );
    println!("  {name:<14} {:<6} {text}", format!("{form:?}"));
    assert_eq!(found, known, "{name}");
}

pub(crate) fn print() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .expect("a runtime");
    let _inside = runtime.enter();
    println!("\nhistory checker, loads in the foreground, {OPERATIONS} operations at most");
    for form in InvalidateForm::ALL {
        let ours: Cache<String, u64> = Cache::new(&cache_config()).expect("valid");
        check(&runtime, "mcp-cache", ours, (*form, Known::Never));
    }
    check_peers(&runtime);
}
