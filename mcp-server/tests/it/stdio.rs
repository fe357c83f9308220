//! Standard input and output: one line a message, nothing but messages, and an end that answers.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    WriteLock,
    mcp::{LEGACY, initialize, initialized, modern, request},
    process::folder,
    stdio::Pipe,
};

const AT_ONCE: Duration = Duration::from_secs(2);

fn add(id: u64, content: &str) -> Value {
    let params = json!({"name": "memory_add", "arguments": {"content": content}});
    modern(id, "tools/call", &params)
}

fn list(id: u64) -> Value {
    modern(id, "tools/list", &json!({}))
}

async fn assert_answers(pipe: &mut Pipe, id: u64) {
    pipe.send(&list(id)).await;
    let response = pipe.receive().await;
    assert_eq!(response["id"], id, "{response}");
    assert!(response["result"]["tools"].is_array(), "{response}");
}

async fn assert_exits(pipe: &mut Pipe) {
    let exit = tokio::time::timeout(AT_ONCE, pipe.exit()).await;
    assert_eq!(exit.expect("nothing to wait for").code(), Some(0));
}

#[tokio::test]
async fn a_line_that_is_no_message_is_answered_and_life_goes_on() {
    let dir = folder();
    let rows: &[(&[u8], i64, Value)] = &[
        (b"junk", -32700, Value::Null),
        (b"{", -32700, Value::Null),
        (
            b"{\"jsonrpc\": \"2.0\", \"method\": \"\xff\xfe\"}",
            -32700,
            Value::Null,
        ),
        (b"\x00\x01\x02", -32700, Value::Null),
        (b"[]", -32600, Value::Null),
        (b"{}", -32600, Value::Null),
        (b"5", -32600, Value::Null),
        (
            br#"{"jsonrpc": "2.0", "id": null, "method": "ping"}"#,
            -32600,
            Value::Null,
        ),
        (br#"{"jsonrpc": "2.0", "id": 9}"#, -32600, json!(9)),
        (
            br#"{"jsonrpc": "2.0", "id": 9, "method": "a", "params": []}"#,
            -32600,
            json!(9),
        ),
    ];
    // Before the first message, in a session, and in the era without one.
    for era in ["none", "legacy", "modern"] {
        let mut pipe = Pipe::start(dir.path(), &[]);
        match era {
            "legacy" => {
                pipe.send(&initialize(LEGACY)).await;
                pipe.receive().await;
                pipe.send(&initialized()).await;
            }
            "modern" => assert_answers(&mut pipe, 1).await,
            _ => {}
        }
        for (line, code, id) in rows {
            pipe.write([line, b"\n".as_slice()].concat()).await;
            let response = pipe.receive().await;
            let line = String::from_utf8_lossy(line);
            assert_eq!(response["error"]["code"], *code, "{era} {line}: {response}");
            assert_eq!(response["id"], *id, "{era} {line}: {response}");
        }
        match era {
            "legacy" => {
                pipe.send(&request(5, "tools/list", &json!({}))).await;
                assert_eq!(pipe.receive().await["id"], 5);
            }
            _ => assert_answers(&mut pipe, 5).await,
        }
        pipe.close_input();
        assert_eq!(pipe.next().await, None);
        assert_exits(&mut pipe).await;
    }
}

#[tokio::test]
async fn line_ends_are_taken_as_they_come() {
    let dir = folder();
    let mut pipe = Pipe::start(dir.path(), &[]);
    pipe.write(format!("\n\r\n   \n{}\r\n\n", list(1))).await;
    assert_eq!(pipe.receive().await["id"], 1);
    let message = list(2).to_string();
    let (start, end) = message.split_at(30);
    pipe.write(start).await;
    pipe.write(format!("{end}\n{}\n{}\n", list(3), list(4)))
        .await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(pipe.receive().await["id"].as_u64().unwrap());
    }
    ids.sort_unstable();
    assert_eq!(ids, [2, 3, 4]);
    // A last line without an end counts, too.
    pipe.write(list(5).to_string()).await;
    pipe.close_input();
    assert_eq!(pipe.receive().await["id"], 5);
    assert_eq!(pipe.next().await, None);
    assert_exits(&mut pipe).await;
}

