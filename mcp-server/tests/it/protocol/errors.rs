//! Wrong calls: a result for the model where a tool is at fault with its arguments, an error of the
//! protocol where there is no such thing.

use serde_json::json;

use super::Ways;

#[tokio::test]
async fn a_wrong_call_is_a_result_that_says_what_is_wrong() {
    let long = "x".repeat(1024 * 1024 + 1);
    let id = "0".repeat(200);
    let operations = vec![json!({"type": "get", "data": {"id": "a"}}); 51];
    let rows = [
        ("memory_add", json!({}), "missing field `content`"),
        (
            "memory_add",
            json!({"content": 5}),
            "content: invalid type: integer `5`",
        ),
        (
            "memory_add",
            json!({"content": null}),
            "content: invalid type: null",
        ),
        (
            "memory_add",
            json!({"content": "a", "tag": "b"}),
            "unknown field `tag`",
        ),
        (
            "memory_add",
            json!({"content": "a", "tags": "b"}),
            "tags: invalid type",
        ),
        (
            "memory_add",
            json!({"content": "a", "tags": ["b", 1]}),
            "tags[1]: invalid type",
        ),
        (
            "memory_add",
            json!({"content": "a", "metadata": []}),
            "metadata: invalid type",
        ),
        (
            "memory_add",
            json!({"content": "a", "ttl_seconds": -1}),
            "ttl_seconds: invalid value",
        ),
        (
            "memory_add",
            json!({"content": "a", "ttl_seconds": 0}),
            "ttl_seconds: must be at least 1",
        ),
        (
            "memory_add",
            json!({"content": ""}),
            "content: must not be empty",
        ),
        (
            "memory_add",
            json!({"content": long}),
            "more than the limit of 1048576 bytes",
        ),
        (
            "memory_search",
            json!({"query": " "}),
            "query: must not be empty",
        ),
        (
            "memory_search",
            json!({"query": "a", "limit": 0}),
            "limit: must be from 1 to 100",
        ),
        (
            "memory_search",
            json!({"query": "a", "limit": 101}),
            "limit: must be from 1 to 100",
        ),
        (
            "memory_get",
            json!({"id": "unknown"}),
            "no memory has the id `unknown`",
        ),
        ("memory_get", json!({"id": id}), "id: 200 bytes are more"),
        ("memory_get", json!({"id": ["a"]}), "id: invalid type"),
        (
            "memory_update",
            json!({"id": "unknown", "tags": []}),
            "no memory has the id",
        ),
        ("memory_update", json!({"id": "a"}), "nothing to change"),
        (
            "memory_delete",
            json!({"id": "unknown"}),
            "no memory has the id",
        ),
        (
            "memory_batch",
            json!({"operations": []}),
            "operations: must not be empty",
        ),
        (
            "memory_batch",
            json!({"operations": operations}),
            "51 operations are more than the limit of 50",
        ),
        (
            "memory_batch",
            json!({"operations": {}}),
            "operations: invalid type",
        ),
    ];
    let mut ways = Ways::open().await;
    for client in &mut ways.clients {
        for (tool, arguments, expect) in &rows {
            let result = client.call(tool, arguments.clone()).await;
            let text = result["content"][0]["text"].as_str().unwrap();
            let name = client.name();
            assert_eq!(result["isError"], true, "{name} {tool}: {text}");
            assert!(
                text.contains(expect),
                "{name} {tool}: {text:?}, not {expect:?}"
            );
            assert!(
                result["_meta"]["error"]["code"].is_string(),
                "{name} {tool}: {result}"
            );
        }
        let params = json!({"name": "memory_add"});
        let response = client.request("tools/call", params).await;
        assert_eq!(response["result"]["isError"], true, "{response}");
        client
            .ok("memory_add", json!({"content": "it lives"}))
            .await;
    }
}

#[tokio::test]
async fn what_does_not_exist_is_an_error_of_the_protocol() {
    let mut ways = Ways::open().await;
    for client in &mut ways.clients {
        for (method, params, code) in [
            (
                "tools/call",
                json!({"name": "memory_forget", "arguments": {}}),
                -32602,
            ),
            ("tools/call", json!({"name": ""}), -32602),
            ("prompts/list", json!({}), -32601),
            ("prompts/get", json!({"name": "a"}), -32601),
            ("resources/subscribe", json!({"uri": "test://a"}), -32601),
            ("resources/unsubscribe", json!({"uri": "test://a"}), -32601),
            ("logging/setLevel", json!({"level": "info"}), -32601),
            ("logging/setLevel", json!({"level": 5}), -32601),
            (
                "completion/complete",
                json!({"ref": {"type": "ref/prompt", "name": "a"},
                "argument": {"name": "a", "value": ""}}),
                -32601,
            ),
            ("tasks/get", json!({"taskId": "a"}), -32601),
            ("nonsense", json!({}), -32601),
            ("", json!({}), -32601),
        ] {
            let response = client.request(method, params).await;
            let name = client.name();
            assert_eq!(
                response["error"]["code"], code,
                "{name} {method}: {response}"
            );
            assert!(
                !response["error"]["message"].as_str().unwrap().is_empty(),
                "{name} {method}"
            );
        }
        let response = client.request("tools/list", json!({})).await;
        assert!(response["result"].is_object(), "it lives: {response}");
    }
}
