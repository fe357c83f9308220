//! The tokens that are good at this moment.

use std::{
    collections::HashMap,
    fs::Metadata,
    path::Path,
    time::{Duration, SystemTime},
};

use tokio::time::{MissedTickBehavior, interval};

use super::{Caller, Entry, TokenFile, TokenFileError, TokenHash};
use crate::{live::Live, memory::Owner};

/// How often the file is looked at, and so the longest that a revoked token stays good. One look is
/// one `stat`.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The tokens that are good at this moment. Clones share them.
#[derive(Debug, Clone)]
pub struct Tokens {
    file: TokenFile,
    known: Live<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_bucket: HashMap<u64, (TokenHash, Caller)>,
    /// What the file looked like when it was read.
    look: Option<Look>,
}

/// What tells two versions of the file apart: each is a new file. One that was refused for its owner
/// or mode is worth another look once those have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    modified: Option<SystemTime>,
    bytes: u64,
    /// Inode, owner and mode.
    unix: (u64, u32, u32),
}

impl Tokens {
    /// Those in the data directory `dir`; none where there is no file. Blocks.
    ///
    /// # Errors
    ///
    /// [`TokenFileError`] says what to do.
    pub fn open(dir: &Path) -> Result<Self, TokenFileError> {
        let tokens = Self {
            file: TokenFile::new(dir),
            known: Live::new(Known::default()),
        };
        tokens.reload()?;
        Ok(tokens)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.load().by_bucket.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.load().by_bucket.len()
    }

    /// Where they are kept.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Who calls with the token `shown`, if that is one.
    #[must_use]
    pub fn caller(&self, shown: &str) -> Option<Caller> {
        let hash = TokenHash::of(shown);
        let known = self.known.load();
        let (kept, caller) = known.by_bucket.get(&hash.bucket())?;
        (*kept == hash).then(|| caller.clone())
    }

    /// Reads the file again whenever it has changed, until it is dropped. While it cannot be read,
    /// what was known stays good; when it is gone, nothing is.
    pub async fn follow(&self) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut refused = None;
        loop {
            looks.tick().await;
            let metadata = tokio::fs::metadata(self.path()).await;
            let look = metadata.ok().as_ref().map(Look::of);
            if look == self.known.load().look || (look.is_some() && look == refused) {
                continue;
            }
            let this = self.clone();
            let read = tokio::task::spawn_blocking(move || this.reload()).await;
            match read {
                Ok(Ok(())) => tracing::info!(tokens = self.len(), "the tokens were read again"),
                Ok(Err(error)) => {
                    refused = look;
                    tracing::error!("the tokens stay as they are: {error}");
                }
                Err(error) => tracing::error!(%error, "the tokens could not be read"),
            }
        }
    }

    /// Reads the file and puts it in force. Who is in it unchanged goes on; all others are told
    /// that their token is no longer good.
    fn reload(&self) -> Result<(), TokenFileError> {
        // Before the file is read: what changes meanwhile is seen the next time.
        let look = std::fs::metadata(self.path()).ok().as_ref().map(Look::of);
        let entries = self.file.read()?;
        let before = self.known.load_full();
        let kept = |entry: &Entry| {
            let (hash, caller) = before.by_bucket.get(&entry.sha256.bucket())?;
            let same = *hash == entry.sha256
                && caller.scope == entry.scope
                && caller.owner.as_str() == entry.tenant;
            same.then(|| caller.clone())
        };
        let mut stay = Vec::new();
        let mut by_bucket = HashMap::with_capacity(entries.len());
        for entry in &entries {
            let bucket = entry.sha256.bucket();
            let caller = match kept(entry) {
                Some(caller) => {
                    stay.push(bucket);
                    caller
                }
                None => Caller::with_token(Owner::new(&entry.tenant), entry.scope, bucket),
            };
            by_bucket.insert(bucket, (entry.sha256, caller));
        }
        self.known.set(Known { by_bucket, look });
        stay.sort_unstable();
        for (bucket, (_, caller)) in &before.by_bucket {
            if stay.binary_search(bucket).is_err() {
                caller.revoke();
            }
        }
        Ok(())
    }
}

