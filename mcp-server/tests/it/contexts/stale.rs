//! No read is older than a put that was acknowledged before it began, whoever put.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use mcp_server::{
    call::Call,
    memory::Add,
    ports::{ContextManager, MemoryStore},
};
use serde_json::json;
use tokio::task::JoinSet;

use super::{optimised, store};
use crate::{
    contract::{
        self,
        contexts::{assert_unknown, get, put, read, text},
    },
    support::{database, process::folder, until, within},
};

const KEYS: usize = 3;
const PUTS: u64 = 60;

/// Two managers, each with connections and copies of its own, as two processes have them: each key
/// is put through both in turns, and read through both all the time. Fails within the first puts
/// when a manager does not ask the store what is new.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_managers_of_one_file_never_answer_with_what_was() {
    let dir = folder();
    let call = contract::call();
    let managers: [Arc<dyn ContextManager>; 2] =
        [optimised(store(dir.path())), optimised(store(dir.path()))];
    let acknowledged: Arc<[AtomicU64; KEYS]> = Arc::default();
    let mut writers = JoinSet::new();
    for key in 0..KEYS {
        let (managers, acknowledged) = (managers.clone(), acknowledged.clone());
        let call = call.clone();
        writers.spawn(async move {
            for n in 1..=PUTS {
                let manager = &managers[usize::try_from(n).unwrap() % 2];
                let content = json!({"id": key.to_string(), "content": n.to_string()});
                put(manager, &call, content).await;
                acknowledged[key].store(n, Ordering::SeqCst);
            }
        });
    }
    let mut readers = JoinSet::new();
    for reader in 0..4 {
        let (manager, acknowledged) = (managers[reader % 2].clone(), acknowledged.clone());
        let call = call.clone();
        readers.spawn(async move {
            let mut newest = [0; KEYS];
            while newest.iter().any(|n| *n < PUTS) {
                for (key, newest) in newest.iter_mut().enumerate() {
                    let least = acknowledged[key].load(Ordering::SeqCst).max(*newest);
                    // A read of a copy waits for nothing, and would let nobody else run.
                    tokio::task::yield_now().await;
                    if least == 0 {
                        continue;
                    }
                    let context = read(&manager, &call, &key.to_string()).await;
                    *newest = text(&context).parse().unwrap();
                    assert!(*newest >= least, "key {key}: {newest} after {least}");
                }
            }
        });
    }
    // A failed reader first: its panic says what was wrong.
    within("the readers", readers.join_all()).await;
    within("the writers", writers.join_all()).await;
}

#[tokio::test]
async fn what_was_put_and_swept_meanwhile_leaves_no_old_copy() {
    let dir = folder();
    let call = contract::call();
    let manager: Arc<dyn ContextManager> = optimised(store(dir.path()));
    put(&manager, &call, json!({"id": "a", "content": "for good"})).await;
    assert_eq!(text(&*read(&manager, &call, "a").await), "for good");
    {
        // Another process puts it with a time to live, that ends, and a write sweeps it away.
        let other = store(dir.path());
        let brief = json!({"id": "a", "content": "brief", "ttl_seconds": 1});
        let other_manager: Arc<dyn ContextManager> = optimised(other.clone());
        put(&other_manager, &call, brief).await;
        let rows = || -> u64 {
            let count = "SELECT count(*) FROM context";
            database(dir.path())
                .query_row(count, [], |row| row.get(0))
                .unwrap()
        };
        database(dir.path())
            .execute("UPDATE context SET expires_at = 1", [])
            .unwrap();
        // A store sweeps with the first write of its life; the other one has had that.
        let third = store(dir.path());
        let note = Add {
            content: "x".to_owned(),
            ..Add::default()
        };
        third.add(&Call::local(), note).await.unwrap();
        until("the sweep", async || (rows() == 0).then_some(())).await;
    }
    assert_unknown(manager.get(&call, get("a")).await, "a");
}

/// POSIX drops all locks of a process on a file with the first descriptor that it closes; SQLite
/// would take a process without its lock for one that has died.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_store_that_goes_takes_no_locks_of_another_one_with_it() {
    use std::{fs, os::unix::fs::MetadataExt};

    let dir = folder();
    let stores = [store(dir.path()), store(dir.path())];
    let inode = fs::metadata(dir.path().join("memory.db-shm"))
        .unwrap()
        .ino();
    let locked = || {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        let ours = format!(":{inode} ");
        locks.lines().any(|lock| lock.contains(&ours))
    };
    assert!(
        locked(),
        "SQLite holds a lock for as long as the file is open"
    );
    let [first, second] = stores;
    drop(first);
    assert!(locked());
    drop(store(dir.path()));
    assert!(locked());
    drop(second);
    assert!(!locked());
}

/// More was put than is told one by one: everything is read anew.
#[tokio::test]
async fn many_changes_at_once_are_not_missed() {
    let dir = folder();
    let call = contract::call();
    let store = store(dir.path());
    let manager: Arc<dyn ContextManager> = optimised(store.clone());
    let other: Arc<dyn ContextManager> = optimised(super::store(dir.path()));
    put(&manager, &call, json!({"id": "a", "content": "old"})).await;
    read(&manager, &call, "a").await;
    put(&other, &call, json!({"id": "a", "content": "new"})).await;
    for n in 0..1_001 {
        put(&other, &call, json!({"id": n.to_string(), "content": "x"})).await;
    }
    assert_eq!(text(&*read(&manager, &call, "a").await), "new");
}
