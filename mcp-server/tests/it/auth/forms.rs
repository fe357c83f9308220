//! What a request without the right token is answered, and what it does not do.

use mcp_server::{auth::Scope, config::HttpConfig};
use serde_json::{Value, json};

use super::{bearer, post_as, send_in_session};
use crate::support::{
    http::{Http, Response},
    mcp::{ACCEPT, JSON, LEGACY, initialize, modern, modern_headers, request},
    server::Server,
};

const WRITER: (&str, Scope) = ("ann", Scope::Write);
const READER: (&str, Scope) = ("ann", Scope::Read);

fn required() -> HttpConfig {
    HttpConfig {
        require_token: true,
        ..HttpConfig::default()
    }
}

fn list() -> Value {
    modern(1, "tools/list", &json!({}))
}

fn add(id: u64, content: &str) -> Value {
    let arguments = json!({"content": content});
    modern(
        id,
        "tools/call",
        &json!({"name": "memory_add", "arguments": arguments}),
    )
}

/// The challenge of a refusal.
fn challenge(response: &Response) -> &str {
    let challenge = response.head.header("www-authenticate");
    challenge.unwrap_or_else(|| panic!("no challenge: {response:?}"))
}

#[tokio::test]
async fn without_a_token_only_life_is_told() {
    let (server, tokens) = Server::with_tokens(required(), &[WRITER]).await;
    let mut connection = Http::connect(server.address).await;
    for (method, path, status) in [
        ("POST", "/mcp", 401),
        ("POST", "/mcp/cursor", 401),
        ("GET", "/mcp", 401),
        ("DELETE", "/mcp", 401),
        ("OPTIONS", "/mcp", 401),
        ("GET", "/", 401),
        ("GET", "/metrics", 401),
        ("GET", "/healthz/..", 401),
        ("GET", "//healthz", 401),
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("GET", "/.well-known/oauth-protected-resource", 404),
    ] {
        let message = list();
        let headers = modern_headers(&message);
        connection
            .request(method, path, &headers, message.to_string())
            .await;
        let response = connection.response().await;
        assert_eq!(response.status(), status, "{method} {path}: {response:?}");
        if status == 401 {
            let challenge = challenge(&response);
            assert!(challenge.starts_with("Bearer realm="), "{challenge}");
            // Nothing was tried, so nothing was wrong with it.
            assert!(!challenge.contains("error"), "{challenge}");
            assert!(
                response.body.contains("mcp-server token add"),
                "{response:?}"
            );
        }
    }
    let answer = post_as(&mut connection, &tokens[0], &list()).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
}

#[tokio::test]
async fn a_wrong_token_is_refused_even_where_none_is_needed() {
    for config in [required(), HttpConfig::default()] {
        let (server, tokens) = Server::with_tokens(config, &[WRITER]).await;
        let mut connection = Http::connect(server.address).await;
        let good = tokens[0].clone();
        let longer = format!("{good}0");
        for (value, status, error) in [
            (bearer("mcp_0"), 401, "invalid_token"),
            (bearer(&longer), 401, "invalid_token"),
            (bearer(&good[..good.len() - 1]), 401, "invalid_token"),
            (bearer(&good.to_uppercase()), 401, "invalid_token"),
            (good.clone(), 401, "invalid_token"),
            (format!("Basic {good}"), 401, "invalid_token"),
            (String::new(), 401, "invalid_token"),
            ("\u{e9}".to_owned(), 401, "invalid_token"),
            (bearer(&good), 200, ""),
            (format!("bearer   {good}"), 200, ""),
        ] {
            let message = list();
            let mut headers = modern_headers(&message);
            headers.push(("Authorization", &value));
            connection
                .request("POST", "/mcp", &headers, message.to_string())
                .await;
            let response = connection.response().await;
            assert_eq!(response.status(), status, "{value}: {response:?}");
            if status == 401 {
                let challenge = challenge(&response);
                let expect = format!("error=\"{error}\"");
                assert!(challenge.contains(&expect), "{value}: {challenge}");
            }
        }
    }
}

