//! What may happen to a server from outside: a full disk, another process on its data, odd queries.

use std::{path::PathBuf, process::Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{
    store::assert_sound,
    support::{
        mcp::{Client, Era},
        process::{Process, folder},
        until, within,
    },
};

const LISTEN: [&str; 2] = ["--listen", "127.0.0.1:0"];

/// Sends the call again for as long as its error says that this may help.
async fn persist(client: &mut Client, tool: &str, arguments: Value) -> (Value, usize) {
    for attempt in 0..1_000 {
        let result = client.call(tool, arguments.clone()).await;
        if result["isError"] == false {
            return (result["structuredContent"].clone(), attempt);
        }
        assert_eq!(result["_meta"]["error"]["retryable"], true, "{result}");
    }
    panic!("{tool} never succeeds");
}

/// Two servers on one data directory, both writing all the time with the usual time limit: what
/// either acknowledges is there once, and either finds what the other one wrote.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_the_data_is_served_under_load() {
    const CLIENTS: usize = 4;
    const ADDS: usize = 50;
    let dir = folder();
    let unguarded = [
        ("MCP_SERVER__MEMORY__OPERATION_TIMEOUT", "100ms"),
        ("MCP_SERVER__MEMORY__CIRCUIT_BREAKER__ENABLED", "false"),
    ];
    let mut servers = Vec::new();
    for _ in 0..2 {
        servers.push(Process::serve_with(dir.path(), &LISTEN, &unguarded).await);
    }
    let mut clients = JoinSet::new();
    for n in 0..2 * CLIENTS {
        let address = servers[n % 2].address;
        clients.spawn(async move {
            let mut client = Client::http(Era::Modern, address).await;
            let mut again = 0;
            for add in 0..ADDS {
                let content = format!("shared by all, of client{n} number{add}");
                again += persist(&mut client, "memory_add", json!({"content": content}))
                    .await
                    .1;
            }
            again
        });
    }
    let again: usize = within("the writes", clients.join_all()).await.iter().sum();
    println!(
        "{} adds through two processes, {again} of them had to be repeated",
        2 * CLIENTS * ADDS
    );
    for server in &servers {
        let mut client = Client::http(Era::Modern, server.address).await;
        for n in 0..2 * CLIENTS {
            let search = json!({"query": format!("client{n}"), "limit": 100});
            let (found, _) = persist(&mut client, "memory_search", search).await;
            assert_eq!(
                found["memories"].as_array().map(Vec::len),
                Some(ADDS),
                "client {n}"
            );
        }
    }
    for server in servers {
        server.kill().await;
    }
    assert_sound(dir.path());
}

/// A small file system of its own, in a mount namespace that ends with the server in it. Needs
/// `unshare`, and the right to make namespaces.
struct SmallDisk {
    server: Process,
    /// Where it is mounted; kept, since a mount ends with its folder.
    _dir: TempDir,
    /// The file system, as seen from here.
    root: PathBuf,
}

impl SmallDisk {
    const BALLAST: &str = "ballast";

    async fn serve() -> Option<Self> {
        let dir = folder();
        let mount = "mount -t tmpfs -o size=6m tmpfs \"$1\" && fallocate -l 1M \"$1/ballast\"";
        let wrapper = |script: &str| {
            let script = format!("{mount} && {script}");
            [
                "unshare",
                "--user",
                "--map-root-user",
                "--mount",
                "sh",
                "-c",
                &script,
                "sh",
            ]
            .map(str::to_owned)
            .to_vec()
        };
        let probe = wrapper("true");
        let possible = tokio::process::Command::new(&probe[0])
            .args(&probe[1..])
            .arg(dir.path())
            .stderr(Stdio::null())
            .status()
            .await
            .is_ok_and(|status| status.success());
        if !possible {
            let required = std::env::var("MCP_TEST_REQUIRE_SERVICES").is_ok_and(|set| set == "1");
            assert!(!required, "no mount namespaces here");
            return None;
        }
        let mut wrapper = wrapper("shift && exec \"$@\"");
        wrapper.push(dir.path().to_str().expect("a plain name").to_owned());
        let server = Process::serve_wrapped(&wrapper, dir.path(), &LISTEN, &[]).await;
        let root = PathBuf::from(format!("/proc/{}/root", server.id()));
        let root = root.join(dir.path().strip_prefix("/").expect("it is absolute"));
        Some(Self {
            server,
            _dir: dir,
            root,
        })
    }

