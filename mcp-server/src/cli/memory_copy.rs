//! `mcp-server memory copy | doctor`.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::UNIX_EPOCH,
};

use super::{CliError, args::CopyArgs, memory::Pace};
use crate::{
    app::{self, BuildError},
    config::{Config, Dsn, StoreKind},
    memory::{
        postgres::{PostgresConfig, PostgresStore, Weight, advise},
        sqlite::SqliteStore,
    },
    transfer::{self, Archive, Bookmark},
};

/// A store that is open, and how to close it.
struct Opened {
    archive: Archive,
    /// Not that of another store at the same address.
    identity: String,
    postgres: Option<Arc<PostgresStore>>,
}

/// Where a store is: `sqlite:DIR`, or the address of a PostgreSQL database.
#[derive(Debug, Clone, PartialEq)]
pub enum StoreAddress {
    /// The folder of an embedded store.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres(Dsn),
}

impl std::str::FromStr for StoreAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(dir) = text.strip_prefix("sqlite:").filter(|dir| !dir.is_empty()) {
            return Ok(Self::Sqlite(dir.into()));
        }
        let dsn = serde_json::from_value(text.into());
        dsn.map(Self::Postgres).map_err(|_| {
            "write sqlite:FOLDER, or postgres://user:password@host:5432/database".to_owned()
        })
    }
}

/// Without a password.
impl std::fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(dir) => write!(f, "sqlite:{}", dir.display()),
            Self::Postgres(dsn) => write!(f, "{dsn:?}"),
        }
    }
}

impl Opened {
    async fn open(address: &StoreAddress, config: &Config) -> Result<Self, BuildError> {
        match address {
            StoreAddress::Sqlite(dir) => {
                let store = Arc::new(SqliteStore::open(dir, &config.memory.sqlite)?);
                Ok(Self {
                    archive: Archive {
                        memories: store.clone(),
                        contexts: store,
                    },
                    identity: file_identity(dir),
                    postgres: None,
                })
            }
            StoreAddress::Postgres(dsn) => {
                let settings = PostgresConfig {
                    dsn: Some(dsn.clone()),
                    read_replicas: Vec::new(),
                    ..config.memory.postgres.clone()
                };
                let dir = app::data_dir(config)?;
                let store = Arc::new(PostgresStore::open(&dir, &settings).await?);
                Ok(Self {
                    archive: Archive {
                        memories: store.clone(),
                        contexts: store.clone(),
                    },
                    identity: store.identity().to_owned(),
                    postgres: Some(store),
                })
            }
        }
    }

    async fn close(self) {
        if let Some(postgres) = self.postgres {
            postgres.close().await;
        }
    }
}

/// Tells the store in `dir` from one that is made there later. Where the file system keeps no times
/// of birth, a copy is gone on with only within one run of the program.
fn file_identity(dir: &Path) -> String {
    let file = std::fs::metadata(dir.join("memory.db"));
    match file.and_then(|file| file.created()) {
        Ok(born) => {
            let since_1970 = born.duration_since(UNIX_EPOCH).unwrap_or_default();
            since_1970.as_nanos().to_string()
        }
        Err(_) => uuid::Uuid::now_v7().to_string(),
    }
}

pub(super) async fn copy(config: &Config, args: &CopyArgs) -> Result<ExitCode, CliError> {
    let from = Opened::open(&args.from, config).await?;
    let to = Opened::open(&args.to, config).await?;
    let bookmark = Bookmark::in_dir(&app::data_dir(config)?);
    let between = format!(
        "{} ({}) -> {} ({})",
        args.from, from.identity, args.to, to.identity
    );
    let mut pace = Pace::new();
    let progress = |copied: &transfer::Copied| {
        if pace.is_due() {
            tracing::info!(
                "{} memories and {} contexts",
                copied.memories,
                copied.contexts
            );
        }
    };
    let copied = transfer::copy(&from.archive, &to.archive, &between, &bookmark, progress).await;
    from.close().await;
    to.close().await;
    let copied = copied?;
    let resumed = match copied.resumed {
        true => "went on with an earlier copy: ",
        false => "",
    };
    tracing::info!(
        "{resumed}{} memories and {} contexts: {} added, {} replaced an older version, {} were there \
         already, {} left out because their id is another owner's",
        copied.memories,
        copied.contexts,
        copied.added,
        copied.replaced,
        copied.kept,
        copied.taken
    );
    Ok(match copied.taken {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// Exit status 1 if something that is promised does not hold.
pub(super) async fn doctor(config: &Config) -> Result<ExitCode, CliError> {
    let failed = |source| CliError::Io {
        what: "cannot write the advice",
        source,
    };
    let mut stdout = io::stdout().lock();
    if config.memory.store == StoreKind::Sqlite {
        let says = "the embedded store serves: there are no settings of a server to look at";
        writeln!(stdout, "{says}").map_err(failed)?;
        return Ok(ExitCode::SUCCESS);
    }
    drop(stdout);
    let advice = advise(&config.memory.postgres)
        .await
        .map_err(BuildError::from)?;
    stdout = io::stdout().lock();
    let mut broken = false;
    for advice in advice {
        let mark = match advice.weight {
            Weight::Good => "good  ",
            Weight::Better => "better",
            Weight::Broken => "BROKEN",
        };
        broken |= advice.weight == Weight::Broken;
        let (setting, value, says) = (advice.setting, advice.value, advice.says);
        writeln!(stdout, "{mark}  {setting} = {value}: {says}").map_err(failed)?;
    }
    Ok(match broken {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}
