//! The thread that moves changes from the log to disk, and makes the index again when need be.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    },
    thread::JoinHandle,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    ChangeLog, IndexConfig, IndexReadiness, LiveIndex, lock::IndexLock, priority,
    progress::Progress,
};
use crate::memory::search::{DiskView, DiskWriter, IndexError, Watermark};

/// The folder of the index inside its store's folder.
const DIR_NAME: &str = "search";
/// Changes and rows are read so many at a time; in between, an end of the store is noticed.
const PAGE_LEN: u32 = 1_000;
/// A store that closes waits so long for what is left of the log to be read; the next start reads
/// the rest.
const LAST_READ_MAX: Duration = Duration::from_secs(2);
/// And so long for merges that are under way; the process may end before they do.
const LAST_MERGES_MAX: Duration = Duration::from_secs(3);
/// After so many failures in a row, the pauses between attempts grow no more.
const DOUBLINGS_MAX: u32 = 6;

/// Owns the thread; dropping it ends the thread and waits for that.
#[derive(Debug)]
pub(in crate::memory) struct Indexer {
    /// `None` once it was ended.
    thread: Mutex<Option<Thread>>,
    stop: Arc<AtomicBool>,
    pending: AtomicU32,
    commit_len: u32,
    progress: Arc<Progress>,
}

#[derive(Debug)]
struct Thread {
    wake: SyncSender<()>,
    handle: JoinHandle<()>,
}

impl Indexer {
    /// Opens the index in `dir`, if there is a good one, and starts the thread, which has `log` to
    /// itself.
    pub(in crate::memory) fn start(
        dir: &Path,
        log: impl ChangeLog + Send + 'static,
        config: &IndexConfig,
    ) -> io::Result<(Self, Arc<LiveIndex>)> {
        let progress = Arc::<Progress>::default();
        let live = Arc::new(LiveIndex::new(config.lag_max.get(), progress.clone()));
        let stop = Arc::<AtomicBool>::default();
        let worker = Worker {
            dir: dir.to_owned(),
            log: Box::new(log),
            live: live.clone(),
            progress: progress.clone(),
            config: config.clone(),
            stop: stop.clone(),
            lock: None,
            writer: None,
            checked: false,
            head_before: -1,
            failures: 0,
        };
        // So that the first search finds it, whether the thread has begun or not.
        worker.follow();
        let (wake, wakes) = mpsc::sync_channel(1);
        let handle = std::thread::Builder::new()
            .name("memory-indexer".to_owned())
            .spawn(move || {
                priority::give_way();
                worker.run(&wakes);
            })?;
        let indexer = Self {
            thread: Mutex::new(Some(Thread { wake, handle })),
            stop,
            pending: AtomicU32::new(0),
            commit_len: config.commit_len.get(),
            progress,
        };
        Ok((indexer, live))
    }

    /// Notes that up to `changes` changes were written.
    pub(in crate::memory) fn wrote(&self, changes: usize) {
        let changes = u32::try_from(changes).unwrap_or(u32::MAX);
        let before = self.pending.fetch_add(changes, Ordering::Relaxed);
        if before.saturating_add(changes) >= self.commit_len
            && let Some(thread) = &*self.thread()
        {
            self.pending.store(0, Ordering::Relaxed);
            // Full: it has been woken already.
            let _ = thread.wake.try_send(());
        }
    }

    /// Has the thread write what is due, and waits for its end. Searches go on.
    pub(in crate::memory) fn end(&self) {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread().take();
        if let Some(Thread { wake, handle }) = thread {
            drop(wake);
            // Its steps' panics are caught.
            let _ = handle.join();
        }
    }

    fn thread(&self) -> MutexGuard<'_, Option<Thread>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::memory) fn readiness(&self) -> IndexReadiness {
        IndexReadiness::new(self.progress.clone())
    }
}

impl Drop for Indexer {
    fn drop(&mut self) {
        self.end();
    }
}

