//! The folder that reports go into: each appears when it is whole, and the oldest make room.

use std::{
    fs,
    io::{self, Write},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Report;

const FOLDER: &str = "reports";
const NAME: &str = "report-";
const TIME: &str = "%Y%m%dT%H%M%SZ";

/// When reports are written, and how many are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReportsConfig {
    /// Whether reports are written at all, into `reports` in the data folder. Default true.
    pub enabled: bool,
    /// How long after one the next is written. Default 24 h.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub interval: Duration,
    /// How many are kept, each as JSON and as HTML. Default 14, about 100 KiB each.
    pub keep: NonZeroUsize,
}

impl Default for ReportsConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Duration::from_secs(24 * 3_600),
            keep: NonZeroUsize::new(14).expect("14 is not zero"),
        }
    }
}

/// The folder of reports. Everything here blocks on the file system.
#[derive(Debug, Clone)]
pub struct ReportFolder {
    path: PathBuf,
    config: ReportsConfig,
}

impl ReportFolder {
    /// In the folder of all data, which is there.
    #[must_use]
    pub fn new(data_dir: &Path, config: &ReportsConfig) -> Self {
        Self {
            path: data_dir.join(FOLDER),
            config: config.clone(),
        }
    }

    /// Whether the last report is old enough for a new one. A folder without any waits for as long
    /// from when it was made.
    pub(in crate::monitoring) fn is_due(&self, now: Timestamp) -> bool {
        let last = match self.names().pop() {
            Some(last) => fs::metadata(self.path.join(last)),
            None => fs::create_dir_all(&self.path).and_then(|()| fs::metadata(&self.path)),
        };
        let Ok(last) = last.and_then(|last| last.modified()) else {
            return false;
        };
        let Ok(last) = Timestamp::try_from(last) else {
            return false;
        };
        let age = now.duration_since(last);
        Duration::try_from(age).is_ok_and(|age| age >= self.config.interval)
    }

    /// Writes a report, and removes those that are too many.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn write(&self, report: &Report) -> io::Result<()> {
        fs::create_dir_all(&self.path)?;
        let name = format!("{NAME}{}", report.at.strftime(TIME));
        let json = serde_json::to_vec_pretty(report)?;
        self.put(&format!("{name}.html"), report.html().as_bytes())?;
        self.put(&format!("{name}.json"), &json)?;
        let names = self.names();
        let surplus = names.len().saturating_sub(self.config.keep.get());
        for name in &names[..surplus] {
            let path = self.path.join(name);
            fs::remove_file(&path)?;
            let _ = fs::remove_file(path.with_extension("html"));
        }
        Ok(())
    }

    /// The last report, as JSON; `None` where there is none.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn latest(&self) -> io::Result<Option<String>> {
        match self.names().pop() {
            Some(name) => fs::read_to_string(self.path.join(name)).map(Some),
            None => Ok(None),
        }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
        file.write_all(bytes)?;
        file.persist(self.path.join(name))?;
        Ok(())
    }

    /// The names of the reports as JSON, the oldest first.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.starts_with(NAME) && name.ends_with(".json"))
            .collect();
        names.sort();
        names
    }
}