impl Look {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let unix = {
            use std::os::unix::fs::MetadataExt;
            (metadata.ino(), metadata.uid(), metadata.mode())
        };
        #[cfg(not(unix))]
        let unix = (0, 0, 0);
        Self {
            modified: metadata.modified().ok(),
            bytes: metadata.len(),
            unix,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Scope, Token};

    fn add(file: &TokenFile, tenant: &str, scope: Scope) -> (Token, String) {
        let token = Token::generate().unwrap();
        let entry = Entry::new(&token, "test", tenant, scope).unwrap();
        let id = entry.id.clone();
        file.add(entry).unwrap();
        (token, id)
    }

    #[cfg(unix)]
    #[tokio::test(start_paused = true)]
    async fn a_file_that_was_too_open_is_read_once_it_is_closed() {
        use std::{fs, os::unix::fs::PermissionsExt};

        let dir = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(dir.path()).unwrap();
        let file = TokenFile::new(dir.path());
        let (ann, _) = add(&file, "ann", Scope::Write);
        let set_mode = |mode| {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
        };
        set_mode(0o644);
        let follows = tokens.clone();
        let follows = tokio::spawn(async move { follows.follow().await });
        tokio::time::sleep(LOOK_EVERY * 5).await;
        assert!(tokens.caller(ann.secret()).is_none());
        set_mode(0o600);
        while tokens.caller(ann.secret()).is_none() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        follows.abort();
    }

    #[test]
    fn who_is_revoked_is_told_and_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(dir.path()).unwrap();
        assert!(tokens.is_empty());
        let file = TokenFile::new(dir.path());
        let (ann, _) = add(&file, "ann", Scope::Write);
        let (bob, bobs) = add(&file, "bob", Scope::Read);
        tokens.reload().unwrap();
        let caller = tokens.caller(ann.secret()).unwrap();
        assert_eq!((caller.owner.as_str(), caller.scope), ("ann", Scope::Write));
        let other = tokens.caller(bob.secret()).unwrap();
        assert_eq!((other.owner.as_str(), other.scope), ("bob", Scope::Read));
        for wrong in ["", "mcp_", &ann.secret()[1..], &ann.secret().to_uppercase()] {
            assert!(tokens.caller(wrong).is_none(), "{wrong}");
        }

        assert_eq!(file.revoke("nothing").unwrap(), None);
        assert!(file.revoke(&bobs).unwrap().is_some());
        tokens.reload().unwrap();
        assert!(tokens.caller(bob.secret()).is_none());
        assert!(other.revoked().unwrap().is_cancelled());
        assert!(tokens.caller(ann.secret()).is_some());
        assert!(!caller.revoked().unwrap().is_cancelled());

        std::fs::remove_file(file.path()).unwrap();
        tokens.reload().unwrap();
        assert!(tokens.is_empty() && caller.revoked().unwrap().is_cancelled());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_or_that_is_none_is_refused() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let file = TokenFile::new(dir.path());
        let (ann, _) = add(&file, "ann", Scope::Admin);
        let tokens = Tokens::open(dir.path()).unwrap();
        let mode = |mode| {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(file.path(), permissions).unwrap();
        };
        let metadata = std::fs::metadata(file.path()).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        for open in [0o640, 0o604, 0o660, 0o777] {
            mode(open);
            let error = tokens.reload().unwrap_err().to_string();
            assert!(error.contains("chmod 600"), "{open:o}: {error}");
            // What was known stays good.
            assert!(tokens.caller(ann.secret()).is_some());
        }
        mode(0o600);
        for odd in [
            "",
            "{}",
            "[]",
            r#"{"version":2,"tokens":[]}"#,
            "{\"version\":1,\"tok",
        ] {
            std::fs::write(file.path(), odd).unwrap();
            assert!(tokens.reload().is_err(), "{odd}");
        }
        let text = r#"{"version":1,"tokens":[{"id":"a","name":"b","tenant":"c d","scope":"read",
            "created":"2026-01-01T00:00:00Z","sha256":"HASH"}]}"#;
        std::fs::write(file.path(), text.replace("HASH", &"0".repeat(64))).unwrap();
        let error = tokens.reload().unwrap_err().to_string();
        assert!(error.contains("`c d` is no tenant"), "{error}");
    }
}