#[tokio::test]
async fn a_token_is_sent_once_and_never_in_a_query() {
    let (server, tokens) = Server::with_tokens(required(), &[WRITER]).await;
    let mut connection = Http::connect(server.address).await;
    let (value, message) = (bearer(&tokens[0]), list());
    let mut twice = modern_headers(&message);
    twice.extend([("Authorization", value.as_str()); 2]);
    let mut once = modern_headers(&message);
    once.push(("Authorization", &value));
    let query = format!("/mcp?access_token={}", tokens[0]);
    let second = format!("/mcp?a=b&access_token={}", tokens[0]);
    let none = modern_headers(&message);
    for (path, headers) in [
        ("/mcp", &twice),
        (&query, &once),
        (&second, &once),
        (&query, &none),
    ] {
        connection
            .request("POST", path, headers, message.to_string())
            .await;
        let response = connection.response().await;
        assert_eq!(response.status(), 400, "{path}: {response:?}");
        assert!(challenge(&response).contains("error=\"invalid_request\""));
        assert!(!response.body.contains(&tokens[0]), "{response:?}");
    }
}

#[tokio::test]
async fn who_needs_no_token_is_the_tenant_local() {
    let callers = [("local", Scope::Read), ("ann", Scope::Read)];
    let (server, tokens) = Server::with_tokens(HttpConfig::default(), &callers).await;
    let mut connection = Http::connect(server.address).await;
    let message = add(1, "a walrus");
    let headers = modern_headers(&message);
    connection
        .request("POST", "/mcp", &headers, message.to_string())
        .await;
    let added = connection.response().await.message();
    let id = &added["result"]["structuredContent"]["id"];
    assert!(id.is_string(), "{added}");
    let get = json!({"name": "memory_get", "arguments": {"id": id}});
    let get = modern(2, "tools/call", &get);
    let seen = post_as(&mut connection, &tokens[0], &get).await.message();
    assert_eq!(
        seen["result"]["structuredContent"]["content"], "a walrus",
        "{seen}"
    );
    let hidden = post_as(&mut connection, &tokens[1], &get).await.message();
    assert_eq!(
        hidden["result"]["_meta"]["error"]["code"], "not_found",
        "{hidden}"
    );
}

/// Through the front, through rmcp, in a session, and spelled so that the endpoint might miss it.
#[tokio::test]
async fn who_may_read_cannot_write() {
    for front in [true, false] {
        let config = HttpConfig {
            front,
            ..required()
        };
        let (server, tokens) = Server::with_tokens(config, &[WRITER, READER]).await;
        let (writer, reader) = (&tokens[0], &tokens[1]);
        let mut connection = Http::connect(server.address).await;
        let call = |name: &str, arguments: Value| {
            modern(
                7,
                "tools/call",
                &json!({"name": name, "arguments": arguments}),
            )
        };
        let content = json!({"content": "x"});
        let batch = json!({"operations": [{"type": "add", "data": content}]});
        for message in [
            call("memory_add", content.clone()),
            call("memory_update", json!({"id": "x", "content": "y"})),
            call("memory_delete", json!({"id": "x"})),
            call("memory_batch", batch.clone()),
            call("context_put", json!({"id": "c", "content": "x"})),
            modern(7, "memory/add", &content),
            modern(7, "memory/batch", &batch),
        ] {
            let response = post_as(&mut connection, reader, &message).await;
            assert_eq!(response.status(), 403, "{message}: {response:?}");
            assert_eq!(response.message()["id"], 7, "{response:?}");
            let challenge = challenge(&response);
            for part in ["error=\"insufficient_scope\"", "scope=\"write\""] {
                assert!(challenge.contains(part), "{challenge}");
            }
        }
        for message in [
            list(),
            call("memory_search", json!({"query": "x"})),
            call("context_list", json!({})),
            modern(7, "memory/search", &json!({"query": "x"})),
        ] {
            let response = post_as(&mut connection, reader, &message).await;
            assert_eq!(response.status(), 200, "{message}: {response:?}");
            assert!(response.message()["result"].is_object(), "{response:?}");
        }
        for odd in [
            add(7, "x")
                .to_string()
                .replace("memory_add", r"memory\u005fadd"),
            add(7, "x").to_string().replace(
                r#""name":"memory_add""#,
                r#""name":"memory_get","name":"memory_add""#,
            ),
            add(7, "x").to_string().replace(
                r#""name":"memory_add""#,
                r#""name":"memory_add","name":"memory_get""#,
            ),
        ] {
            let (value, message) = (bearer(reader), add(7, "x"));
            let mut headers = modern_headers(&message);
            headers.push(("Authorization", &value));
            connection.request("POST", "/mcp", &headers, &odd).await;
            let response = connection.response().await;
            assert!(
                response.message()["error"].is_object(),
                "{odd}: {response:?}"
            );
        }

        let session = open_session_as(&mut connection, reader).await;
        let params = json!({"name": "memory_add", "arguments": content});
        let body = request(7, "tools/call", &params).to_string();
        let refused = send_in_session(&mut connection, reader, "POST", &session, &body).await;
        assert_eq!(refused.status(), 403, "{refused:?}");
        // Each request counts by itself: the same session, a better token of the same tenant.
        let done = send_in_session(&mut connection, writer, "POST", &session, &body).await;
        assert_eq!(done.message()["result"]["isError"], false, "{done:?}");

        let search = call("memory_search", json!({"query": "x"}));
        let found = post_as(&mut connection, writer, &search).await.message();
        let memories = found["result"]["structuredContent"]["memories"].as_array();
        assert_eq!(
            memories.map(Vec::len),
            Some(1),
            "only one was let through: {found}"
        );
    }
}

