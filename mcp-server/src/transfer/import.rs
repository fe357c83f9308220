//! From a file into a store.

use std::{io, time::Duration};

use tokio::{sync::mpsc, task::JoinError};

use super::{
    Form, Source, TransferError,
    form::{Entries, Entry},
    source::Meter,
};
use crate::{
    memory::{Limits, Memory, MemoryError, Owner, Restored},
    ports::MemoryArchive,
};

/// The most memories that are stored in one step. Few, so that the calls of others in between do
/// not wait long.
const STEP_LEN_MAX: usize = 50;
/// The most text of one step, in bytes, give or take one memory.
const STEP_BYTES_MAX: usize = 1 << 20;
/// How often a step is tried while the store is overloaded or busy.
const TRIES_MAX: u32 = 8;
/// The wait before the second try; it doubles with each further one.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// What to import, and how.
#[derive(Debug)]
pub struct Import {
    /// Where the memories come from.
    pub source: Source,
    /// Puts all memories here, instead of where the file says.
    pub namespace: Option<String>,
    /// Reads and checks everything, and stores nothing.
    pub dry_run: bool,
}

/// What an import has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// What the file is.
    pub form: Option<Form>,
    /// Memories that were not there before; in a dry run, those that could be stored.
    pub added: u64,
    /// Memories that took the place of an older version.
    pub replaced: u64,
    /// Memories that were there already, in this version or a newer one.
    pub kept: u64,
    /// Memories that were deleted where they come from, or have expired.
    pub gone: u64,
    /// Memories that could not be read or stored.
    pub rejected: u64,
    /// How far the file was read, in percent, if that can be known.
    pub percent: Option<u64>,
}

impl Report {
    /// Memories that were looked at.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.added + self.replaced + self.kept + self.gone + self.rejected
    }
}

/// Puts the memories of a file into a store, some at a time. `progress` is told after each step;
/// what is wrong with single memories is logged, and the others are stored. Doing it again changes
/// nothing, so an import that was cut off is simply repeated.
///
/// # Errors
///
/// [`TransferError`] if the file cannot be read to its end, or the store fails.
///
/// # Cancel safety
///
/// What was stored before stays.
pub async fn import(
    archive: &dyn MemoryArchive,
    owner: &Owner,
    limits: &Limits,
    import: Import,
    mut progress: impl FnMut(&Report),
) -> Result<Report, TransferError> {
    let (sender, mut steps) = mpsc::channel(2);
    let limits = limits.clone();
    let name = import.source.name.clone();
    let reader = tokio::task::spawn_blocking(move || {
        let namespace = import.namespace.as_deref();
        read(import.source, namespace, &limits, &sender)
    });
    let mut report = Report::default();
    while let Some(step) = steps.recv().await {
        report.form = Some(step.form);
        report.gone += step.deleted;
        report.rejected += step.rejected;
        report.percent = step.meter.percent();
        if import.dry_run {
            report.added += step.memories.len() as u64;
        } else {
            store(archive, owner, step.memories, &mut report).await?;
        }
        progress(&report);
    }
    let joined = reader.await.map_err(JoinError::into_panic);
    joined
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        .map_err(|error| error.unwrap_or_else(|source| TransferError::Read { name, source }))?;
    Ok(report)
}

struct Step {
    form: Form,
    memories: Vec<Memory>,
    deleted: u64,
    rejected: u64,
    meter: Meter,
}

/// Reads on a thread that may block, until the receiver is gone.
fn read(
    source: Source,
    namespace: Option<&str>,
    limits: &Limits,
    steps: &mpsc::Sender<Step>,
) -> Result<(), Result<TransferError, io::Error>> {
    let meter = source.meter();
    let mut entries = Entries::begin(source).map_err(Ok)?;
    let form = entries.form;
    let new_step = || Step {
        form,
        memories: Vec::new(),
        deleted: 0,
        rejected: 0,
        meter: meter.clone(),
    };
    let (mut step, mut bytes) = (new_step(), 0);
    while let Some((place, entry)) = entries.next().map_err(Err)? {
        match checked(entry, namespace, limits) {
            Ok(Some(memory)) => {
                bytes += memory.content.len();
                step.memories.push(memory);
            }
            Ok(None) => step.deleted += 1,
            Err(reason) => {
                tracing::warn!(place, "left out: {reason}");
                step.rejected += 1;
            }
        }
        if step.memories.len() == STEP_LEN_MAX || bytes >= STEP_BYTES_MAX {
            bytes = 0;
            if steps
                .blocking_send(std::mem::replace(&mut step, new_step()))
                .is_err()
            {
                return Ok(());
            }
        }
    }
    // Nobody listens any more when the other side failed first, and says so itself.
    let _ = steps.blocking_send(step);
    Ok(())
}

fn checked(
    entry: Entry,
    namespace: Option<&str>,
    limits: &Limits,
) -> Result<Option<Memory>, String> {
    match entry {
        Entry::Deleted => Ok(None),
        Entry::Broken(reason) => Err(reason),
        Entry::Memory(mut memory) => {
            if let Some(namespace) = namespace {
                namespace.clone_into(&mut memory.namespace);
            }
            let error = limits.check_memory(&memory).err();
            error.map_or(Ok(Some(*memory)), |error| Err(error.to_string()))
        }
    }
}

async fn store(
    archive: &dyn MemoryArchive,
    owner: &Owner,
    memories: Vec<Memory>,
    report: &mut Report,
) -> Result<(), MemoryError> {
    let ids: Vec<_> = memories.iter().map(|memory| memory.id.clone()).collect();
    let restored = restore(archive, owner, memories).await?;
    for (id, restored) in ids.into_iter().zip(restored) {
        match restored {
            Restored::Added => report.added += 1,
            Restored::Replaced => report.replaced += 1,
            Restored::Kept => report.kept += 1,
            Restored::Expired => report.gone += 1,
            Restored::Taken => {
                tracing::warn!(%id, "left out: the id belongs to another owner's memory");
                report.rejected += 1;
            }
        }
    }
    Ok(())
}

/// Waits for a store that is busy with others; storing the same again is harmless.
async fn restore(
    archive: &dyn MemoryArchive,
    owner: &Owner,
    memories: Vec<Memory>,
) -> Result<Vec<Restored>, MemoryError> {
    if memories.is_empty() {
        return Ok(Vec::new());
    }
    let mut pause = TRY_AGAIN_AFTER;
    for _ in 1..TRIES_MAX {
        match archive.restore(owner, memories.clone()).await {
            Err(error) if error.is_retryable() => tracing::debug!(%error, "trying again"),
            done => return done,
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    archive.restore(owner, memories).await
}
