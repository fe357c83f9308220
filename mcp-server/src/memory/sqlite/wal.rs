//! Whether anybody has committed, for the price of one read of 48 bytes.
//!
//! In WAL mode every commit, of whichever process, rewrites the header of the WAL index before it
//! is acknowledged (<https://www.sqlite.org/walformat.html>, section 2.1): it counts the
//! transactions and holds the running checksum of all frames. So two equal headers are one state of
//! the database. The file is memory that the processes share, so reading it reads no disk.

use std::path::Path;

use crate::memory::Version;

/// The WAL index of one database.
#[derive(Debug)]
pub(super) struct WalIndex {
    #[cfg(unix)]
    file: Option<std::sync::Arc<std::fs::File>>,
}

#[cfg(unix)]
impl WalIndex {
    /// To be called while a connection to `database` is open, which keeps the file where it is.
    pub(super) fn open(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-shm");
        match kept::open(Path::new(&path)) {
            Ok(file) => Self { file: Some(file) },
            Err(error) => {
                tracing::warn!(%error, "the WAL index cannot be read: the cache asks the database");
                Self { file: None }
            }
        }
    }

    /// The present state; `None` where that cannot be told.
    pub(super) fn version(&self) -> Option<Version> {
        use std::os::unix::fs::FileExt;
        /// The layout of the header, its first number; anything else is not known here.
        const LAYOUT: [u8; 4] = 3_007_000_u32.to_ne_bytes();
        let mut header = [0; 48];
        self.file.as_ref()?.read_exact_at(&mut header, 0).ok()?;
        header.starts_with(&LAYOUT).then_some(Version(header))
    }
}

#[cfg(not(unix))]
impl WalIndex {
    pub(super) fn open(_database: &Path) -> Self {
        Self {}
    }

    pub(super) fn version(&self) -> Option<Version> {
        None
    }
}

/// Files that are never closed: closing one would drop the locks that SQLite holds on it, whichever
/// connection of this process took them (POSIX fcntl). One for each database that the process opens.
#[cfg(unix)]
mod kept {
    use std::{
        fs::{self, File, Metadata},
        io,
        os::unix::fs::MetadataExt,
        path::Path,
        sync::{Arc, Mutex, PoisonError},
    };

    static FILES: Mutex<Vec<(Id, Arc<File>)>> = Mutex::new(Vec::new());

    /// Device and inode.
    type Id = (u64, u64);

    fn id(metadata: &Metadata) -> Id {
        (metadata.dev(), metadata.ino())
    }

    pub(super) fn open(path: &Path) -> io::Result<Arc<File>> {
        let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = id(&fs::metadata(path)?);
        if let Some((_, file)) = files.iter().find(|(known, _)| *known == wanted) {
            return Ok(file.clone());
        }
        let file = Arc::new(File::open(path)?);
        // Kept before anything else can fail.
        files.push((wanted, file.clone()));
        if let Some(last) = files.last_mut() {
            last.0 = id(&file.metadata()?);
        }
        Ok(file)
    }
}
