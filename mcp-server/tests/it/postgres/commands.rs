//! `memory copy` and `memory doctor`, and the settings they refuse.

use std::sync::Arc;

use mcp_server::{
    call::Call,
    memory::{
        Owner,
        sqlite::{SqliteConfig, SqliteStore},
    },
    ports::{ContextStore, MemoryArchive, MemoryStore},
    transfer::{Archive, Bookmark, TransferError, copy},
};
use serde_json::json;

use crate::{
    contract::{add, text},
    support::{
        postgres::Postgres,
        process::{command, folder, refused, run, stderr, stdout},
        until, within,
    },
};

/// Everything that anybody owns, as it can be compared.
async fn everything(archive: &Archive) -> Vec<String> {
    let mut all = Vec::new();
    for owner in archive.memories.owners().await.unwrap() {
        let mut after = None;
        loop {
            let page = archive
                .memories
                .page(&owner, None, after, 50)
                .await
                .unwrap();
            let memories = page.memories.iter();
            all.extend(memories.map(|memory| serde_json::to_string(memory).unwrap()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let contexts = archive
            .contexts
            .context_page(&owner, 0, 1_000)
            .await
            .unwrap();
        let contexts = contexts.iter();
        all.extend(contexts.map(|kept| serde_json::to_string(&kept.context).unwrap()));
    }
    all
}

async fn fill(store: &Arc<SqliteStore>) {
    for owner in ["local", "a", "b"] {
        let call = Call::new(Owner::new(owner));
        let memories = store.clone() as Arc<dyn MemoryStore>;
        for n in 0..450 {
            add(&memories, &call, text(&format!("{owner} dunlin {n} \0"))).await;
        }
        for n in 0..3 {
            let put = json!({"id": n.to_string(), "content": {"n": n}, "tags": ["x"]});
            store
                .put(&call, serde_json::from_value(put).unwrap())
                .await
                .unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_moves_everything_there_and_back() {
    let Some(server) = Postgres::start().await else {
        return;
    };
    let (dir, back, data) = (folder(), folder(), folder());
    let sqlite = Arc::new(SqliteStore::open(dir.path(), &SqliteConfig::default()).unwrap());
    fill(&sqlite).await;
    let from = Archive {
        memories: sqlite.clone(),
        contexts: sqlite.clone(),
    };
    let address = format!("sqlite:{}", dir.path().display());
    let back_address = format!("sqlite:{}", back.path().display());
    let data_dir = data.path().to_str().unwrap();
    for (there, says) in [
        ((address.as_str(), server.dsn()), "1359 added"),
        (
            (address.as_str(), server.dsn()),
            "0 added, 0 replaced an older version, 1359 were there",
        ),
        ((server.dsn().as_str(), back_address.clone()), "1359 added"),
    ] {
        let arguments = ["memory", "copy", "--from", there.0, "--to", &there.1];
        let output = run(&[&arguments[..], &["--data-dir", data_dir]].concat(), &[]).await;
        let said = stderr(&output);
        assert!(output.status.success() && said.contains(says), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }
    let copied = SqliteStore::open(back.path(), &SqliteConfig::default()).unwrap();
    let copied = Arc::new(copied);
    let to = Archive {
        memories: copied.clone(),
        contexts: copied,
    };
    assert_eq!(everything(&from).await, everything(&to).await);
}

/// A target that fails for ever after so many steps.
struct Failing {
    inner: Arc<SqliteStore>,
    left: std::sync::atomic::AtomicUsize,
}

#[async_trait::async_trait]
impl MemoryArchive for Failing {
    async fn page(
        &self,
        owner: &Owner,
        namespace: Option<&str>,
        after: Option<mcp_server::memory::Cursor>,
        len_max: usize,
    ) -> Result<mcp_server::memory::Page, mcp_server::memory::MemoryError> {
        self.inner.page(owner, namespace, after, len_max).await
    }

    async fn restore(
        &self,
        owner: &Owner,
        memories: Vec<mcp_server::memory::Memory>,
    ) -> Result<Vec<mcp_server::memory::Restored>, mcp_server::memory::MemoryError> {
        use std::sync::atomic::Ordering;
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(mcp_server::memory::MemoryError::Unavailable {
                reason: "cut off".to_owned(),
            });
        }
        self.left.store(left - 1, Ordering::Relaxed);
        self.inner.restore(owner, memories).await
    }

    async fn owners(&self) -> Result<Vec<Owner>, mcp_server::memory::MemoryError> {
        self.inner.owners().await
    }
}

#[tokio::test]
async fn a_copy_that_was_cut_off_goes_on() {
    let (source, target, data) = (folder(), folder(), folder());
    let sqlite = Arc::new(SqliteStore::open(source.path(), &SqliteConfig::default()).unwrap());
    fill(&sqlite).await;
    let from = Archive {
        memories: sqlite.clone(),
        contexts: sqlite,
    };
    let store = Arc::new(SqliteStore::open(target.path(), &SqliteConfig::default()).unwrap());
    let failing = Arc::new(Failing {
        inner: store.clone(),
        left: 4.into(),
    });
    let broken = Archive {
        memories: failing,
        contexts: store.clone(),
    };
    let bookmark = Bookmark::in_dir(data.path());
    let error = copy(&from, &broken, "a -> b", &bookmark, |_| ())
        .await
        .unwrap_err();
    assert!(matches!(error, TransferError::Store(_)), "{error}");
    let to = Archive {
        memories: store.clone(),
        contexts: store,
    };
    // Another copy begins at the beginning, and this one where it was.
    let mut steps = 0;
    let copied = copy(&from, &to, "a -> b", &bookmark, |_| steps += 1)
        .await
        .unwrap();
    assert!(copied.resumed && copied.memories < 1_350, "{copied:?}");
    assert!(steps > 5, "{steps}");
    assert_eq!(everything(&from).await, everything(&to).await);
    let again = copy(&from, &to, "a -> b", &bookmark, |_| ()).await.unwrap();
    assert!(!again.resumed, "{again:?}");
    assert_eq!((again.memories, again.kept), (1_350, 1_359), "{again:?}");
}

/// A target that was made anew has not what an earlier one had.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_into_a_target_that_was_made_anew_begins_at_the_beginning() {
    let Some(server) = Postgres::start().await else {
        return;
    };
    let (dir, data) = (folder(), folder());
    let sqlite = Arc::new(SqliteStore::open(dir.path(), &SqliteConfig::default()).unwrap());
    fill(&sqlite).await;
    let (from, to) = (format!("sqlite:{}", dir.path().display()), server.dsn());
    let data_dir = data.path().to_str().unwrap();
    let arguments = [
        "memory",
        "copy",
        "--from",
        &from,
        "--to",
        &to,
        "--data-dir",
        data_dir,
    ];
    let copied = async || {
        let output = run(&arguments, &[]).await;
        assert!(output.status.success(), "{}", stderr(&output));
        stderr(&output)
    };
    // Held up by somebody's lock once the first memories are there, and ended.
    server.open(dir.path()).await.close().await;
    let (lock, note) = (server.client().await, data.path().join("copy.json"));
    let locked = "BEGIN; LOCK TABLE mcp_server.context IN EXCLUSIVE MODE";
    lock.batch_execute(locked).await.unwrap();
    let mut child = command().args(arguments).spawn().unwrap();
    // A transaction sees the others as they were when it first looked.
    let looking = server.client().await;
    let waits = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' LIMIT 1";
    until("the copy to wait", async || {
        looking.query_opt(waits, &[]).await.unwrap()
    })
    .await;
    within("the end", child.kill()).await.unwrap();
    lock.batch_execute("ROLLBACK").await.unwrap();
    assert!(note.exists());
    until("the target to be made anew", async || {
        let anew = "DROP SCHEMA mcp_server CASCADE";
        lock.batch_execute(anew).await.ok()
    })
    .await;
    let said = copied().await;
    assert!(
        said.contains(" 1359 added") && !said.contains("went on"),
        "{said}"
    );
    assert!(!note.exists());
}

/// Each store has an order of its own for owners with odd names: nobody is left out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_of_any_name_are_copied_also_when_cut_off() {
    let Some(server) = Postgres::start().await else {
        return;
    };
    let (dir, target, data) = (folder(), folder(), folder());
    let postgres = Arc::new(server.open(dir.path()).await);
    let source = postgres.clone() as Arc<dyn MemoryStore>;
    for owner in ["a", "a\0", "a\u{10ffff}", "b", "\0", "é"] {
        for n in 0..3 {
            add(
                &source,
                &Call::new(Owner::new(owner)),
                text(&format!("{n}")),
            )
            .await;
        }
    }
    let from = Archive {
        memories: postgres.clone(),
        contexts: postgres.clone(),
    };
    let store = Arc::new(SqliteStore::open(target.path(), &SqliteConfig::default()).unwrap());
    let to = |left: usize| Archive {
        memories: Arc::new(Failing {
            inner: store.clone(),
            left: left.into(),
        }),
        contexts: store.clone(),
    };
    let bookmark = Bookmark::in_dir(data.path());
    // One owner further each time.
    let mut rounds = 0;
    while copy(&from, &to(1), "a -> b", &bookmark, |_| ())
        .await
        .is_err()
    {
        rounds += 1;
        assert!(rounds < 10);
    }
    let mut copied = everything(&to(0)).await;
    let mut there = everything(&from).await;
    copied.sort();
    there.sort();
    assert_eq!(copied, there);
    postgres.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_says_what_breaks_a_promise() {
    let Some(server) = Postgres::start_with("trust", &["autovacuum=off"]).await else {
        return;
    };
    let dsn = server.dsn();
    let settings = [
        ("MCP_SERVER__MEMORY__STORE", "postgres"),
        ("MCP_SERVER__MEMORY__POSTGRES__DSN", dsn.as_str()),
    ];
    let output = run(&["memory", "doctor"], &settings).await;
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{said}{}", stderr(&output));
    for line in [
        "BROKEN  fsync = off",
        "BROKEN  autovacuum = off",
        "good    max_connections = 100",
    ] {
        assert!(said.contains(line), "{line:?} is not in\n{said}");
    }
    let output = run(&["memory", "doctor"], &[]).await;
    assert!(stdout(&output).contains("the embedded store serves"));
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let postgres = ("MCP_SERVER__MEMORY__STORE", "postgres");
    refused(
        &["config", "check"],
        &[postgres],
        2,
        &["memory.postgres.dsn"],
    )
    .await;
    for (variable, value, says) in [
        ("CONNECTIONS_MAX", "19", "from 20 to 100"),
        ("CONNECTIONS_MAX", "101", "from 20 to 100"),
        (
            "CONNECTIONS_IDLE_MAX",
            "51",
            "must not be above connections_max",
        ),
        ("REPLICA_CHECK_INTERVAL", "0s", "from 1ms to 30 days"),
        ("DSN", "mysql://a", "no address of PostgreSQL"),
    ] {
        let variable = format!("MCP_SERVER__MEMORY__POSTGRES__{variable}");
        refused(&["config", "check"], &[(&variable, value)], 2, &[says]).await;
    }
    // Said, not refused: it is there for when it is needed.
    let dsn = (
        "MCP_SERVER__MEMORY__POSTGRES__DSN",
        "postgres://u:secret@h/d",
    );
    let output = run(&["config", "check"], &[dsn]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stdout(&output).contains("not used: memory.postgres"),
        "{}",
        stdout(&output)
    );
    refused(
        &["memory", "copy", "--from", "a", "--to", "b"],
        &[],
        2,
        &["sqlite:FOLDER, or postgres://"],
    )
    .await;
}