#[tokio::test]
async fn a_line_that_is_too_long_is_refused_and_skipped() {
    let dir = folder();
    let limit = [("MCP_SERVER__STDIO__LINE_BYTES_MAX", "4096")];
    let mut pipe = Pipe::start(dir.path(), &limit);
    for bytes in [4097, 1_000_000] {
        pipe.write("x".repeat(bytes) + "\n").await;
        let response = pipe.receive().await;
        assert_eq!(response["error"]["code"], -32600, "{response}");
        let message = response["error"]["message"].as_str().unwrap();
        assert!(message.contains("stdio.line_bytes_max"), "{message}");
    }
    assert_answers(&mut pipe, 1).await;
}

#[tokio::test]
async fn ten_megabytes_are_refused_by_their_limit() {
    let dir = folder();
    let mut pipe = Pipe::start(dir.path(), &[]);
    pipe.send(&add(1, &"x".repeat(10 * 1024 * 1024))).await;
    let response = pipe.receive().await;
    let text = response["result"]["content"][0]["text"].as_str().unwrap();
    assert_eq!(response["result"]["isError"], true);
    assert!(
        text.contains("content: 10485760 bytes are more than the limit"),
        "{text}"
    );
    assert_answers(&mut pipe, 2).await;
}

#[tokio::test]
async fn the_end_of_the_input_waits_for_the_answers() {
    let dir = folder();
    let mut pipe = Pipe::start(dir.path(), &[]);
    assert_answers(&mut pipe, 100).await;
    let lock = WriteLock::take(dir.path());
    for id in 0..20 {
        pipe.send(&add(id, &format!("last words {id}"))).await;
    }
    pipe.close_input();
    drop(lock);
    let mut ids = Vec::new();
    while let Some(response) = pipe.next().await {
        assert_eq!(response["result"]["isError"], false, "{response}");
        ids.push(response["id"].as_u64().unwrap());
    }
    ids.sort_unstable();
    assert_eq!(ids, (0..20).collect::<Vec<_>>());
    assert_exits(&mut pipe).await;
}

#[tokio::test]
async fn an_input_that_ends_before_it_began_is_fine() {
    let dir = folder();
    for start in ["", "\n\n", "junk"] {
        let mut pipe = Pipe::start(dir.path(), &[]);
        pipe.write(start).await;
        pipe.close_input();
        while pipe.next().await.is_some() {}
        assert_exits(&mut pipe).await;
    }
}

#[tokio::test]
async fn a_signal_waits_for_the_answers() {
    for signal in ["TERM", "INT"] {
        let dir = folder();
        let mut pipe = Pipe::start(dir.path(), &[]);
        assert_answers(&mut pipe, 100).await;
        let lock = WriteLock::take(dir.path());
        for id in 0..20 {
            pipe.send(&add(id, &format!("in flight {id}"))).await;
        }
        // Read after them, answered before them: so they are in flight.
        assert_answers(&mut pipe, 101).await;
        pipe.signal(signal);
        pipe.log.line("stopping").await;
        drop(lock);
        let mut answered = 0;
        while let Some(response) = pipe.next().await {
            assert_eq!(response["result"]["isError"], false, "{response}");
            answered += 1;
        }
        assert_eq!(answered, 20);
        assert_exits(&mut pipe).await;
    }
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let dir = folder();
    let mut pipe = Pipe::start(dir.path(), &[]);
    assert_answers(&mut pipe, 100).await;
    let _lock = WriteLock::take(dir.path());
    pipe.send(&add(1, "never")).await;
    assert_answers(&mut pipe, 101).await;
    pipe.signal("TERM");
    pipe.log.line("stopping").await;
    pipe.signal("TERM");
    let exit = tokio::time::timeout(AT_ONCE, pipe.exit()).await;
    assert_eq!(exit.expect("at once").code(), Some(130));
}

