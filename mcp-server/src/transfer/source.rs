//! Opening a file, whatever it is packed in, and reading it line by line.

use std::{
    borrow::Cow,
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read, Seek},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use flate2::read::MultiGzDecoder;

/// The longest line, and the largest document that is not made of lines, in bytes. Both are held
/// in memory.
const DOCUMENT_BYTES_MAX: u64 = 1 << 30;

/// The members of an OpenMemory export, the better one first: it names apps and categories.
const ZIP_MEMBERS: [&str; 2] = ["memories.jsonl.gz", "memories.json"];

/// An open file, unpacked.
pub struct Source {
    pub(super) name: String,
    reader: Box<dyn BufRead + Send>,
    unread: Option<Vec<u8>>,
    len: Option<u64>,
    read: Arc<AtomicU64>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Source {
    /// Opens a file: plain, gzip, or the zip archive of an OpenMemory export. Blocks.
    ///
    /// # Errors
    ///
    /// The operating system's, or [`io::ErrorKind::InvalidData`] for an archive that cannot be
    /// unpacked.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let len = file.metadata()?.len();
        let mut magic = [0; 4];
        let magic_len = file.read(&mut magic)?;
        file.rewind()?;
        let read = Arc::new(AtomicU64::new(0));
        let reader: Box<dyn BufRead + Send> = if magic[..magic_len] == *b"PK\x03\x04" {
            read.store(len, Ordering::Relaxed);
            open_member(file)?
        } else {
            let counted = Counted {
                inner: file,
                read: Arc::clone(&read),
            };
            unpack(BufReader::new(counted))?
        };
        Ok(Self {
            name: path.display().to_string(),
            reader,
            unread: None,
            len: Some(len),
            read,
        })
    }

    /// Reads standard input, plain or gzip. Blocks.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn stdin() -> io::Result<Self> {
        Self::from_reader("standard input", BufReader::new(io::stdin()))
    }

    pub(super) fn from_reader(
        name: &str,
        reader: impl BufRead + Send + 'static,
    ) -> io::Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            reader: unpack(reader)?,
            unread: None,
            len: None,
            read: Arc::default(),
        })
    }

    /// A handle that tells how much of the file was read.
    pub(super) fn meter(&self) -> Meter {
        Meter {
            len: self.len,
            read: Arc::clone(&self.read),
        }
    }

    /// The next line that is not blank, without its end.
    pub(super) fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        if let Some(line) = self.unread.take() {
            return Ok(Some(line));
        }
        loop {
            let mut line = Vec::new();
            let mut bounded = (&mut self.reader).take(DOCUMENT_BYTES_MAX);
            if bounded.read_until(b'\n', &mut line)? == 0 {
                return Ok(None);
            }
            if line.len() as u64 == DOCUMENT_BYTES_MAX {
                return Err(too_large());
            }
            let len = line.trim_ascii_end().len();
            line.truncate(len);
            if !line.is_empty() {
                return Ok(Some(line));
            }
        }
    }

    /// Gives a line back, to be read again.
    pub(super) fn unread(&mut self, line: Vec<u8>) {
        self.unread = Some(line);
    }

    /// Everything that follows `begun`.
    pub(super) fn rest(&mut self, mut begun: Vec<u8>) -> io::Result<Vec<u8>> {
        let left = DOCUMENT_BYTES_MAX.saturating_sub(begun.len() as u64);
        let read = (&mut self.reader).take(left).read_to_end(&mut begun)?;
        if read as u64 == left {
            return Err(too_large());
        }
        Ok(begun)
    }
}

/// How far a file was read.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    len: Option<u64>,
    read: Arc<AtomicU64>,
}

impl Meter {
    /// In percent of the file as it lies on the disk, if that is known.
    pub(super) fn percent(&self) -> Option<u64> {
        let len = self.len.filter(|len| *len > 0)?;
        Some((self.read.load(Ordering::Relaxed) * 100 / len).min(100))
    }
}

fn too_large() -> io::Error {
    let message = format!("more than {DOCUMENT_BYTES_MAX} bytes without an end of line");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

fn unpack(mut reader: impl BufRead + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    Ok(if reader.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        Box::new(BufReader::new(MultiGzDecoder::new(reader)))
    } else {
        Box::new(reader)
    })
}

fn open_member(file: File) -> io::Result<Box<dyn BufRead + Send>> {
    let mut archive = zip::ZipArchive::new(file)?;
    let wanted = |wanted: &str| {
        let mut names = archive.file_names().filter_map(Result::ok);
        let name = names.find(|name| name.rsplit('/').next() == Some(wanted));
        name.map(Cow::into_owned)
    };
    let Some(name) = ZIP_MEMBERS.into_iter().find_map(wanted) else {
        let message = "the archive holds neither memories.jsonl.gz nor memories.json";
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    };
    let mut bytes = Vec::new();
    let read = archive
        .by_name(&name)?
        .take(DOCUMENT_BYTES_MAX)
        .read_to_end(&mut bytes)?;
    if read as u64 == DOCUMENT_BYTES_MAX {
        return Err(too_large());
    }
    unpack(Cursor::new(bytes))
}

struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
