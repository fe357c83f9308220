//! The front against rmcp: thousands of requests, right and wrong, must get the same answers from
//! both. The front may leave a request to rmcp; what it takes it must answer as rmcp does.

use mcp_server::{
    app::App,
    call::Call,
    config::{Config, HttpConfig},
    protocol::{Envelope, Front},
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config as Cases, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};

use crate::support::{
    PATIENCE,
    http::Http,
    mcp::{ACCEPT, JSON},
    process::folder,
    server::Server,
};

const REQUESTS: usize = 4_000;
const META: &str = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"}}"#;

/// A request as it goes over the wire.
#[derive(Debug, Clone)]
struct Draft {
    headers: Vec<(String, String)>,
    body: String,
}

#[tokio::test]
async fn the_front_answers_as_rmcp_does() {
    let folder = folder();
    let mut config = Config::default();
    config.memory.data_dir = Some(folder.path().to_owned());
    config.memory.operation_timeout = PATIENCE;
    let app = App::build(&config).await.unwrap();
    let front = app.front().unwrap();
    let server = Server::start(app.handler(), HttpConfig::default()).await;

    let id = seeded(&front).await;
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Cases::default(), rng);
    let drafts = draft(&id);
    let (mut taken, mut connection) = (0, Http::connect(server.address).await);
    for _ in 0..REQUESTS {
        let draft = drafts.new_tree(&mut runner).unwrap().current();
        let Some(fast) = answer(&front, &draft).await else {
            continue;
        };
        taken += 1;
        let headers: Vec<_> = borrowed(&draft);
        connection
            .request("POST", "/mcp", &headers, &draft.body)
            .await;
        let slow = connection.response().await;
        assert_eq!(slow.head.status, 200, "{draft:?}\n{}", slow.body);
        let slow = serde_json::from_str(&slow.body).unwrap();
        assert_eq!(comparable(fast), comparable(slow), "{draft:?}");
    }
    // Neither everything nor nothing: then the drafts would show little.
    assert!((REQUESTS / 4..REQUESTS * 3 / 4).contains(&taken), "{taken}");
    server.stop().await;
    app.close().await;
}

/// Stores a memory, through the front, and returns its id.
async fn seeded(front: &Front) -> String {
    let add =
        r#"{"content":"a \"quoted\" walrus\n\u00e9","tags":["t"],"metadata":{"a":[1,2.5e3,null]}}"#;
    let draft = call("1", "memory_add", "memory_add", add, META, "");
    let stored = answer(front, &draft).await.unwrap();
    let id = &stored["result"]["structuredContent"]["id"];
    id.as_str().unwrap().to_owned()
}

async fn answer(front: &Front, draft: &Draft) -> Option<Value> {
    let envelope = Envelope::parse(draft.body.as_bytes()).ok()?;
    let headers = draft.headers.iter().map(|(name, value)| {
        let name: http::HeaderName = name.parse().unwrap();
        (name, value.parse().unwrap())
    });
    let answer = front
        .answer(&headers.collect(), &envelope, Call::local())
        .await?;
    Some(serde_json::from_slice(&answer).unwrap())
}

fn borrowed(draft: &Draft) -> Vec<(&str, &str)> {
    let pairs = draft.headers.iter();
    pairs
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

/// An answer without what differs between any two calls, and with its text read as JSON.
pub(crate) fn comparable(mut answer: Value) -> Value {
    let result = &mut answer["result"];
    if let Some(meta) = result.get_mut("_meta").and_then(Value::as_object_mut) {
        // Whoever asks second may be answered by the cache.
        for name in ["cached", "response_time_ms", "performance_target_met"] {
            if let Some(told) = meta.get_mut(name) {
                *told = json!(name);
            }
        }
    }
    if let Some(text) = result.pointer_mut("/content/0/text")
        && let Ok(mut value) = serde_json::from_str(text.as_str().unwrap())
    {
        forget_what_is_new(&mut value);
        *text = value;
    }
    if let Some(value) = result.get_mut("structuredContent") {
        forget_what_is_new(value);
    }
    answer
}

/// Ids, versions and times of what a call has just written.
fn forget_what_is_new(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for name in ["id", "version", "created_at", "updated_at", "score"] {
                if let Some(member) = members.get_mut(name) {
                    *member = json!(name);
                }
            }
            members.values_mut().for_each(forget_what_is_new);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_what_is_new),
        _ => {}
    }
}

/// Mostly right; one part in a few is not.
fn draft(id: &str) -> impl Strategy<Value = Draft> + use<> {
    let headers = prop_oneof![
        6 => Just(None),
        1 => prop::sample::select(HEADERS).prop_map(Some),
    ];
    (request(id), headers).prop_map(|(mut draft, header)| {
        if let Some((name, value)) = header {
            if let Some(name) = name.strip_prefix('+') {
                draft.headers.push((name.to_owned(), value.to_owned()));
            } else {
                draft.headers.retain(|(kept, _)| kept != name);
                if !value.is_empty() {
                    draft.headers.push((name.to_owned(), value.to_owned()));
                }
            }
        }
        draft
    })
}

