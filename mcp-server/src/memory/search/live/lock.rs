//! Who may write the index: one of the processes that share the data directory.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::Path,
};

/// The lock's file beside the database.
const FILE_NAME: &str = "search.lock";

/// Held until dropped, or until the process ends in whatever way.
#[derive(Debug)]
pub(super) struct IndexLock(#[expect(dead_code, reason = "it is locked while it is open")] File);

impl IndexLock {
    /// `None` while somebody else holds it.
    pub(super) fn try_take(dir: &Path) -> io::Result<Option<Self>> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(dir.join(FILE_NAME))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