pub(super) async fn open_session_as(connection: &mut Http, token: &str) -> String {
    let value = bearer(token);
    let headers = [JSON, ACCEPT, ("Authorization", value.as_str())];
    let body = initialize(LEGACY).to_string();
    connection.request("POST", "/mcp", &headers, body).await;
    let response = connection.response().await;
    let session = response.head.header("mcp-session-id");
    session.expect("a session has an id").to_owned()
}

#[tokio::test]
async fn a_session_of_one_tenant_is_unknown_to_another() {
    let callers = [WRITER, ("bob", Scope::Admin)];
    let (server, tokens) = Server::with_tokens(HttpConfig::default(), &callers).await;
    let (ann, bob) = (&tokens[0], &tokens[1]);
    let mut connection = Http::connect(server.address).await;
    let session = open_session_as(&mut connection, ann).await;
    let body = request(1, "tools/list", &json!({})).to_string();
    for method in ["POST", "DELETE", "GET"] {
        let body = match method {
            "POST" => body.as_str(),
            _ => "",
        };
        let foreign = send_in_session(&mut connection, bob, method, &session, body).await;
        let unknown = send_in_session(&mut connection, bob, method, "unknown", body).await;
        assert_eq!(foreign.status(), 404, "{method}: {foreign:?}");
        let said = |response: Response| (response.status(), response.body);
        assert_eq!(said(foreign), said(unknown), "{method}");
        // Who shows no token is a tenant, too.
        let headers = crate::support::mcp::legacy_headers(&session);
        connection.request(method, "/mcp", &headers, body).await;
        assert_eq!(connection.response().await.status(), 404, "{method}");
    }
    let own = send_in_session(&mut connection, ann, "POST", &session, &body).await;
    assert_eq!(own.status(), 200, "{own:?}");
    let ended = send_in_session(&mut connection, ann, "DELETE", &session, "").await;
    assert_eq!(ended.status(), 204, "{ended:?}");
}

#[tokio::test]
async fn a_page_may_ask_without_a_token_whether_it_may_call() {
    let config = HttpConfig {
        allowed_origins: vec!["https://app.example".to_owned()],
        ..required()
    };
    let (server, _) = Server::with_tokens(config, &[WRITER]).await;
    let origin = ("Origin", "https://app.example");
    let ask = [
        origin,
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization"),
    ];
    let mut connection = Http::connect(server.address).await;
    connection.request("OPTIONS", "/mcp", &ask, "").await;
    let leave = connection.head().await;
    assert_eq!(leave.status, 200);
    let headers = leave.header("access-control-allow-headers");
    assert_eq!(headers, Some("authorization"));
    let mut connection = Http::connect(server.address).await;
    connection
        .request("POST", "/mcp", &[origin, JSON], "")
        .await;
    let refused = connection.head().await;
    assert_eq!(refused.status, 401);
    assert!(refused.header("access-control-allow-origin").is_some());
}
