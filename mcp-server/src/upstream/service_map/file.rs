//! A service map in a file.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use async_trait::async_trait;

use super::{MapError, MapSource, Signed};

/// The longest signature that is read, in bytes.
const SIGNATURE_BYTES_MAX: usize = 4_096;

/// Reads a map from a file, and its signature from the one beside it with `.sig` behind its name.
#[derive(Debug)]
pub struct FileMap {
    path: PathBuf,
    bytes_max: usize,
}

impl FileMap {
    /// The map in the file `path`, of at most `bytes_max` bytes.
    #[must_use]
    pub fn new(path: PathBuf, bytes_max: usize) -> Self {
        Self { path, bytes_max }
    }
}

#[async_trait]
impl MapSource for FileMap {
    async fn read(&self) -> Result<Signed, MapError> {
        let (path, bytes_max) = (self.path.clone(), self.bytes_max);
        let read = tokio::task::spawn_blocking(move || {
            let mut beside = path.clone().into_os_string();
            beside.push(".sig");
            Ok(Signed {
                document: text(&path, bytes_max)?,
                signature: text(Path::new(&beside), SIGNATURE_BYTES_MAX)?,
            })
        });
        read.await.unwrap_or_else(|error| {
            Err(MapError::Unreadable {
                reason: error.to_string(),
            })
        })
    }
}

fn text(path: &Path, bytes_max: usize) -> Result<String, MapError> {
    let unreadable = |reason: String| MapError::Unreadable {
        reason: format!("`{}`: {reason}", path.display()),
    };
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let mut bytes = Vec::new();
    let most = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    file.take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() > bytes_max {
        return Err(MapError::TooLarge { bytes_max });
    }
    String::from_utf8(bytes).map_err(|_| unreadable("it is no text".to_owned()))
}
