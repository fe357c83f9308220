//! What differs between the eras: headers, `_meta`, statuses, sessions.

use std::net::SocketAddr;

use mcp_server::config::HttpConfig;
use serde_json::{Value, json};

use crate::support::{
    http::{Http, Response},
    mcp::{ACCEPT, JSON, MODERN, initialize, modern, modern_headers, post_modern, request},
    server::Server,
};

/// A modern `tools/call` over HTTP that is wrong in one way.
struct Wrong {
    what: &'static str,
    message: Value,
    headers: Vec<(&'static str, &'static str)>,
    status: u16,
    code: i64,
}

#[tokio::test]
async fn headers_and_meta_must_be_there_and_agree() {
    let good = || {
        modern(
            7,
            "tools/call",
            &json!({"name": "memory_get", "arguments": {"id": "a"}}),
        )
    };
    let headers = |omit: &str, add: &[(&'static str, &'static str)]| {
        let mut headers = vec![
            JSON,
            ACCEPT,
            ("MCP-Protocol-Version", MODERN),
            ("Mcp-Method", "tools/call"),
            ("Mcp-Name", "memory_get"),
        ];
        headers.retain(|(name, _)| *name != omit);
        headers.extend_from_slice(add);
        headers
    };
    let without = |key: &str| {
        let mut message = good();
        message["params"]["_meta"]
            .as_object_mut()
            .unwrap()
            .remove(key);
        message
    };
    let mut no_meta = good();
    no_meta["params"].as_object_mut().unwrap().remove("_meta");
    let mut unsupported = good();
    unsupported["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2099-01-01");
    let version = "MCP-Protocol-Version";
    let rows = [
        Wrong {
            what: "no _meta",
            message: no_meta,
            headers: headers("", &[]),
            status: 400,
            code: -32602,
        },
        Wrong {
            what: "no version in _meta",
            message: without("io.modelcontextprotocol/protocolVersion"),
            headers: headers("", &[]),
            status: 400,
            code: -32602,
        },
        Wrong {
            what: "no capabilities",
            message: without("io.modelcontextprotocol/clientCapabilities"),
            headers: headers("", &[]),
            status: 400,
            code: -32602,
        },
        Wrong {
            what: "no method header",
            message: good(),
            headers: headers("Mcp-Method", &[]),
            status: 400,
            code: -32020,
        },
        Wrong {
            what: "another method",
            message: good(),
            headers: headers("Mcp-Method", &[("Mcp-Method", "tools/list")]),
            status: 400,
            code: -32020,
        },
        Wrong {
            what: "no name header",
            message: good(),
            headers: headers("Mcp-Name", &[]),
            status: 400,
            code: -32020,
        },
        Wrong {
            what: "another name",
            message: good(),
            headers: headers("Mcp-Name", &[("Mcp-Name", "memory_add")]),
            status: 400,
            code: -32020,
        },
        Wrong {
            what: "another version",
            message: good(),
            headers: headers(version, &[(version, "2025-11-25")]),
            status: 400,
            code: -32020,
        },
        Wrong {
            what: "no version header",
            message: good(),
            headers: headers(version, &[]),
            status: 400,
            code: -32020,
        },
        Wrong {
            what: "an unknown version",
            message: unsupported,
            headers: headers(version, &[(version, "2099-01-01")]),
            status: 400,
            code: -32022,
        },
    ];
    let server = Server::memory(HttpConfig::default()).await;
    for row in rows {
        let mut connection = Http::connect(server.address).await;
        let body = row.message.to_string();
        connection.request("POST", "/mcp", &row.headers, body).await;
        let response = connection.response().await;
        assert_eq!(response.status(), row.status, "{}: {response:?}", row.what);
        assert_eq!(
            response.code(),
            Some(row.code),
            "{}: {response:?}",
            row.what
        );
        if row.code == -32022 {
            let data = &response.message()["error"]["data"];
            assert_eq!(data["requested"], "2099-01-01", "{data}");
            assert!(
                data["supported"]
                    .as_array()
                    .unwrap()
                    .contains(&json!(MODERN)),
                "{data}"
            );
        }
    }
}

async fn ask(address: SocketAddr, message: &Value) -> Response {
    post_modern(&mut Http::connect(address).await, message).await
}

#[tokio::test]
async fn errors_have_the_http_status_of_the_modern_era() {
    let server = Server::memory(HttpConfig::default()).await;
    for (message, status, code) in [
        (modern(1, "nonsense", &json!({})), 404, -32601),
        (modern(1, "prompts/list", &json!({})), 404, -32601),
        (modern(1, "ping", &json!({})), 404, -32601),
        (
            modern(1, "logging/setLevel", &json!({"level": "info"})),
            404,
            -32601,
        ),
        (
            modern(1, "resources/subscribe", &json!({"uri": "a"})),
            404,
            -32601,
        ),
        (
            modern(1, "tools/call", &json!({"name": "unknown"})),
            200,
            -32602,
        ),
        (
            modern(1, "tools/list", &json!({"cursor": "odd"})),
            200,
            -32602,
        ),
    ] {
        let response = ask(server.address, &message).await;
        assert_eq!(
            (response.status(), response.code()),
            (status, Some(code)),
            "{message}: {response:?}"
        );
    }
}

#[tokio::test]
async fn an_encoded_name_is_the_name() {
    let server = Server::memory(HttpConfig::default()).await;
    let message = modern(
        1,
        "tools/call",
        &json!({"name": "memory_get", "arguments": {"id": "a"}}),
    );
    let mut headers = modern_headers(&message);
    headers.retain(|(name, _)| *name != "Mcp-Name");
    headers.push(("Mcp-Name", "=?base64?bWVtb3J5X2dldA==?="));
    let mut connection = Http::connect(server.address).await;
    let body = message.to_string();
    connection.request("POST", "/mcp", &headers, body).await;
    let response = connection.response().await;
    assert_eq!(response.status(), 200, "{response:?}");
}

#[tokio::test]
async fn every_older_revision_can_open_a_session() {
    let server = Server::memory(HttpConfig::default()).await;
    for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut connection = Http::connect(server.address).await;
        let body = initialize(version).to_string();
        connection
            .request("POST", "/mcp", &[JSON, ACCEPT], body)
            .await;
        let response = connection.response().await;
        assert_eq!(response.message()["result"]["protocolVersion"], version);
        let session = response.head.header("mcp-session-id").unwrap().to_owned();
        let call = json!({"name": "memory_search", "arguments": {"query": "a"}});
        let mut headers = vec![JSON, ACCEPT, ("Mcp-Session-Id", session.as_str())];
        if version > "2025-03-26" {
            headers.push(("MCP-Protocol-Version", version));
        }
        let body = request(1, "tools/call", &call).to_string();
        connection.request("POST", "/mcp", &headers, body).await;
        let response = connection.response().await;
        assert_eq!(
            response.message()["result"]["isError"],
            false,
            "{version}: {response:?}"
        );
    }
}
