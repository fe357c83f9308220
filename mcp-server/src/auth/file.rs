//! The file of tokens: readable by its owner only, exchanged as a whole, changed by one at a time.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Entry, EntryError};

/// The file's name inside the data directory.
const FILE_NAME: &str = "tokens.json";
const LOCK_NAME: &str = "tokens.lock";
/// The form of the file. A newer one is refused.
const VERSION: u32 = 1;
/// The most tokens of one server.
const TOKENS_MAX: usize = 10_000;
/// More than that many tokens take.
const BYTES_MAX: u64 = 16 << 20;

/// Why the tokens cannot be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFileError {
    /// The operating system refuses.
    #[error("cannot use the file of tokens `{path}`: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Somebody else may have read or changed it.
    #[error(
        "`{path}` {reason}, so its tokens are not to be trusted: give it back to the user of the \
         server with `chown`, and close it with `chmod 600`",
        path = path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// It is no file of tokens, or of a newer version.
    #[error("`{path}` is no file of tokens: {reason}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There are as many as there can be.
    #[error("there are {TOKENS_MAX} tokens, and no more are taken: revoke some")]
    Full,
}

/// The file of tokens of one data directory.
#[derive(Debug, Clone)]
pub struct TokenFile {
    dir: PathBuf,
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    version: u32,
    tokens: Vec<Entry>,
}

impl TokenFile {
    /// The one in `dir`, whether it is there or not.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            path: dir.join(FILE_NAME),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tokens, in the order in which they were made; none where there is no file. Blocks.
    ///
    /// # Errors
    ///
    /// [`TokenFileError`] says what to do.
    pub fn read(&self) -> Result<Vec<Entry>, TokenFileError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            // Of a folder that is none the store has more to say.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(Vec::new());
            }
            Err(error) => return Err(self.io(error)),
        };
        self.check_owner(&file)?;
        let mut text = String::new();
        file.take(BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(|error| self.io(error))?;
        let malformed = |reason: String| TokenFileError::Malformed {
            path: self.path.clone(),
            reason,
        };
        let contents: Contents =
            serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        if contents.version != VERSION {
            let reason = format!("it has version {}, known is {VERSION}", contents.version);
            return Err(malformed(reason));
        }
        let checked: Result<(), EntryError> = contents.tokens.iter().try_for_each(Entry::check);
        checked.map_err(|error| malformed(error.to_string()))?;
        Ok(contents.tokens)
    }

    /// Adds a token. Blocks, also while another process changes the file.
    ///
    /// # Errors
    ///
    /// [`TokenFileError`]; nothing is changed then.
    pub fn add(&self, entry: Entry) -> Result<(), TokenFileError> {
        self.change(|tokens| {
            if tokens.len() >= TOKENS_MAX {
                return Err(TokenFileError::Full);
            }
            tokens.push(entry);
            Ok(())
        })
    }

    /// Takes the token named `id` out, and returns what was kept of it; `None` if there is none.
    /// Blocks, also while another process changes the file.
    ///
    /// # Errors
    ///
    /// [`TokenFileError`]; nothing is changed then.
    pub fn revoke(&self, id: &str) -> Result<Option<Entry>, TokenFileError> {
        self.change(|tokens| {
            let index = tokens.iter().position(|entry| entry.id == id);
            Ok(index.map(|index| tokens.remove(index)))
        })
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<Entry>) -> Result<T, TokenFileError>,
    ) -> Result<T, TokenFileError> {
        self.prepare_dir().map_err(|error| self.io(error))?;
        let _lock = self.lock().map_err(|error| self.io(error))?;
        let mut tokens = self.read()?;
        let done = change(&mut tokens)?;
        self.write(tokens).map_err(|error| self.io(error))?;
        Ok(done)
    }

    fn prepare_dir(&self) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.dir)
    }

    /// Held until it is dropped. A file of its own: the other one is exchanged.
    fn lock(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let lock = options.open(self.dir.join(LOCK_NAME))?;
        lock.lock()?;
        Ok(lock)
    }

    /// Puts a new file in the place of the old one, so that nobody ever reads half of it.
    fn write(&self, tokens: Vec<Entry>) -> io::Result<()> {
        let contents = Contents {
            version: VERSION,
            tokens,
        };
        // Readable by its owner only from its first moment.
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        serde_json::to_writer_pretty(&mut file, &contents)?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        #[cfg(unix)]
        File::open(&self.dir)?.sync_all()?;
        Ok(())
    }

    /// Asked of the open file: what has the name may have changed meanwhile.
    #[cfg(unix)]
    fn check_owner(&self, file: &File) -> Result<(), TokenFileError> {
        use std::os::unix::fs::MetadataExt;

        let open = |reason| TokenFileError::Open {
            path: self.path.clone(),
            reason,
        };
        let metadata = file.metadata().map_err(|error| self.io(error))?;
        if !metadata.is_file() {
            return Err(open("is no plain file"));
        }
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(open("belongs to another user"));
        }
        if metadata.mode() & 0o077 != 0 {
            return Err(open("can be read or changed by others"));
        }
        Ok(())
    }

    #[cfg(not(unix))]
    #[expect(
        clippy::unnecessary_wraps,
        reason = "elsewhere there is something to check"
    )]
    fn check_owner(&self, _file: &File) -> Result<(), TokenFileError> {
        Ok(())
    }

    fn io(&self, source: io::Error) -> TokenFileError {
        TokenFileError::Io {
            path: self.path.clone(),
            source,
        }
    }
}
