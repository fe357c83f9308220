//! kill -9 in the middle of writes: what was acknowledged is there afterwards, and whatever is there
//! is found.
//!
//! `MCP_TEST_SEED` repeats the moments of an earlier run, as far as a machine repeats anything. Shown to be able to find a loss: with every 17th commit of the store turned into a rollback by
//! hand, it failed in the fourth round.

use std::{net::SocketAddr, path::Path, time::Duration};

use serde_json::json;
use tokio::sync::mpsc;

use crate::{
    store::assert_sound,
    support::{
        database,
        http::Http,
        mcp::{Client, Era, modern, modern_headers},
        process::{Process, folder},
        within,
    },
};

const ROUNDS: usize = 200;
const WRITERS: usize = 4;

/// Index commits all the time, so that the kills hit them, too.
const EAGER: [(&str, &str); 2] = [
    ("MCP_SERVER__MEMORY__SQLITE__INDEX__COMMIT_LEN", "3"),
    ("MCP_SERVER__MEMORY__SQLITE__INDEX__INTERVAL", "2ms"),
];

/// An acknowledged memory: its id and its text.
type Acknowledged = (String, String);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_memories_survive_kill_9() {
    let dir = folder();
    let mut all: Vec<Acknowledged> = Vec::new();
    let mut latest: Vec<Acknowledged> = Vec::new();
    let mut random = Random::seeded();
    println!("MCP_TEST_SEED={}", random.seed);
    for round in 0..ROUNDS {
        let server = serve(dir.path()).await;
        assert_present(server.address, &latest).await;
        all.append(&mut latest);

        let (acknowledge, mut acknowledged) = mpsc::channel(1_000);
        for writer in 0..WRITERS {
            let prefix = format!("round {round} writer {writer}");
            tokio::spawn(write(server.address, prefix, acknowledge.clone()));
        }
        drop(acknowledge);
        // A random moment: some acknowledgements, then some part of the next one's time.
        for _ in 0..=random.below(16) {
            let next = within("an acknowledgement", acknowledged.recv()).await;
            latest.push(next.expect("the writers go on"));
        }
        tokio::time::sleep(Duration::from_micros(random.below(2_000))).await;
        server.kill().await;
        // What was answered before the end but not yet counted.
        while let Some(more) = within("the writers' end", acknowledged.recv()).await {
            latest.push(more);
        }
    }
    let server = serve(dir.path()).await;
    all.append(&mut latest);
    assert_present(server.address, &all).await;
    let stored = stored(dir.path());
    assert!(stored.len() >= all.len());
    // Store and index agree, also on what was never acknowledged.
    assert_present(server.address, &stored).await;
    server.kill().await;
    assert_sound(dir.path());
    println!(
        "{ROUNDS} kills, {} acknowledged memories, 0 lost; {} stored, all found",
        all.len(),
        stored.len()
    );
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    fn seeded() -> Self {
        let fresh = || std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
        let seed = std::env::var("MCP_TEST_SEED").ok();
        let seed = seed.map_or_else(fresh, |seed| seed.parse().expect("a number"));
        Self { seed, state: seed }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Every memory in the database, acknowledged or not.
fn stored(dir: &Path) -> Vec<Acknowledged> {
    let database = database(dir);
    let mut memories = database.prepare("SELECT id, content FROM memory").unwrap();
    let memories = memories.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    memories.unwrap().collect::<Result<_, _>>().unwrap()
}

async fn serve(dir: &Path) -> Process {
    Process::serve_with(dir, &["--listen", "127.0.0.1:0"], &EAGER).await
}

/// Adds memories until the server is gone; every third time as a batch of two.
async fn write(address: SocketAddr, prefix: String, acknowledge: mpsc::Sender<Acknowledged>) {
    let Ok(mut connection) = Http::try_connect(address).await else {
        return;
    };
    for id in 0.. {
        let contents: Vec<_> = (0..1 + usize::from(id % 3 == 2))
            .map(|n| format!("{prefix} add {id} part {n}"))
            .map(|text| format!("{text} {}", word_of(&text)))
            .collect();
        let operations: Vec<_> = contents
            .iter()
            .map(|content| json!({"type": "add", "data": {"content": content}}))
            .collect();
        let arguments = json!({"operations": operations});
        let params = json!({"name": "memory_batch", "arguments": arguments});
        let message = modern(id, "tools/call", &params);
        let Some(answer) = ask(&mut connection, &message).await else {
            return;
        };
        let results = &answer["result"]["structuredContent"]["results"];
        for (n, content) in contents.into_iter().enumerate() {
            let id = results[n]["ok"]["id"].as_str();
            let id = id.unwrap_or_else(|| panic!("not added: {answer}"));
            let sent = acknowledge.send((id.to_owned(), content)).await;
            sent.expect("the test listens to the end");
        }
    }
}

/// `None` when the server has gone.
async fn ask(connection: &mut Http, message: &serde_json::Value) -> Option<serde_json::Value> {
    let headers = modern_headers(message);
    connection
        .try_request("POST", "/mcp", &headers, message.to_string())
        .await
        .ok()?;
    let response = connection.try_response().await.ok()?;
    Some(response.message())
}

/// A word that no other memory has.
fn word_of(content: &str) -> String {
    content.split(' ').take(8).collect()
}

async fn assert_present(address: SocketAddr, memories: &[Acknowledged]) {
    let mut client = Client::http(Era::Modern, address).await;
    for some in memories.chunks(25) {
        let operations: Vec<_> = some
            .iter()
            .flat_map(|(id, content)| {
                let search = json!({"query": word_of(content), "limit": 2});
                [
                    json!({"type": "get", "data": {"id": id}}),
                    json!({"type": "search", "data": search}),
                ]
            })
            .collect();
        let answer = client
            .ok("memory_batch", json!({"operations": operations}))
            .await;
        for (n, (id, content)) in some.iter().enumerate() {
            let result = &answer["results"][2 * n];
            assert_eq!(result["ok"]["content"], content.as_str(), "{id}: {result}");
            let found = &answer["results"][2 * n + 1]["ok"]["memories"];
            assert_eq!(found[0]["id"], id.as_str(), "{content}: {found}");
            assert_eq!(
                found.as_array().map(Vec::len),
                Some(1),
                "{content}: {found}"
            );
        }
    }
}