struct Worker {
    dir: PathBuf,
    log: Box<dyn ChangeLog + Send>,
    live: Arc<LiveIndex>,
    progress: Arc<Progress>,
    config: IndexConfig,
    stop: Arc<AtomicBool>,
    /// Held from the first moment it can be had: the one process that holds it writes.
    lock: Option<IndexLock>,
    writer: Option<DiskWriter>,
    /// Whether the files were compared with their checksums, and with the database's history.
    checked: bool,
    /// The end of the log at the last step, to notice a pause in the writes.
    head_before: i64,
    failures: u32,
}

impl Worker {
    fn run(mut self, wakes: &Receiver<()>) {
        loop {
            let step = catch_unwind(AssertUnwindSafe(|| self.step(None)));
            let step = step.unwrap_or_else(|_| {
                let reason = "writing it panicked".to_owned();
                Err(IndexError::Unusable { reason })
            });
            match step {
                Ok(()) => self.failures = 0,
                Err(error) => self.failed(&error),
            }
            match wakes.recv_timeout(self.pause()) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if self.lock.is_some()
            && let Err(error) = self.step(Some(Instant::now() + LAST_READ_MAX))
        {
            tracing::debug!(%error, "the search index was left behind; the next start catches up");
        }
        self.leave();
    }

    /// Ends the writer, and then lets go of the lock: merges would write into the folder of whoever
    /// has it next. Merges that take long do both by themselves.
    fn leave(self) {
        let Some(writer) = self.writer else { return };
        let (ended, end) = mpsc::sync_channel::<()>(0);
        let merges = move || {
            drop(writer);
            drop(self.lock);
            drop(ended);
        };
        let spawned = std::thread::Builder::new()
            .name("memory-merges".to_owned())
            .spawn(merges);
        if spawned.is_ok() && end.recv_timeout(LAST_MERGES_MAX) == Err(RecvTimeoutError::Timeout) {
            tracing::debug!("the search index is left while it merges");
        }
    }

    fn pause(&self) -> Duration {
        self.config.interval * 2_u32.pow(self.failures.min(DOUBLINGS_MAX))
    }

    fn failed(&mut self, error: &IndexError) {
        tracing::warn!(%error, "the search index could not be brought up to date; trying again");
        self.failures = self.failures.saturating_add(1);
        self.writer = None;
        self.checked = false;
    }

    /// `until`: the store is closing, so only what is cheap is done, and no longer than that.
    fn step(&mut self, until: Option<Instant>) -> Result<(), IndexError> {
        if self.lock.is_none() {
            self.lock = IndexLock::try_take(&self.dir)?;
        }
        if self.lock.is_none() {
            self.follow();
            return Ok(());
        }
        if self.live.is_unusable() || !(self.checked || self.check()?) {
            return match until {
                Some(_) => Ok(()),
                None => self.rebuild(),
            };
        }
        self.checked = true;
        self.advance(until)
    }

    fn index_dir(&self) -> PathBuf {
        self.dir.join(DIR_NAME)
    }

    /// Shows what another process, or an earlier life of this one, has committed.
    fn follow(&self) {
        if self.live.is_unusable() {
            self.live.reset();
        }
        match self.followed() {
            Ok(Some(disk)) => self.live.show(disk, &*self.log),
            Ok(None) => {}
            // Whoever holds the lock mends it.
            Err(error) => tracing::debug!(%error, "no search index to follow"),
        }
        if let Err(error) = self.live.warm(&*self.log) {
            tracing::debug!(%error, "the search index is behind");
        }
    }

    fn followed(&self) -> Result<Option<DiskView>, IndexError> {
        let disk = match self.live.disk() {
            Some(disk) if !disk.is_outdated()? => return Ok(None),
            Some(disk) => disk.reloaded()?,
            None => DiskView::open(&self.index_dir())?,
        };
        match self.belongs(disk.watermark())? {
            true => Ok(Some(disk)),
            false => Ok(None),
        }
    }

    /// Whether the index can be gone on with: it is sound and of this database, or there is none
    /// and the log reaches back to the beginning.
    fn check(&self) -> Result<bool, IndexError> {
        let first = self.log.first()?;
        let dir = self.index_dir();
        if !dir.exists() {
            self.live.reset();
            return Ok(first == 1);
        }
        let disk = DiskView::open(&dir).and_then(|disk| disk.verify().map(|()| disk));
        let disk = match disk {
            Ok(disk) => disk,
            Err(error) => {
                tracing::warn!(%error, "the search index is made again");
                return Ok(false);
            }
        };
        if !self.belongs(disk.watermark())? || first > disk.watermark().sequence + 1 {
            tracing::warn!("the search index is of another history of the database");
            return Ok(false);
        }
        self.live.show(disk, &*self.log);
        Ok(true)
    }

    /// Moves what is due from the log to disk.
    fn advance(&mut self, until: Option<Instant>) -> Result<(), IndexError> {
        let last = until.is_some();
        let disk = self.live.disk();
        let upto = disk.as_ref().map_or(0, |disk| disk.watermark().sequence);
        let head = self.log.head()?;
        let behind = head - upto;
        if behind < 0 {
            tracing::warn!(
                "the store has gone back to an earlier state: the search index is made again"
            );
            return self.rebuild();
        }
        let quiet = std::mem::replace(&mut self.head_before, head) == head;
        let full = behind >= i64::from(self.config.commit_len.get());
        if behind == 0 {
            return match quiet || last {
                true => self.rest(),
                false => Ok(()),
            };
        }
        if !full && (last || !quiet) {
            return Ok(());
        }
        if self.log.first()? > upto + 1 {
            return self.rebuild();
        }
        let mut writer = match (self.writer.take(), &disk) {
            (Some(writer), _) => writer,
            (None, Some(disk)) => DiskWriter::open(disk)?,
            (None, None) => DiskWriter::create(&self.index_dir())?,
        };
        let mut upto = upto;
        let in_time = || match until {
            Some(until) => Instant::now() < until,
            None => !self.stop.load(Ordering::Relaxed),
        };
        while upto < head && in_time() {
            let page = self.log.after(upto, PAGE_LEN)?;
            if page.is_empty() {
                // The store has gone back meanwhile: the next step sees how far.
                break;
            }
            for (sequence, change) in page {
                if sequence != upto + 1 {
                    // Another process has removed what lies between meanwhile.
                    return self.rebuild();
                }
                writer.apply(&change)?;
                upto = sequence;
            }
        }
        self.commit(writer, upto)
    }

    /// Gives back what writing takes: threads and memory. Merges end before, and are shown.
    fn rest(&mut self) -> Result<(), IndexError> {
        if self.writer.take().is_some()
            && let Some(disk) = self.live.disk()
            && disk.is_outdated()?
        {
            self.live.show(disk.reloaded()?, &*self.log);
        }
        Ok(())
    }

    /// Whether an index that has read so far has read this store's history.
    fn belongs(&self, mark: Watermark) -> Result<bool, IndexError> {
        Ok(self.log.watermark(mark.sequence)? == Some(mark))
    }

    /// Reads all rows into a new index. What is changed meanwhile is later in the log than the head
    /// that was read first, and applied again.
    fn rebuild(&mut self) -> Result<(), IndexError> {
        self.writer = None;
        self.live.reset();
        self.checked = false;
        let (head, rows) = (self.log.head()?, self.log.rows()?);
        self.progress.begin(rows);
        tracing::info!(memories = rows, "making the search index from the memories");
        let mut writer = DiskWriter::create(&self.index_dir())?;
        let mut row = i64::MIN;
        let mut read = 0_u64;
        let mut tenth = 0;
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let page = self.log.scan(row, PAGE_LEN)?;
            let Some(last) = page.last() else { break };
            row = last.row;
            for change in &page {
                writer.apply(change)?;
            }
            read += page.len() as u64;
            self.progress.read(page.len() as u64);
            if read * 10 / rows.max(1) > tenth {
                tenth = read * 10 / rows.max(1);
                tracing::info!(read, of = rows, "making the search index");
            }
        }
        self.commit(writer, head)?;
        self.checked = true;
        self.progress.end();
        tracing::info!(memories = read, "the search index is made");
        Ok(())
    }

    fn commit(&mut self, mut writer: DiskWriter, upto: i64) -> Result<(), IndexError> {
        let mark = self.log.watermark(upto)?.unwrap_or_default();
        writer.commit(mark)?;
        self.live.show(writer.view()?, &*self.log);
        self.writer = Some(writer);
        Ok(())
    }
}
