//! Generated messages: what clients write, and what they should not.

use proptest::prelude::*;

const COMPLETE: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"}}"#;

/// Requests of both eras and between them, mostly right, and lines that are no requests: each gets
/// one answer.
pub(super) fn message(id: &str) -> impl Strategy<Value = String> + use<> {
    let ids = mostly(
        &["7"],
        &[
            r#""s""#,
            r#""\u00e9\n""#,
            "-3",
            "9007199254740993",
            "1.5",
            "null",
        ],
    );
    let metas = mostly(
        &["", COMPLETE],
        &[
            r#""_meta":{}"#,
            r#""_meta":null"#,
            r#""_meta":[]"#,
            r#""_meta":["2026-07-28",{}]"#,
            r#""_meta":{"progressToken":1}"#,
            r#""_meta":{"mcp-server/bypass-cache":true,"x/y":[]}"#,
            r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#,
            r#""_meta":{"io.modelcontextprotocol/clientCapabilities":{}}"#,
            r#""_meta":{"io.modelcontextprotocol/clientInfo":{"name":"x","version":"1"}}"#,
            r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2025-11-25","io.modelcontextprotocol/clientCapabilities":{}}"#,
            r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2030-01-01","io.modelcontextprotocol/clientCapabilities":{}}"#,
            r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"progressToken":"t"}"#,
        ],
    );
    let extras = mostly(
        &[""],
        &[
            r#""requestState":"x""#,
            r#""task":{"ttl":1}"#,
            r#""cursor":"x""#,
            r#""name":"memory_get""#,
        ],
    );
    let methods = mostly(
        &[
            "tools/call",
            "tools/call",
            "tools/call",
            "tools/list",
            "ping",
            "server/discover",
        ],
        &[
            "nope",
            "memory/search",
            "prompts/list",
            "logging/setLevel",
            r"tools\/list",
        ],
    );
    let calls = mostly(
        &[
            &format!(r#""name":"memory_get","arguments":{{"id":"{id}"}}"#),
            r#""name":"memory_search","arguments":{"query":"walrus"}"#,
            r#""name":"memory_search","arguments": {"limit":3, "query" : "WALRUS" } "#,
            r#""name":"memory_add","arguments":{"content":"new \ud83e\udd80"}"#,
            &format!(
                r#""name":"memory_batch","arguments":{{"operations":[{{"type":"get","data":{{"id":"{id}"}}}}]}}"#
            ),
        ],
        &[
            r#""name":"memory_get","arguments":{"id":"unknown"}"#,
            r#""name":"memory_get","arguments":{"id":"a","id":"b"}"#,
            r#""name":"memory_get""#,
            r#""name":"memory_get","arguments":null"#,
            r#""name":"memory_get","arguments":[]"#,
            r#""name":"memory_search","arguments":{"query":"a","limit":-1}"#,
            r#""name":"memory_add","arguments":{"content":"\ud800"}"#,
            r#""name":"nope","arguments":{}"#,
            r#""name":7"#,
            "",
        ],
    );
    let requests =
        (ids, methods, calls, metas, extras).prop_map(|(id, method, call, meta, extra)| {
            let call = if method == "tools/call" {
                call
            } else {
                String::new()
            };
            let parts = [call, meta, extra];
            let params: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            let params = match params.as_slice() {
                [] => String::new(),
                parts => format!(r#","params":{{{}}}"#, parts.join(",")),
            };
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"{params}}}"#)
        });
    let deep = (1_usize..200).prop_map(|depth| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"memory_add","arguments":{{"content":"deep","metadata":{{"n":{open}{close}}}}}}}}}"#)
    });
    let junk = mostly(&["junk", "{}", "[]"], &["{", r#"{"jsonrpc":"2.0","id":1}"#]);
    prop_oneof![20 => requests, 1 => deep, 1 => junk]
}

fn mostly(right: &[&str], others: &[&str]) -> impl Strategy<Value = String> + use<> {
    let owned = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>()
    };
    prop_oneof![
        6 => prop::sample::select(owned(right)),
        1 => prop::sample::select(owned(others)),
    ]
}
