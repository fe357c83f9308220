//! Whether anybody has committed since, told from the head of the WAL index.
//!
//! The file beside the database that ends in `-shm` begins with two copies of a header that SQLite
//! changes with every commit, of whatever process, before the commit returns ("WAL-mode File
//! Format", section 2.1). Reading it takes one system call and no lock.

use std::path::Path;

/// The head of one database's WAL index.
#[derive(Debug)]
pub(super) struct WalIndex(#[cfg(unix)] Option<unix::Shared>);

/// Held while connections are opened, until the index is watched.
pub(super) struct Opening(#[cfg(unix)] unix::NoneCloses);

/// Begins to open connections.
pub(super) fn opening() -> Opening {
    Opening(
        #[cfg(unix)]
        unix::none_closes(),
    )
}

impl Opening {
    /// Watches the database at `path`, to which connections are open by now. What is returned must
    /// be dropped after them.
    pub(super) fn watch(self, path: &Path) -> WalIndex {
        #[cfg(not(unix))]
        let _ = path;
        WalIndex(
            #[cfg(unix)]
            unix::Shared::open(&self.0, path),
        )
    }
}

impl WalIndex {
    /// A mark that is another one after every commit; `None` where it cannot be told, also for a
    /// moment while somebody commits.
    pub(super) fn mark(&self) -> Option<u64> {
        #[cfg(unix)]
        return self.0.as_ref()?.mark();
        #[cfg(not(unix))]
        None
    }
}

/// POSIX lets go of all locks that a process holds on a file when it closes any descriptor of it,
/// SQLite's own among them. So there is one descriptor for each file, closed only after the
/// connections of the last store on it are, and never while others are being opened.
#[cfg(unix)]
mod unix {
    use std::{
        collections::BTreeMap,
        ffi::OsString,
        fs::File,
        hash::{DefaultHasher, Hasher},
        os::unix::fs::FileExt,
        path::{Path, PathBuf},
        sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
    };

    /// One copy of the header, in bytes.
    const HEADER_BYTES: usize = 48;
    /// Where the header says whether it was ever written.
    const IS_INIT: usize = 12;

    struct Open {
        file: Arc<File>,
        holders: usize,
    }

    type Registry = BTreeMap<PathBuf, Open>;

    static OPEN: Mutex<Registry> = Mutex::new(BTreeMap::new());
    /// Shared by those who open connections, alone for who closes a descriptor.
    static CLOSING: RwLock<()> = RwLock::new(());

    pub(super) type NoneCloses = RwLockReadGuard<'static, ()>;

    pub(super) fn none_closes() -> NoneCloses {
        CLOSING.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn registry() -> MutexGuard<'static, Registry> {
        OPEN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[derive(Debug)]
    pub(super) struct Shared {
        path: PathBuf,
        /// `None` only while being dropped.
        file: Option<Arc<File>>,
    }

    impl Shared {
        pub(super) fn open(_: &NoneCloses, database: &Path) -> Option<Self> {
            let mut registry = registry();
            let mut path = OsString::from(database.canonicalize().ok()?);
            path.push("-shm");
            let path = PathBuf::from(path);
            if let Some(open) = registry.get_mut(&path) {
                open.holders += 1;
                let file = Some(open.file.clone());
                return Some(Self { path, file });
            }
            let file = Arc::new(File::open(&path).ok()?);
            let open = Open {
                file: file.clone(),
                holders: 1,
            };
            registry.insert(path.clone(), open);
            let file = Some(file);
            Some(Self { path, file })
        }

        pub(super) fn mark(&self) -> Option<u64> {
            let mut copies = [0; 2 * HEADER_BYTES];
            self.file.as_ref()?.read_exact_at(&mut copies, 0).ok()?;
            let (first, second) = copies.split_at(HEADER_BYTES);
            if first != second || first[IS_INIT] == 0 {
                return None;
            }
            let mut hasher = DefaultHasher::new();
            hasher.write(first);
            Some(hasher.finish())
        }
    }

    impl Drop for Shared {
        fn drop(&mut self) {
            let _alone = CLOSING.write().unwrap_or_else(PoisonError::into_inner);
            let mut registry = registry();
            self.file = None;
            if let Some(open) = registry.get_mut(&self.path) {
                open.holders -= 1;
                if open.holders == 0 {
                    registry.remove(&self.path);
                }
            }
        }
    }
}