    /// Gives space back.
    fn relieve(&self) {
        std::fs::remove_file(self.root.join(Self::BALLAST)).expect("it was there");
    }
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_no_end() {
    let Some(disk) = SmallDisk::serve().await else {
        println!("skipped: no mount namespaces here");
        return;
    };
    let mut client = Client::http(Era::Modern, disk.server.address).await;
    let mut acknowledged = Vec::new();
    let mut refusals = 0;
    // Words of its own in every memory, so that the index fills the disk, too.
    let content = |n: usize| {
        let words: Vec<_> = (0..400).map(|word| format!("w{n}x{word}")).collect();
        words.join(" ")
    };
    let mut n = 0;
    // Past the first refusal, so that the store has to be sound after one.
    while refusals < 4 {
        assert!(n < 10_000, "the disk is never full");
        let result = client
            .call("memory_add", json!({"content": content(n)}))
            .await;
        match result["isError"] == true {
            false => acknowledged.push((result["structuredContent"]["id"].clone(), n)),
            true => {
                let error = &result["_meta"]["error"];
                assert_eq!(
                    (&error["code"], &error["retryable"]),
                    (&json!("unavailable"), &json!(true))
                );
                let text = result["content"][0]["text"].as_str().unwrap_or_default();
                assert!(text.contains("full"), "{result}");
                refusals += 1;
            }
        }
        n += 1;
    }
    assert!(acknowledged.len() > 10, "{}", acknowledged.len());
    let (id, number) = &acknowledged[0];
    let read = client.ok("memory_get", json!({"id": id})).await;
    assert_eq!(read["content"], content(*number), "reads go on");

    disk.relieve();
    // It recovers alone.
    let written = until("the recovery", async || {
        let result = client
            .call("memory_add", json!({"content": "room again"}))
            .await;
        (result["isError"] == false).then_some(result)
    });
    written.await;
    for (id, number) in &acknowledged {
        let read = client.ok("memory_get", json!({"id": id})).await;
        assert_eq!(read["content"], content(*number));
        let search = json!({"query": format!("w{number}x7")});
        let found = until("the index", async || {
            let found = client.call("memory_search", search.clone()).await;
            (found["isError"] == false).then(|| found["structuredContent"]["memories"].clone())
        });
        assert_eq!(found.await[0]["id"], *id);
    }
    println!(
        "{} acknowledged before and between {refusals} refusals, 0 lost",
        acknowledged.len()
    );
    // A copy, since SQLite would look for the file here, where the small disk is not.
    let copy = folder();
    for file in ["memory.db", "memory.db-wal"] {
        std::fs::copy(disk.root.join(file), copy.path().join(file)).unwrap();
    }
    assert_sound(copy.path());
    disk.server.kill().await;
}

#[tokio::test]
async fn any_query_has_a_result_or_a_clear_error() {
    let dir = folder();
    let server = Process::serve(dir.path()).await;
    let mut client = Client::http(Era::Modern, server.address).await;
    client
        .ok(
            "memory_add",
            json!({"content": "the quick brown fox, le renard, 狐狸"}),
        )
        .await;
    let megabyte = "fox ".repeat(1 << 18);
    let refused = client
        .call("memory_search", json!({"query": megabyte}))
        .await;
    assert_eq!(refused["_meta"]["error"]["code"], "invalid_argument");
    for (query, finds) in [
        ("the and of", 1),
        ("狐狸", 1),
        ("лиса", 0),
        ("ثعلب", 0),
        ("\" AND (NEAR/2 * ^ -: fox", 1),
        ("\"\"\"\"", 0),
        ("'; DROP TABLE memory; --", 0),
        ("\u{0}\u{feff}\u{202e}", 0),
    ] {
        let found = client.ok("memory_search", json!({"query": query})).await;
        assert_eq!(
            found["memories"].as_array().map(Vec::len),
            Some(finds),
            "{query:?}"
        );
    }
}