#[tokio::test]
async fn a_call_that_never_ends_is_cut_off() {
    let dir = folder();
    let short = [("MCP_SERVER__STDIO__DRAIN_TIMEOUT", "100ms")];
    let mut pipe = Pipe::start(dir.path(), &short);
    assert_answers(&mut pipe, 100).await;
    let lock = WriteLock::take(dir.path());
    pipe.send(&add(1, "never")).await;
    pipe.close_input();
    pipe.log.line("cut off").await;
    pipe.log.line("stopped").await;
    drop(lock);
    assert_eq!(pipe.next().await, None);
    pipe.exit().await;
}

#[tokio::test]
async fn a_closed_output_is_the_end() {
    let dir = folder();
    for legacy in [true, false] {
        let mut pipe = Pipe::start(dir.path(), &[]);
        match legacy {
            true => {
                pipe.send(&initialize(LEGACY)).await;
                pipe.receive().await;
            }
            false => assert_answers(&mut pipe, 1).await,
        }
        // Nothing needs to be written for that to be seen.
        pipe.close_output();
        assert_exits(&mut pipe).await;
    }
}

/// Node.js gives its children sockets; reading those holds a thread that nothing can wake.
#[tokio::test]
async fn sockets_end_as_pipes_do() {
    let dir = folder();
    for end in ["TERM", "input", "output"] {
        let mut pipe = Pipe::start_on_sockets(dir.path());
        assert_answers(&mut pipe, 1).await;
        match end {
            "input" => pipe.close_input(),
            "output" => pipe.close_output(),
            signal => pipe.signal(signal),
        }
        assert_exits(&mut pipe).await;
    }
}

#[tokio::test]
async fn a_cancelled_call_is_not_answered_and_not_waited_for() {
    let dir = folder();
    let mut pipe = Pipe::start(dir.path(), &[]);
    assert_answers(&mut pipe, 100).await;
    let lock = WriteLock::take(dir.path());
    pipe.send(&add(1, "cancelled")).await;
    assert_answers(&mut pipe, 101).await;
    let params = json!({"requestId": 1, "reason": "a change of mind"});
    let method = "notifications/cancelled";
    pipe.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}))
        .await;
    assert_answers(&mut pipe, 102).await;
    pipe.close_input();
    assert_eq!(pipe.next().await, None);
    drop(lock);
    assert_exits(&mut pipe).await;
}

/// With nobody to read the answers, nobody waits for the calls.
#[tokio::test]
async fn a_closed_output_is_the_end_for_calls_in_flight_too() {
    let dir = folder();
    let short = [("MCP_SERVER__MEMORY__SQLITE__BUSY_TIMEOUT", "1s")];
    let mut pipe = Pipe::start(dir.path(), &short);
    assert_answers(&mut pipe, 100).await;
    let _lock = WriteLock::take(dir.path());
    pipe.send(&add(1, "unheard")).await;
    assert_answers(&mut pipe, 101).await;
    pipe.close_output();
    assert_exits(&mut pipe).await;
}

#[tokio::test]
async fn a_request_too_many_is_refused_at_once() {
    let dir = folder();
    let limit = [("MCP_SERVER__STDIO__REQUESTS_IN_FLIGHT_MAX", "2")];
    let mut pipe = Pipe::start(dir.path(), &limit);
    assert_answers(&mut pipe, 100).await;
    let lock = WriteLock::take(dir.path());
    for id in 1..=3 {
        pipe.send(&add(id, "a")).await;
    }
    let refused = pipe.receive().await;
    assert_eq!(
        (&refused["id"], &refused["error"]["code"]),
        (&json!(3), &json!(-32000))
    );
    drop(lock);
    for _ in 0..2 {
        assert_eq!(pipe.receive().await["result"]["isError"], false);
    }
    assert_answers(&mut pipe, 101).await;
}

#[tokio::test]
async fn even_the_most_talkative_log_stays_off_the_output() {
    let dir = folder();
    let log = [("MCP_SERVER__LOG__FILTER", "trace")];
    let mut pipe = Pipe::start(dir.path(), &log);
    // Every line is checked to be a message as it is read.
    assert_answers(&mut pipe, 1).await;
    pipe.send(&add(2, "quiet")).await;
    assert_eq!(pipe.receive().await["id"], 2);
    pipe.close_input();
    assert_eq!(pipe.next().await, None);
    assert_exits(&mut pipe).await;
}
