//! MCP itself: the same behaviour over HTTP and stdio, in both eras.

mod eras;
mod errors;

use mcp_server::config::HttpConfig;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    mcp::{Client, Era, MODERN},
    process::folder,
    server::Server,
};

const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

/// A client for each way in, and what they talk to.
struct Ways {
    clients: Vec<Client>,
    server: Server,
    _dirs: [TempDir; 2],
}

impl Ways {
    async fn open() -> Self {
        let server = Server::memory(HttpConfig::default()).await;
        let dirs = [folder(), folder()];
        let clients = vec![
            Client::http(Era::Modern, server.address).await,
            Client::http(Era::Legacy, server.address).await,
            Client::stdio(Era::Modern, dirs[0].path()).await,
            Client::stdio(Era::Legacy, dirs[1].path()).await,
        ];
        Self {
            clients,
            server,
            _dirs: dirs,
        }
    }
}

#[tokio::test]
async fn the_six_tools_work_on_every_way_in() {
    let mut ways = Ways::open().await;
    for client in &mut ways.clients {
        let name = client.name();
        let added = client
            .ok(
                "memory_add",
                json!({"content": "The kettle is blue", "tags": ["kitchen"],
                       "metadata": {"room": 1}, "namespace": name}),
            )
            .await;
        assert_eq!(added["version"], 1, "{name}");
        assert!(added["created_at"].is_string(), "{name}: {added}");
        let id = &added["id"];

        let found = client
            .ok(
                "memory_search",
                json!({"query": "kettle", "namespace": name}),
            )
            .await;
        assert_eq!(found["memories"][0]["id"], *id, "{name}: {found}");
        assert!(found["memories"][0]["score"].is_f64(), "{name}: {found}");

        let updated = client
            .ok(
                "memory_update",
                json!({"id": id, "content": "The kettle is red", "version": 1}),
            )
            .await;
        assert_eq!(updated["version"], 2, "{name}");

        let memory = client.ok("memory_get", json!({"id": id})).await;
        assert_eq!(memory["content"], "The kettle is red", "{name}");
        assert_eq!(memory["tags"], json!(["kitchen"]), "{name}");
        assert_eq!(memory["metadata"], json!({"room": 1}), "{name}");

        let batch = json!({"operations": [
            {"type": "add", "data": {"content": "one more"}},
            {"type": "get", "data": {"id": "unknown"}},
            {"type": "nonsense", "data": {}},
            {"type": "get", "data": {"id": id}},
        ]});
        let results = client.ok("memory_batch", batch).await;
        let results = results["results"].as_array().unwrap();
        assert_eq!(results.len(), 4, "{name}");
        assert_eq!(results[0]["ok"]["version"], 1, "{name}");
        assert_eq!(results[1]["error"]["code"], "not_found", "{name}");
        assert_eq!(results[2]["error"]["code"], "invalid_argument", "{name}");
        assert_eq!(results[3]["ok"]["id"], *id, "{name}");

        let deleted = client.ok("memory_delete", json!({"id": id})).await;
        assert_eq!(deleted["deleted"], true, "{name}");
        let gone = client.call("memory_get", json!({"id": id})).await;
        assert_eq!(gone["isError"], true, "{name}: {gone}");
    }
}

