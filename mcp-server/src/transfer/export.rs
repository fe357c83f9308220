//! From a store into a file.

use std::io::{self, Write};

use serde::Serialize;

use super::{
    TransferError,
    own::{Footer, Header},
};
use crate::{memory::Owner, ports::MemoryArchive};

/// How many memories are read in one step.
const STEP_LEN_MAX: usize = 500;

/// Writes everything an owner has, or everything in one namespace, as JSON lines, and says how
/// many memories that were. `progress` is told after each step.
///
/// A memory that is changed meanwhile is written once, as it was before or after; one that is
/// added or deleted meanwhile may be in the file or not.
///
/// Writing blocks; give it a file or a pipe of its own.
///
/// # Errors
///
/// [`TransferError::Write`], or what the store says. The output is then incomplete, and known for
/// it, since its last line is missing.
pub async fn export(
    archive: &dyn MemoryArchive,
    owner: &Owner,
    namespace: Option<&str>,
    output: &mut (dyn Write + Send),
    mut progress: impl FnMut(u64),
) -> Result<u64, TransferError> {
    let (mut memories, mut after) = (0, None);
    line(output, &Header::now())?;
    loop {
        let page = archive.page(owner, namespace, after, STEP_LEN_MAX).await?;
        for memory in &page.memories {
            line(output, memory)?;
        }
        memories += page.memories.len() as u64;
        progress(memories);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    line(output, &Footer { memories })?;
    output.flush().map_err(TransferError::Write)?;
    Ok(memories)
}

fn line(output: &mut (dyn Write + Send), value: &impl Serialize) -> Result<(), TransferError> {
    let write = |output: &mut (dyn Write + Send)| -> io::Result<()> {
        serde_json::to_writer(&mut *output, value)?;
        output.write_all(b"\n")
    };
    write(output).map_err(TransferError::Write)
}
