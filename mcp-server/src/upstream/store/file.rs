//! The file itself: read as a whole, and replaced as a whole.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use super::{Record, Records, StoreError};
use crate::upstream::ConnectorName;

/// The largest file that is read, in bytes.
const BYTES_MAX: u64 = 64 << 20;
const VERSION: u32 = 1;
/// How the names of unfinished files begin.
const TEMPORARY: &str = ".connectors.";

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    connectors: &'a Records,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    version: u32,
    connectors: std::collections::BTreeMap<ConnectorName, Record>,
}

/// What tells a file from those that were there before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    modified: Option<SystemTime>,
    bytes: u64,
    inode: u64,
}

impl Identity {
    fn of(metadata: &fs::Metadata) -> Self {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Self {
            modified: metadata.modified().ok(),
            bytes: metadata.len(),
            inode,
        }
    }
}

/// Which file is there, if any.
pub(super) fn identity(path: &Path) -> Result<Option<Identity>, StoreError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(Identity::of(&metadata))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed(path, source)),
    }
}

/// The records of a file, and which file that was; none if there is no file.
pub(super) fn read(path: &Path) -> Result<(Records, Option<Identity>), StoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
        Err(source) => return Err(failed(path, source)),
    };
    let metadata = file.metadata().map_err(|source| failed(path, source))?;
    check_ours(path, &metadata)?;
    let broken = |reason: String| StoreError::Broken {
        path: path.to_owned(),
        reason,
    };
    if metadata.len() > BYTES_MAX {
        return Err(broken(format!("it is larger than {BYTES_MAX} bytes")));
    }
    let text = io::read_to_string(file).map_err(|source| failed(path, source))?;
    let read: Read = serde_json::from_str(&text).map_err(|error| broken(error.to_string()))?;
    if read.version != VERSION {
        return Err(broken(format!("its version {} is not known", read.version)));
    }
    let wrong = read.connectors.iter().find_map(|(name, record)| {
        let reason = record.server.validate().err()?;
        Some(format!("`{name}` {reason}"))
    });
    match wrong {
        Some(reason) => Err(broken(reason)),
        None => Ok((read.connectors, Some(Identity::of(&metadata)))),
    }
}

#[cfg(unix)]
fn check_ours(path: &Path, metadata: &fs::Metadata) -> Result<(), StoreError> {
    use std::os::unix::fs::MetadataExt;

    let not_ours = |reason| {
        Err(StoreError::NotOurs {
            path: path.to_owned(),
            reason,
        })
    };
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return not_ours("belongs to another user");
    }
    match metadata.mode() & 0o022 {
        0 => Ok(()),
        _ => not_ours("may be written by others (chmod 600)"),
    }
}

#[cfg(not(unix))]
fn check_ours(_path: &Path, _metadata: &fs::Metadata) -> Result<(), StoreError> {
    Ok(())
}

/// The right to replace the file, which one process at a time has.
pub(super) struct Locked<'a> {
    path: &'a Path,
    dir: PathBuf,
    /// Unlocked when it is closed.
    _lock: File,
}

impl<'a> Locked<'a> {
    /// Waits until no other process has it.
    pub(super) fn acquire(path: &'a Path) -> Result<Self, StoreError> {
        let at = |source| failed(path, source);
        let dir = path.parent().unwrap_or_else(|| Path::new(".")).to_owned();
        fs::create_dir_all(&dir).map_err(at)?;
        let mut options = File::options();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        // A file of its own: the other one is replaced, and a lock on it would go with it.
        let lock = options.open(path.with_extension("lock")).map_err(at)?;
        lock.lock().map_err(at)?;
        remove_leftovers(&dir).map_err(at)?;
        Ok(Self {
            path,
            dir,
            _lock: lock,
        })
    }

    /// Puts a new file in the place of the old one: whenever the machine stops, one of them is there
    /// as a whole.
    pub(super) fn replace(&self, records: &Records) -> Result<Identity, StoreError> {
        self.try_replace(records)
            .map_err(|source| failed(self.path, source))
    }

    fn try_replace(&self, records: &Records) -> io::Result<Identity> {
        let written = Written {
            version: VERSION,
            connectors: records,
        };
        let bytes = serde_json::to_vec_pretty(&written)?;
        // Only its owner may read it: 0600.
        let mut file = tempfile::Builder::new()
            .prefix(TEMPORARY)
            .tempfile_in(&self.dir)?;
        file.write_all(&bytes)?;
        file.as_file().sync_all()?;
        let file = file.persist(self.path)?;
        // The name must last, too.
        #[cfg(unix)]
        File::open(&self.dir)?.sync_all()?;
        Ok(Identity::of(&file.metadata()?))
    }
}

/// Removes what a process left behind that was killed while it wrote. Nobody writes meanwhile.
fn remove_leftovers(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn failed(path: &Path, source: io::Error) -> StoreError {
    StoreError::Io {
        path: path.to_owned(),
        source,
    }
}