#[tokio::test]
async fn the_tools_are_methods_too() {
    let mut ways = Ways::open().await;
    for client in &mut ways.clients {
        let name = client.name();
        let mut ask = async |method: &str, params: Value| {
            let response = client.request(method, params).await;
            let result = &response["result"];
            assert!(
                result["_meta"]["cached"].is_boolean(),
                "{name} {method}: {response}"
            );
            assert!(
                result["_meta"]["response_time_ms"].is_f64(),
                "{name} {method}: {response}"
            );
            assert_eq!(
                result["_meta"][SERVER_INFO]["name"], "mcp-server",
                "{name} {method}"
            );
            assert_eq!(result["resultType"], "complete", "{name} {method}");
            result.clone()
        };
        let added = ask(
            "memory/add",
            json!({"content": "a method", "namespace": name}),
        )
        .await;
        let id = &added["id"];
        let query = json!({"query": "method", "namespace": name});
        assert_eq!(ask("memory/search", query).await["memories"][0]["id"], *id);
        assert_eq!(
            ask("memory/get", json!({"id": id})).await["content"],
            "a method"
        );
        assert_eq!(
            ask("memory/update", json!({"id": id, "tags": ["x"]})).await["version"],
            2
        );
        let batch = json!({"operations": [{"type": "get", "data": {"id": id}}]});
        assert_eq!(
            ask("memory/batch", batch).await["results"][0]["ok"]["tags"],
            json!(["x"])
        );
        assert_eq!(
            ask("memory/delete", json!({"id": id})).await["deleted"],
            true
        );

        for (method, params, code) in [
            ("memory/get", json!({"id": id}), -32602),
            ("memory/add", json!({"content": 5}), -32602),
            ("memory/add", json!({"content": "a", "extra": 1}), -32602),
            ("memory/forget", json!({"id": id}), -32601),
            ("memory_add", json!({"content": "a"}), -32601),
        ] {
            let response = client.request(method, params).await;
            assert_eq!(
                response["error"]["code"],
                code,
                "{}: {response}",
                client.name()
            );
        }
    }
}

#[tokio::test]
async fn a_result_says_what_it_is_and_who_made_it() {
    let mut ways = Ways::open().await;
    for client in &mut ways.clients {
        let name = client.name();
        let success = client
            .call("memory_add", json!({"content": "stamped"}))
            .await;
        let failure = client.call("memory_add", json!({"content": ""})).await;
        assert_eq!(
            (&success["isError"], &failure["isError"]),
            (&json!(false), &json!(true))
        );
        for result in [&success, &failure] {
            let meta = &result["_meta"];
            assert_eq!(meta["cached"], false, "{name}: {result}");
            assert!(
                meta["response_time_ms"].as_f64().unwrap() >= 0.0,
                "{name}: {result}"
            );
            assert_eq!(meta[SERVER_INFO]["name"], "mcp-server", "{name}: {result}");
            assert_eq!(
                meta[SERVER_INFO]["version"],
                env!("CARGO_PKG_VERSION"),
                "{name}"
            );
            if client.era() == Era::Modern {
                assert_eq!(result["resultType"], "complete", "{name}: {result}");
            }
        }
        let text = success["content"][0]["text"].as_str().unwrap();
        let text: Value = serde_json::from_str(text).unwrap();
        assert_eq!(text, success["structuredContent"], "{name}");
        assert_eq!(success["content"].as_array().unwrap().len(), 1, "{name}");
        assert_eq!(failure["structuredContent"], Value::Null, "{name}");

        let list = client.request("tools/list", json!({})).await;
        assert_eq!(
            list["result"]["_meta"][SERVER_INFO]["name"], "mcp-server",
            "{name}: {list}"
        );
    }
}

