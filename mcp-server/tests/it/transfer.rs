//! Imports and exports, by the real command on real files: those under `fixtures` were written by
//! the reference memory server itself and after OpenMemory's and mem0's exports.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Output,
};

use mcp_server::{
    call::Call,
    memory::{
        Add, Limits, Memory, Owner, Restored, Search, Update,
        sqlite::{SqliteConfig, SqliteStore},
    },
    ports::{MemoryArchive, MemoryStore},
    transfer::{Import, Source, TransferError, import},
};
use serde_json::{Value, json};

use crate::support::{
    mcp::{Client, Era},
    process::{Process, folder, run},
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/fixtures")
        .join(name)
}

async fn memory_command(dir: &Path, arguments: &[&str]) -> Output {
    let data_dir = dir.to_str().unwrap();
    let all = [&["memory"], arguments, &["--data-dir", data_dir]].concat();
    run(&all, &[]).await
}

/// Imports a file and returns the counts that the command prints: added, replaced, there already,
/// gone, left out.
async fn imported(dir: &Path, file: &Path, more: &[&str]) -> (Option<i32>, Vec<u64>) {
    let arguments = [&["import", file.to_str().unwrap()], more].concat();
    let output = memory_command(dir, &arguments).await;
    let log = String::from_utf8(output.stderr).unwrap();
    let line = log
        .lines()
        .find(|line| line.contains("left out") && line.contains("replaced"))
        .unwrap_or_else(|| panic!("{log}"));
    let said = line.split(" INFO ").last().unwrap();
    let words = said.split_whitespace();
    let counts = words.filter_map(|word| word.parse().ok()).collect();
    (output.status.code(), counts)
}

