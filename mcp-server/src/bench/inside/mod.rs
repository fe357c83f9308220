//! The operations of a server measured from inside, while it serves: what the tool
//! `run_performance_benchmark` does.
//!
//! Everything is really done, on memories of its own in a namespace of its own, which are deleted
//! afterwards. Should that be cut off, they expire.

mod report;
mod scratch;
mod sections;
mod timed;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

pub use report::{InsideReport, OperationReport, SectionReport};

use self::{scratch::Scratch, sections::Section};
use crate::{call::Call, memory::MemoryService};

/// The most samples of each operation.
pub const SAMPLES_MAX: u32 = 1_000;
/// Samples of each operation, where nothing else is asked for.
pub const SAMPLES: u32 = 50;
/// No section is begun, and no sample is taken, after this.
const DURATION_MAX: Duration = Duration::from_secs(30);

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Samples of each operation, from 1 to [`SAMPLES_MAX`].
    pub samples: u32,
    /// Whether the answers are checked, too.
    pub validate: bool,
}

/// Measures, one at a time, and keeps what was found last. Clones share both.
#[derive(Debug, Clone)]
pub struct Inside {
    memory: MemoryService,
    running: Arc<tokio::sync::Mutex<()>>,
    latest: Arc<Mutex<Option<Arc<InsideReport>>>>,
}

/// Another one runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a benchmark runs already: wait until it has ended, at most {DURATION_MAX:?}")]
pub struct Busy;

impl Inside {
    /// Measures what `memory` does.
    #[must_use]
    pub fn new(memory: MemoryService) -> Self {
        Self {
            memory,
            running: Arc::default(),
            latest: Arc::default(),
        }
    }

    /// Runs all sections in the name of the call's owner, within some 30 s.
    ///
    /// # Errors
    ///
    /// [`Busy`].
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves its memories behind, which nobody's searches match; they expire within ten
    /// minutes.
    pub async fn run(&self, call: &Call, extent: Extent) -> Result<Arc<InsideReport>, Busy> {
        let _running = self.running.try_lock().map_err(|_| Busy)?;
        let (began_at, began) = (Timestamp::now(), Instant::now());
        let scratch = Scratch::new(&self.memory, call, extent, began + DURATION_MAX);
        let mut sections = Vec::with_capacity(Section::ALL.len());
        for section in Section::ALL {
            sections.push(section.run(&scratch).await);
        }
        let left = scratch.remove().await;
        let report = Arc::new(InsideReport {
            began_at,
            duration_ms: began.elapsed().as_secs_f64() * 1_000.0,
            samples_per_operation: extent.samples,
            validated: extent.validate,
            passed: sections.iter().all(|section| section.passed) && left == 0,
            sections,
            memories_left_behind: left,
        });
        *self.lock() = Some(report.clone());
        Ok(report)
    }

    /// What was found last, since the start.
    #[must_use]
    pub fn latest(&self) -> Option<Arc<InsideReport>> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<InsideReport>>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
