//! From a store into another one: everything that anybody owns.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::TransferError;
use crate::{
    memory::{Cursor, MemoryError, Owner, Restored},
    ports::{ContextArchive, MemoryArchive},
};

/// How many memories or contexts are copied in one step. Few, so that the calls of others in between
/// do not wait long.
const STEP_LEN_MAX: usize = 200;

/// A store as the source or the target of a copy.
#[derive(Clone)]
pub struct Archive {
    /// Its memories.
    pub memories: Arc<dyn MemoryArchive>,
    /// Its contexts.
    pub contexts: Arc<dyn ContextArchive>,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").finish_non_exhaustive()
    }
}

/// What a copy has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// Memories that were looked at.
    pub memories: u64,
    /// Contexts that were looked at.
    pub contexts: u64,
    /// What was not there before.
    pub added: u64,
    /// What took the place of an older version.
    pub replaced: u64,
    /// What was there already, in this version or a newer one.
    pub kept: u64,
    /// Memories whose id belongs to another owner's memory over there; they were left out.
    pub taken: u64,
    /// Whether an earlier copy was gone on with.
    pub resumed: bool,
}

/// How far a copy has come, in a file, so that it can be gone on with.
#[derive(Debug)]
pub struct Bookmark {
    path: PathBuf,
}

/// What the file says: before this place everything was copied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// The stores, so that no other copy goes on from here.
    between: String,
    /// Owners in the order of their names; those before this one are done.
    owner: String,
    /// The last memory, while there are more.
    memory: Option<i64>,
    /// The last context, once the memories are done.
    context: Option<u64>,
}

impl Bookmark {
    /// A bookmark in `dir`.
    #[must_use]
    pub fn in_dir(dir: &Path) -> Self {
        Self {
            path: dir.join("copy.json"),
        }
    }

    fn read(&self, between: &str) -> Option<Mark> {
        let text = fs::read(&self.path).ok()?;
        let mark: Mark = serde_json::from_slice(&text).ok()?;
        (mark.between == between).then_some(mark)
    }

    fn write(&self, mark: &Mark) -> io::Result<()> {
        let dir = self.path.parent().unwrap_or_else(|| Path::new("."));
        fs::create_dir_all(dir)?;
        let file = tempfile::NamedTempFile::new_in(dir)?;
        serde_json::to_writer(&file, mark)?;
        file.persist(&self.path)?;
        Ok(())
    }

    fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Copies everything from `from` to `to`, some at a time, and notes how far it is. `between` names
/// the two, and no others that may come to be at the same addresses: a copy of the same that was cut
/// off is gone on with. What has changed in the source since,
/// before that place, is copied by the next copy; doing it again changes nothing, and nothing is ever
/// deleted. `progress` is told after each step.
///
/// # Errors
///
/// [`TransferError`] if either store fails, or the bookmark cannot be written.
///
/// # Cancel safety
///
/// What was copied before stays.
pub async fn copy(
    from: &Archive,
    to: &Archive,
    between: &str,
    bookmark: &Bookmark,
    mut progress: impl FnMut(&Copied),
) -> Result<Copied, TransferError> {
    let mut copied = Copied::default();
    let mut mark = match bookmark.read(between) {
        Some(mark) => {
            copied.resumed = true;
            mark
        }
        None => Mark {
            between: between.to_owned(),
            ..Mark::default()
        },
    };
    // Each store has an order of its own, and what was done must be found again in the same one.
    let mut owners = from.memories.owners().await?;
    owners.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    for owner in owners {
        if owner.as_str() < mark.owner.as_str() {
            continue;
        }
        if owner.as_str() != mark.owner {
            mark.owner = owner.as_str().to_owned();
            (mark.memory, mark.context) = (None, None);
        }
        if mark.context.is_none() {
            memories(
                from,
                to,
                &owner,
                bookmark,
                &mut mark,
                &mut copied,
                &mut progress,
            )
            .await?;
        }
        contexts(
            from,
            to,
            &owner,
            bookmark,
            &mut mark,
            &mut copied,
            &mut progress,
        )
        .await?;
    }
    bookmark.remove().map_err(TransferError::Write)?;
    Ok(copied)
}

async fn memories(
    from: &Archive,
    to: &Archive,
    owner: &Owner,
    bookmark: &Bookmark,
    mark: &mut Mark,
    copied: &mut Copied,
    progress: &mut impl FnMut(&Copied),
) -> Result<(), TransferError> {
    let mut after = mark.memory.map(Cursor);
    loop {
        let page = from.memories.page(owner, None, after, STEP_LEN_MAX).await?;
        copied.memories += page.memories.len() as u64;
        if !page.memories.is_empty() {
            copied.count(&to.memories.restore(owner, page.memories).await?);
        }
        after = page.next;
        mark.memory = after.map(|Cursor(place)| place);
        if after.is_none() {
            mark.context = Some(0);
        }
        bookmark.write(mark).map_err(TransferError::Write)?;
        progress(copied);
        if after.is_none() {
            return Ok(());
        }
    }
}

async fn contexts(
    from: &Archive,
    to: &Archive,
    owner: &Owner,
    bookmark: &Bookmark,
    mark: &mut Mark,
    copied: &mut Copied,
    progress: &mut impl FnMut(&Copied),
) -> Result<(), TransferError> {
    loop {
        let after = mark.context.unwrap_or_default();
        let failed = |error: crate::context::ContextError| MemoryError::Unavailable {
            reason: error.to_string(),
        };
        let page = from.contexts.context_page(owner, after, STEP_LEN_MAX);
        let page = page.await.map_err(failed)?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        mark.context = Some(last.revision);
        copied.contexts += page.len() as u64;
        let whole = page.into_iter().map(|kept| kept.context).collect();
        let restored = to.contexts.restore_contexts(owner, whole);
        copied.count(&restored.await.map_err(failed)?);
        bookmark.write(mark).map_err(TransferError::Write)?;
        progress(copied);
    }
}

impl Copied {
    fn count(&mut self, restored: &[Restored]) {
        for what in restored {
            match what {
                Restored::Added => self.added += 1,
                Restored::Replaced => self.replaced += 1,
                Restored::Kept | Restored::Expired => self.kept += 1,
                Restored::Taken => self.taken += 1,
            }
        }
    }
}
