//! The file of connectors: whole at every moment, and several may change it.

use std::{os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use mcp_server::upstream::{ConnectorName, Report, ServerConfig, Store, StoreError, registry_path};

use crate::support::process::{self, folder};

fn name(number: usize) -> ConnectorName {
    format!("server-{number}").parse().unwrap()
}

fn server(number: usize) -> ServerConfig {
    let mut server = ServerConfig::command(["run".to_owned(), number.to_string()]);
    server.env.insert("TOKEN".to_owned(), "${SECRET}".into());
    server
}

fn report() -> Report {
    Report {
        at: jiff::Timestamp::UNIX_EPOCH,
        tools: 3,
        error: None,
    }
}

#[test]
fn what_was_flushed_is_there_and_only_its_owner_reads_it() {
    let folder = folder();
    let path = registry_path(folder.path());
    let store = Store::open(&path).unwrap();
    store.define(&name(1), server(1));
    store.define(&name(2), server(2));
    assert_eq!(store.records().len(), 2);
    assert!(!path.exists());
    store.flush().unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    store.report(&name(1), report());
    store.report(&name(9), report());
    assert!(store.remove(&name(2)) && !store.remove(&name(2)));
    store.flush().unwrap();
    let again = Store::open(&path).unwrap().records();
    assert_eq!(again, store.records());
    assert_eq!(again.len(), 1);
    assert_eq!(again[&name(1)].report, Some(report()));
}

#[test]
fn changes_during_a_flush_are_never_lost() {
    let folder = folder();
    let path = registry_path(folder.path());
    let store = Arc::new(Store::open(&path).unwrap());
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let store = store.clone();
            std::thread::spawn(move || {
                for round in 0..100 {
                    store.define(&name(writer * 100 + round), server(round));
                    if round % 10 == 0 {
                        store.flush().unwrap();
                    }
                }
            })
        })
        .collect();
    // Another process, as far as the file is concerned.
    let other = Store::open(&path).unwrap();
    for round in 0..20 {
        other.define(&name(1_000 + round), server(round));
        other.flush().unwrap();
    }
    writers
        .into_iter()
        .for_each(|writer| writer.join().unwrap());
    store.flush().unwrap();
    assert_eq!(Store::open(&path).unwrap().records().len(), 420);
    assert!(other.look().unwrap());
    assert_eq!(other.records(), store.records());
    assert!(!other.look().unwrap());
}

#[test]
fn a_report_brings_no_removed_connector_back() {
    let folder = folder();
    let path = registry_path(folder.path());
    let (one, two) = (Store::open(&path).unwrap(), Store::open(&path).unwrap());
    one.define(&name(1), server(1));
    one.flush().unwrap();
    assert!(two.look().unwrap() && two.remove(&name(1)));
    two.flush().unwrap();
    one.report(&name(1), report());
    one.flush().unwrap();
    assert!(Store::open(&path).unwrap().records().is_empty());
}

#[test]
fn a_file_that_is_broken_or_not_ours_is_left_as_it_is() {
    let folder = folder();
    let path = registry_path(folder.path());
    for broken in [
        "",
        "{",
        "[]",
        r#"{"version": 9, "connectors": {}}"#,
        r#"{"version": 1, "connectors": {"a b": {"server": {"command": ["x"]}}}}"#,
        r#"{"version": 1, "connectors": {"a": {"server": {}}}}"#,
    ] {
        std::fs::write(&path, broken).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        let error = Store::open(&path).unwrap_err();
        assert!(
            matches!(error, StoreError::Broken { .. }),
            "{broken}: {error}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), broken);
    }
    std::fs::write(&path, r#"{"version": 1, "connectors": {}}"#).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
    let error = Store::open(&path).unwrap_err().to_string();
    assert!(error.contains("chmod 600"), "{error}");
}

/// A process that is killed while it writes, at moments spread over its work: the file is whole each
/// time, and holds all that was acknowledged.
#[tokio::test]
async fn killed_writers_leave_a_whole_file() {
    let folder = folder();
    let path = registry_path(folder.path());
    let add = |name: String| {
        process::command()
            .args(["connectors", "add", &name, "--data-dir"])
            .arg(folder.path())
            .args(["--", "run", "it"])
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    // How long one takes on this machine at this time.
    let began = tokio::time::Instant::now();
    add("first".to_owned()).wait().await.unwrap();
    let whole = began.elapsed();
    let mut acknowledged = 1;
    for round in 0..200_u32 {
        let mut child = add(format!("c{round}"));
        let moment = whole * (round * 97 % 200) / 100;
        let killed = tokio::time::timeout(moment, child.wait()).await.is_err();
        if killed {
            child.kill().await.unwrap();
        } else {
            acknowledged += 1;
        }
        check_whole(&path, acknowledged);
    }
    // Some ended, some did not: else the moments would be badly chosen.
    assert!((2..201).contains(&acknowledged), "{acknowledged}");
}

fn check_whole(path: &Path, acknowledged: usize) {
    let records = Store::open(path).unwrap().records();
    assert!(
        records.len() >= acknowledged,
        "{} of {acknowledged}",
        records.len()
    );
}
