//! A checker that finds stale reads, for any cache.
//!
//! Workers write numbered versions to a [`Source`], invalidate, and read through
//! a [`Subject`]; every operation is logged with the moments of its call and its
//! return. The [verdict](check) is about real time: a read that was called after
//! the invalidation of version `v` had returned must not answer with a version
//! below `v`, however its value was loaded and wherever it was meanwhile.
//!
//! ```
//! use mcp_cache::{Cache, history::{Plan, cache_config, run}};
//! use std::sync::Arc;
//!
//! # #[tokio::main(flavor = "multi_thread", worker_threads = 2)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cache: Cache<String, u64> = Cache::new(&cache_config())?;
//! let report = run(Arc::new(cache), &Plan { operations: 10_000, ..Plan::default() }).await?;
//! assert!(report.reads > 0 && report.invalidations > 0);
//! # Ok(())
//! # }
//! ```

mod check;
mod run;
mod source;
mod subject;

pub use check::{Action, Op, Violation, check};
pub use run::{Plan, Report, run};
pub use source::Source;
pub use subject::{InvalidateForm, LoadForm, Subject, cache_config};