async fn exported(dir: &Path) -> Vec<Memory> {
    let output = memory_command(dir, &["export"]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let [header, memories @ .., footer] = &lines[..] else {
        panic!("{text}");
    };
    let header: Value = serde_json::from_str(header).unwrap();
    assert_eq!(header["format"], "mcp-server-memories");
    let footer: Value = serde_json::from_str(footer).unwrap();
    assert_eq!(footer, json!({"memories": memories.len()}));
    let memory = |line: &&str| serde_json::from_str(line).unwrap();
    memories.iter().map(memory).collect()
}

fn store(dir: &Path) -> SqliteStore {
    SqliteStore::open(dir, &SqliteConfig::default()).unwrap()
}

fn by_content(memories: &[Memory]) -> BTreeMap<&str, &Memory> {
    memories
        .iter()
        .map(|memory| (memory.content.as_str(), memory))
        .collect()
}

#[tokio::test]
async fn an_export_of_openmemory_comes_in_whole_and_once() {
    let dir = folder();
    let file = fixture("openmemory_export.zip");
    assert_eq!(
        imported(dir.path(), &file, &[]).await,
        (Some(0), vec![3, 0, 0, 1, 0])
    );
    assert_eq!(
        imported(dir.path(), &file, &[]).await,
        (Some(0), vec![0, 0, 3, 1, 0])
    );
    let memories = exported(dir.path()).await;
    let memories = by_content(&memories);
    let fridays = memories["Deploys on Fridays, against advice"];
    assert_eq!(fridays.id.as_str(), "11111111-2222-4333-8444-000000000002");
    assert_eq!(fridays.tags, ["work", "preferences"]);
    assert_eq!(
        Value::Object(fridays.metadata.clone()),
        json!({"source": "chat", "app": "cursor"})
    );
    assert_eq!(fridays.created_at, "2025-06-01T09:30:00Z".parse().unwrap());
    assert_eq!(fridays.updated_at.to_string(), "2025-06-03T09:30:00.123Z");
    assert_eq!(memories["An old habit"].metadata["state"], "archived");
    assert!(!memories.contains_key("Was a mistake"));
}

#[tokio::test]
async fn the_older_document_of_openmemory_and_the_list_of_mem0_come_in() {
    let dir = folder();
    let file = fixture("openmemory_memories.json");
    let (code, counts) = imported(dir.path(), &file, &[]).await;
    assert_eq!((code, counts), (Some(0), vec![3, 0, 0, 1, 0]));
    // One of the list has no text: it is left out, and said.
    let file = fixture("mem0_list.json");
    let (code, counts) = imported(dir.path(), &file, &["--namespace", "people"]).await;
    assert_eq!((code, counts), (Some(1), vec![2, 0, 0, 0, 1]));
    let memories = exported(dir.path()).await;
    let memories = by_content(&memories);
    assert_eq!(
        memories["Deploys on Fridays, against advice"].tags,
        ["work", "preferences"]
    );
    let nuts = memories["Vegetarian, allergic to nuts"];
    assert_eq!(nuts.namespace, "people");
    assert_eq!(nuts.tags, ["food", "health"]);
    assert_eq!(nuts.created_at, "2025-03-01T17:00:00Z".parse().unwrap());
    assert_eq!(
        Value::Object(nuts.metadata.clone()),
        json!({"k": 1, "user_id": "ada"})
    );
}

#[tokio::test]
async fn the_graph_of_the_reference_server_becomes_memories_that_are_found() {
    let dir = folder();
    let file = fixture("server_memory.jsonl");
    assert_eq!(
        imported(dir.path(), &file, &[]).await,
        (Some(0), vec![5, 0, 0, 0, 0])
    );
    assert_eq!(
        imported(dir.path(), &file, &[]).await,
        (Some(0), vec![0, 0, 5, 0, 0])
    );
    let memories = exported(dir.path()).await;
    let memories = by_content(&memories);
    let first = memories["Ada Lovelace: wrote the first program"];
    assert_eq!(first.tags, ["person", "Ada Lovelace"]);
    assert_eq!(first.metadata["kind"], "observation");
    assert!(memories.contains_key("Ada Lovelace programmed Analytical Engine"));
    assert!(memories.contains_key("London (city)"));
    let search = Search {
        query: "program".to_owned(),
        limit: Some(10),
        ..Search::default()
    };
    let found = store(dir.path())
        .search(&Call::local(), search)
        .await
        .unwrap();
    assert_eq!(found.memories.len(), 2);
}

#[tokio::test]
async fn an_own_export_is_lossless_and_repeats_without_harm() {
    let (here, there) = (folder(), folder());
    let from = store(here.path());
    for n in 0..1_200 {
        let add = Add {
            content: format!("memory {n} – „Zeichen“ \u{1f980}\n\"quoted\""),
            namespace: (n % 3 == 0).then(|| "third".to_owned()),
            tags: vec![format!("t{}", n % 7)],
            metadata: serde_json::from_value(json!({"n": n, "deep": {"x": [null, 1.5]}})).unwrap(),
            ttl_seconds: (n % 5 == 0).then_some(3_600),
            id: None,
        };
        from.add(&Call::local(), add).await.unwrap();
    }
    drop(from);
    let file = there.path().join("all.jsonl");
    let output = memory_command(here.path(), &["export", "-o", file.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only its owner may read it");
    let data = there.path().join("data");
    assert_eq!(
        imported(&data, &file, &[]).await,
        (Some(0), vec![1_200, 0, 0, 0, 0])
    );
    assert_eq!(exported(&data).await, exported(here.path()).await);
    assert_eq!(
        imported(&data, &file, &[]).await,
        (Some(0), vec![0, 0, 1_200, 0, 0])
    );
    let output = memory_command(&data, &["export", "--namespace", "third"]).await;
    let lines = String::from_utf8(output.stdout).unwrap().lines().count();
    assert_eq!(lines, 400 + 2);
}

#[tokio::test]
async fn a_dry_run_stores_nothing() {
    let dir = folder();
    let file = fixture("server_memory.jsonl");
    let (code, counts) = imported(dir.path(), &file, &["--dry-run"]).await;
    assert_eq!((code, counts), (Some(0), vec![5, 0, 0, 0, 0]));
    assert_eq!(exported(dir.path()).await, []);
}

#[tokio::test]
async fn a_newer_version_wins_and_an_older_one_never_does() {
    let dir = folder();
    let owner = Owner::local();
    let store = store(dir.path());
    let add = Add {
        content: "first".to_owned(),
        ..Add::default()
    };
    let id = store.add(&Call::local(), add).await.unwrap().id;
    let old = store.page(&owner, None, None, 10).await.unwrap().memories;
    let update = Update {
        id: id.clone(),
        content: Some("second".to_owned()),
        tags: None,
        metadata: None,
        version: None,
    };
    store.update(&Call::local(), update).await.unwrap();
    let restore = async |memory: &Memory, owner: &Owner| {
        store.restore(owner, vec![memory.clone()]).await.unwrap()[0]
    };
    assert_eq!(restore(&old[0], &owner).await, Restored::Kept);
    let mut newer = old[0].clone();
    newer.content = "third".to_owned();
    newer.version = 7;
    assert_eq!(restore(&newer, &owner).await, Restored::Replaced);
    let now = store.page(&owner, None, None, 10).await.unwrap().memories;
    assert_eq!((now[0].content.as_str(), now[0].version), ("third", 7));
    let mut expired = newer.clone();
    expired.id = "expired".to_owned().into();
    expired.expires_at = Some("2001-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(restore(&expired, &owner).await, Restored::Expired);
    // Another owner's memory is neither shown nor overwritten.
    let other = Owner::new("other");
    newer.version = 9;
    assert_eq!(restore(&newer, &other).await, Restored::Taken);
    assert_eq!(
        store.page(&other, None, None, 10).await.unwrap().memories,
        []
    );
}

#[tokio::test]
async fn pages_are_bounded_and_meet_without_a_gap() {
    let dir = folder();
    let owner = Owner::local();
    let config = SqliteConfig {
        answer_bytes_max: 10_000.try_into().unwrap(),
        ..SqliteConfig::default()
    };
    let store = SqliteStore::open(dir.path(), &config).unwrap();
    let mut added = Vec::new();
    for n in 0..30 {
        let add = Add {
            content: "x".repeat(1 + n * 300),
            ..Add::default()
        };
        added.push(store.add(&Call::local(), add).await.unwrap().id);
    }
    let (mut read, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = store.page(&owner, None, after, 8).await.unwrap();
        assert!(page.memories.len() <= 8);
        read.extend(page.memories.into_iter().map(|memory| memory.id));
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(read, added);
    assert!(pages > 30 / 8 + 1, "{pages} pages: bytes bound nothing");
}

#[tokio::test]
async fn what_cannot_be_read_is_named_and_the_rest_comes_in() {
    let dir = folder();
    let file = dir.path().join("damaged.jsonl");
    let mut lines = vec![
        json!({"format": "mcp-server-memories", "version": 1, "exported_at": "2026-01-01T00:00:00Z"})
            .to_string(),
    ];
    let memory = |id: &str, content: &str| {
        json!({
            "id": id, "namespace": "n", "content": content, "tags": [], "metadata": {},
            "version": 1, "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
        })
        .to_string()
    };
    lines.push(memory("good", "kept"));
    lines.push(memory("blank", "  "));
    lines.push("{\"id\": \"broken\", \"na".to_owned());
    lines.push(memory("also good", "kept too"));
    fs::write(&file, lines.join("\n")).unwrap();
    let data = dir.path().join("data");
    let output = memory_command(&data, &["import", file.to_str().unwrap()]).await;
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{log}");
    for says in [
        "content: must not be empty",
        "EOF while parsing",
        "it was cut off",
        "2 memories added",
        "3 left out",
    ] {
        assert!(log.contains(says), "{says:?} is not in {log}");
    }
    assert_eq!(exported(&data).await.len(), 2);
}

#[tokio::test]
async fn a_file_that_is_no_export_is_refused_by_name() {
    let dir = folder();
    let check = async |bytes: &[u8], says: &str| {
        let file = dir.path().join("file");
        fs::write(&file, bytes).unwrap();
        let output = memory_command(dir.path(), &["import", file.to_str().unwrap()]).await;
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(
            log.contains(says) && log.contains("file"),
            "{says:?}: {log}"
        );
        assert!(!log.contains("panicked"), "{log}");
    };
    check(b"", "it is empty").await;
    check(b"hello\nworld\n", "it is no list of memories").await;
    check(b"{\"a\": 1}", "it is no list of memories").await;
    check(b"PK\x03\x04 and then nothing", "cannot read").await;
    check(b"\x1f\x8b\x08 cut", "cannot read").await;
    check(
        br#"{"format": "mcp-server-memories", "version": 99, "exported_at": "2026-01-01T00:00:00Z"}"#,
        "update it",
    )
    .await;
    let output = memory_command(dir.path(), &["import", "/nowhere/at/all"]).await;
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("/nowhere/at/all"), "{log}");
}

#[tokio::test]
async fn a_serving_process_finds_what_another_one_imports() {
    let dir = folder();
    let server = Process::serve(dir.path()).await;
    let (code, counts) = imported(dir.path(), &fixture("server_memory.jsonl"), &[]).await;
    assert_eq!((code, counts[0]), (Some(0), 5));
    let mut client = Client::http(Era::Modern, server.address).await;
    let found = client
        .call("memory_search", json!({"query": "babbage"}))
        .await;
    let memories = found["structuredContent"]["memories"].as_array().unwrap();
    assert_eq!(memories.len(), 1, "{found}");
}

#[tokio::test]
async fn a_gzipped_file_and_one_read_twice_at_once_come_in() {
    use std::io::Write as _;
    let dir = folder();
    let plain = fs::read(fixture("server_memory.jsonl")).unwrap();
    let packed = dir.path().join("graph.jsonl.gz");
    let mut encoder = flate2::write::GzEncoder::new(
        fs::File::create(&packed).unwrap(),
        flate2::Compression::fast(),
    );
    encoder.write_all(&plain).unwrap();
    encoder.finish().unwrap();
    let store = store(dir.path());
    let (owner, limits) = (Owner::local(), Limits::default());
    let run = || {
        let request = Import {
            source: Source::open(&packed).unwrap(),
            namespace: None,
            dry_run: false,
        };
        import(&store, &owner, &limits, request, |_| {})
    };
    let (one, two): (Result<_, TransferError>, _) = tokio::join!(run(), run());
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.added + two.added, 5);
    assert_eq!(one.kept + two.kept, 5);
    assert_eq!(one.percent, Some(100));
}