/// Headers to put in the place of the right ones; `+` adds one, an empty value takes one away.
const HEADERS: &[(&str, &str)] = &[
    ("Accept", ""),
    ("Accept", "*/*"),
    ("Accept", "application/json"),
    ("Accept", "text/event-stream, APPLICATION/JSON"),
    ("Accept", "application/json;q=0, text/event-stream"),
    ("+Accept", "application/json, text/event-stream"),
    ("Mcp-Method", ""),
    ("Mcp-Method", "tools/list"),
    ("+Mcp-Method", "tools/call"),
    ("Mcp-Name", ""),
    ("Mcp-Name", "memory_delete"),
    ("Mcp-Name", "=?base64?bWVtb3J5X2dldA==?="),
    ("+Mcp-Name", "memory_get"),
    ("MCP-Protocol-Version", ""),
    ("MCP-Protocol-Version", "2025-11-25"),
    ("MCP-Protocol-Version", "2030-01-01"),
    ("+Mcp-Session-Id", "x"),
    ("+Mcp-Param-Query", "x"),
    (
        "+traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ),
];

fn request(id: &str) -> impl Strategy<Value = Draft> + use<> {
    let request_id = mostly(
        "7",
        &[
            r#""s""#,
            r#""\u00e9\n""#,
            "-3",
            "0",
            "9007199254740993",
            "1.5",
            "null",
        ],
    );
    let meta = mostly(
        META,
        &[
            "{}",
            "null",
            r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#,
            r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":[]}"#,
            r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{}}},"x/y":1}"#,
            r#"{"io.modelcontextprotocol/protocolVersion":"2025-11-25","io.modelcontextprotocol/clientCapabilities":{}}"#,
            r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"progressToken":1}"#,
            r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/logLevel":"info"}"#,
            r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":7}"#,
        ],
    );
    let extra = mostly(
        "",
        &[
            r#","requestState":"x""#,
            r#","inputResponses":{}"#,
            r#","cursor":"x""#,
            r#","name":"memory_get""#,
        ],
    );
    let other = prop::sample::select(vec![
        "tools/list",
        "server/discover",
        "ping",
        "nope",
        "memory/search",
    ]);
    prop_oneof![
        5 => (request_id.clone(), arguments(id), meta.clone(), extra.clone())
            .prop_map(|(id, (name, arguments), meta, extra)| {
                let plain = name.replace(r"\u005f", "_");
                call(&id, &plain, &name, &arguments, &meta, &extra)
            }),
        1 => (request_id, other, meta, extra).prop_map(|(id, method, meta, extra)| Draft {
            headers: headers(method, None),
            body: format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{"_meta":{meta}{extra}}}}}"#),
        }),
    ]
}

fn mostly(
    right: &'static str,
    others: &'static [&'static str],
) -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        8 => Just(right),
        1 => prop::sample::select(others),
    ]
    .prop_map(str::to_owned)
}

/// A tool, spelled somehow, and arguments for it, right or wrong.
fn arguments(id: &str) -> impl Strategy<Value = (String, String)> + use<> {
    let right = vec![
        ("memory_get", format!(r#"{{"id":"{id}"}}"#)),
        ("memory_search", r#"{"query":"walrus"}"#.to_owned()),
        (
            "memory_search",
            r#" { "query" : "WALRUS quoted", "limit" : 3 , "tags":["t"]} "#.to_owned(),
        ),
        (
            "memory_add",
            r#"{"content":"of no interest \ud83e\udd80","ttl_seconds":1000}"#.to_owned(),
        ),
        (
            "memory_update",
            format!(r#"{{"id":"{id}","metadata":{{"n":[[[]]]}}}}"#),
        ),
        (
            "memory_batch",
            format!(
                r#"{{"operations":[{{"type":"get","data":{{"id":"{id}"}}}},{{"type":"nope"}}]}}"#
            ),
        ),
        (r"memory\u005fsearch", r#"{"query":"walrus"}"#.to_owned()),
    ];
    let wrong = [
        ("memory_get", r#"{"id":"unknown"}"#),
        ("memory_delete", r#"{"id":"unknown"}"#),
        ("memory_get", r#"{"id":"a","id":"b"}"#),
        ("memory_get", "{}"),
        ("memory_get", "null"),
        ("memory_get", "[]"),
        ("memory_get", r#"{"id":7}"#),
        ("memory_search", r#"{"query":""}"#),
        ("memory_search", r#"{"query":"a","limit":-1}"#),
        ("memory_search", r#"{"query":"a","limit":1e1}"#),
        ("memory_search", r#"{"query":"a","what":1}"#),
        ("memory_add", r#"{"content":""}"#),
        ("memory_add", r#"{"content":"\ud800"}"#),
        ("memory_batch", r#"{"operations":[]}"#),
        ("nope", "{}"),
    ];
    let wrong = wrong.map(|(name, arguments)| (name, arguments.to_owned()));
    prop_oneof![
        3 => prop::sample::select(right),
        1 => prop::sample::select(wrong.to_vec()),
        1 => nested(),
    ]
    .prop_map(|(name, arguments)| (name.to_owned(), arguments))
}

/// Metadata of any depth, up to what a parser refuses and beyond.
fn nested() -> impl Strategy<Value = (&'static str, String)> {
    (1_usize..200).prop_map(|depth| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        let arguments = format!(r#"{{"content":"deep","metadata":{{"n":{open}{close}}}}}"#);
        ("memory_add", arguments)
    })
}

fn call(id: &str, header: &str, name: &str, arguments: &str, meta: &str, extra: &str) -> Draft {
    Draft {
        headers: headers("tools/call", Some(header)),
        body: format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{name}","arguments":{arguments},"_meta":{meta}{extra}}}}}"#
        ),
    }
}

fn headers(method: &str, name: Option<&str>) -> Vec<(String, String)> {
    let mut headers = vec![
        (JSON.0, JSON.1),
        (ACCEPT.0, ACCEPT.1),
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", method),
    ];
    headers.extend(name.map(|name| ("Mcp-Name", name)));
    let owned = headers.into_iter();
    owned
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