#[tokio::test]
async fn the_list_of_tools_is_this() {
    const READS: [bool; 4] = [true, false, true, false];
    const CHANGES: [bool; 4] = [false, true, false, false];
    let snapshot = [
        (
            "memory_add",
            "Remember",
            [false, false, false, false],
            vec!["content"],
        ),
        ("memory_search", "Search memories", READS, vec!["query"]),
        ("memory_get", "Read a memory", READS, vec!["id"]),
        ("memory_update", "Change a memory", CHANGES, vec!["id"]),
        (
            "memory_delete",
            "Forget a memory",
            [false, true, true, false],
            vec!["id"],
        ),
        (
            "memory_batch",
            "Several memory operations",
            CHANGES,
            vec!["operations"],
        ),
        ("context_put", "Store a context", CHANGES, vec!["content"]),
        ("context_get", "Read a context", READS, vec!["id"]),
        ("context_list", "List contexts", READS, vec![]),
        ("connector_list", "List connectors", READS, vec![]),
        (
            "connector_refresh",
            "Refresh a connector",
            [false, true, true, false],
            vec!["name"],
        ),
        (
            "get_performance_status",
            "Get the performance status",
            READS,
            vec![],
        ),
        (
            "run_performance_benchmark",
            "Run a benchmark",
            [false, false, false, false],
            vec![],
        ),
    ];
    let mut ways = Ways::open().await;
    for client in &mut ways.clients {
        let name = client.name();
        let response = client.request("tools/list", json!({})).await;
        let result = &response["result"];
        let tools = result["tools"].as_array().unwrap();
        assert_eq!(tools.len(), snapshot.len(), "{name}");
        for (tool, (tool_name, title, hints, required)) in tools.iter().zip(&snapshot) {
            assert_eq!(tool["name"], *tool_name, "{name}");
            assert_eq!(tool["title"], *title, "{name}");
            assert!(
                tool["description"].as_str().unwrap().len() > 20,
                "{name}: {tool}"
            );
            let annotations = &tool["annotations"];
            let found = [
                "readOnlyHint",
                "destructiveHint",
                "idempotentHint",
                "openWorldHint",
            ]
            .map(|hint| annotations[hint].as_bool().unwrap());
            assert_eq!(found, *hints, "{name}: {tool_name}");
            let input = &tool["inputSchema"];
            assert_eq!(input["type"], "object", "{name}: {tool_name}");
            let asks = input["required"].as_array().cloned().unwrap_or_default();
            assert_eq!(asks, *required, "{name}: {tool_name}");
            assert_eq!(input["additionalProperties"], false, "{name}: {tool_name}");
            assert_eq!(
                tool["outputSchema"]["type"], "object",
                "{name}: {tool_name}"
            );
        }
        if client.era() == Era::Modern {
            assert!(result["ttlMs"].as_u64().is_some(), "{name}: {result}");
            assert_eq!(result["cacheScope"], "public", "{name}");
        }
        let response = client.request("tools/list", json!({"cursor": "odd"})).await;
        assert_eq!(response["error"]["code"], -32602, "{name}: {response}");
    }
}

#[tokio::test]
async fn the_server_introduces_itself() {
    let mut ways = Ways::open().await;
    for client in &mut ways.clients {
        let name = client.name();
        match client.era() {
            Era::Modern => {
                let response = client.request("server/discover", json!({})).await;
                let result = &response["result"];
                assert!(
                    result["supportedVersions"]
                        .as_array()
                        .unwrap()
                        .contains(&json!(MODERN)),
                    "{name}: {result}"
                );
                assert_eq!(
                    result["capabilities"],
                    json!({"tools": {"listChanged": true}, "resources": {}}),
                    "{name}: {result}"
                );
                assert_eq!(
                    result["_meta"][SERVER_INFO]["name"], "mcp-server",
                    "{name}: {result}"
                );
                assert!(result["ttlMs"].is_u64(), "{name}: {result}");
                assert!(result["cacheScope"].is_string(), "{name}: {result}");
            }
            Era::Legacy => {
                let response = client.request("ping", json!({})).await;
                assert_eq!(response["result"], json!({}), "{name}: {response}");
            }
        }
    }
}

#[tokio::test]
async fn owners_of_different_ways_in_are_one() {
    let ways = Ways::open().await;
    let address = ways.server.address;
    let mut modern = Client::http(Era::Modern, address).await;
    let mut legacy = Client::http(Era::Legacy, address).await;
    let added = modern.ok("memory_add", json!({"content": "shared"})).await;
    let memory = legacy.ok("memory_get", json!({"id": added["id"]})).await;
    assert_eq!(memory["content"], "shared");
}
