//! What client and server say to each other in a session, beside plain answers: questions,
//! notifications, streams that break and are taken up again, batches.

use std::sync::atomic::Ordering;

use mcp_server::config::HttpConfig;
use serde_json::{Value, json};

use super::talk::{Peer, Talkative, event, message, talkative, text};
use crate::support::{
    WriteLock,
    http::Http,
    mcp::{ACCEPT, JSON, LEGACY, initialize, initialized, legacy_headers, open_session, request},
    process::{Process, folder},
    server::Server,
    until, within,
};

#[tokio::test]
async fn questions_find_their_way_back() {
    let (server, _) = talkative().await;
    let peer = Peer::open(&server).await;
    let mut streams = Vec::new();
    for id in 1..=10 {
        let mut stream = peer.call(id, "ask").await;
        assert!(message(&mut stream).await.data.is_null(), "it is primed");
        let question = message(&mut stream).await.data;
        assert_eq!(question["method"], "roots/list", "{question}");
        streams.push((id, question["id"].clone(), stream));
    }
    // The last one first, and answers to nothing in between.
    streams.reverse();
    for (id, question, _) in &streams {
        let roots = json!({"roots": [{"uri": format!("file:///{id}")}]});
        peer.tell(&json!({"jsonrpc": "2.0", "id": question, "result": roots}))
            .await;
        peer.tell(&json!({"jsonrpc": "2.0", "id": 999, "result": roots}))
            .await;
    }
    for (id, _, mut stream) in streams {
        let answer = message(&mut stream).await;
        assert_eq!(answer.data["id"], id);
        assert_eq!(text(&answer), format!("file:///{id}"));
        assert_eq!(event(&mut stream).await, None);
    }
    let mut stream = peer.call(11, "ask").await;
    message(&mut stream).await;
    let question = message(&mut stream).await.data;
    let error = json!({"code": -1, "message": "no"});
    peer.tell(&json!({"jsonrpc": "2.0", "id": question["id"], "error": error}))
        .await;
    assert!(text(&message(&mut stream).await).starts_with("refused: "));
    server.stop().await;
}

#[tokio::test]
async fn another_session_cannot_answer() {
    let (server, _) = talkative().await;
    let (peer, other) = (Peer::open(&server).await, Peer::open(&server).await);
    let mut stream = peer.call(1, "ask").await;
    message(&mut stream).await;
    let question = message(&mut stream).await.data["id"].clone();
    let answer =
        |uri: &str| json!({"jsonrpc": "2.0", "id": question, "result": {"roots": [{"uri": uri}]}});
    other.tell(&answer("file:///theirs")).await;
    let cancelled = json!({"requestId": 1});
    other
        .tell(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled}))
        .await;
    peer.tell(&answer("file:///ours")).await;
    assert_eq!(text(&message(&mut stream).await), "file:///ours");
    server.stop().await;
}

#[tokio::test]
async fn a_stream_that_broke_goes_on() {
    let (server, handler) = talkative().await;
    let peer = Peer::open(&server).await;
    let mut stream = peer.call(1, "report").await;
    let primed = message(&mut stream).await.id;
    let first = message(&mut stream).await;
    assert_eq!(first.data["params"]["progress"], 1.0);
    drop(stream);
    // The call has not noticed.
    handler.gate.add_permits(1);
    let mut stream = peer.listen(Some(&first.id)).await;
    let mut rest = Vec::new();
    while let Some(event) = event(&mut stream).await {
        rest.push(event);
    }
    assert_eq!(rest.len(), 3, "{rest:?}");
    assert_eq!(text(&rest[2]), "reported");
    // And once more, when all is over.
    let mut stream = peer.listen(Some(&primed)).await;
    assert_eq!(message(&mut stream).await, first);
    for event in rest {
        assert_eq!(message(&mut stream).await, event);
    }
    assert_eq!(event(&mut stream).await, None);
    server.stop().await;
}

#[tokio::test]
async fn what_is_lost_is_a_gap() {
    let config = HttpConfig {
        session_bytes_max: 64 << 10,
        ..HttpConfig::default()
    };
    let server = Server::start(Talkative::new(), config).await;
    let (peer, other) = (Peer::open(&server).await, Peer::open(&server).await);
    let mut stream = peer.call(1, "flood").await;
    let primed = message(&mut stream).await.id;
    while event(&mut stream).await.is_some() {}
    let mut stream = peer.listen(Some(&primed)).await;
    let gap = event(&mut stream).await.unwrap();
    assert_eq!(gap.name, "gap");
    let missed = gap.data["missed"].as_u64().unwrap();
    let mut seen = 0;
    while event(&mut stream).await.is_some() {
        seen += 1;
    }
    // 200 reports and the answer.
    assert_eq!(missed + seen, 201);
    assert!(missed > 100, "{missed}");
    for (peer, last) in [
        (&other, primed.as_str()),
        (&peer, "1-2-3-4"),
        (&peer, "nonsense"),
    ] {
        let mut stream = peer.listen_head(Some(last)).await;
        let head = stream.head().await;
        let lost = stream.rest_of(head).await.body;
        assert_eq!(lost, "event: gap\ndata: {}\n\n", "{last}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_cancelled_call_and_an_ended_session_stop_the_work() {
    let (server, handler) = talkative().await;
    let peer = Peer::open(&server).await;
    let mut streams = Vec::new();
    for id in 1..=2 {
        let mut stream = peer.call(id, "report").await;
        for _ in 0..4 {
            message(&mut stream).await;
        }
        streams.push(stream);
    }
    assert_eq!(handler.working.load(Ordering::SeqCst), 2);
    let params = json!({"requestId": 1});
    peer.tell(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}))
        .await;
    assert_eq!(event(&mut streams[0]).await, None, "it is not answered");
    until("the first to stop", async || {
        (handler.working.load(Ordering::SeqCst) == 1).then_some(())
    })
    .await;

    let mut listening = peer.listen(None).await;
    message(&mut listening).await;
    let mut connection = Http::connect(server.address).await;
    let headers = legacy_headers(&peer.session);
    for status in [204, 404] {
        connection.request("DELETE", "/mcp", &headers, "").await;
        assert_eq!(connection.response().await.status(), status);
    }
    until("the second to stop", async || {
        (handler.working.load(Ordering::SeqCst) == 0).then_some(())
    })
    .await;
    assert_eq!(event(&mut streams[1]).await.unwrap().name, "end");
    for stream in [&mut streams[1], &mut listening] {
        assert_eq!(event(stream).await, None);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_call_that_panics_is_an_error() {
    let (server, _) = talkative().await;
    let peer = Peer::open(&server).await;
    for id in 1..=20 {
        let mut stream = peer.call(id, "panic").await;
        message(&mut stream).await;
        assert_eq!(message(&mut stream).await.data["error"]["code"], -32603);
        let mut stream = peer.call(id, "hello").await;
        message(&mut stream).await;
        assert_eq!(text(&message(&mut stream).await), "hello");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_belongs_to_no_request_comes_on_the_open_stream() {
    let (server, _) = talkative().await;
    let peer = Peer::open(&server).await;
    let mut stream = peer.call(1, "announce").await;
    message(&mut stream).await;
    let answer = message(&mut stream).await;
    assert!(text(&answer).contains("no stream open"), "{answer:?}");

    let mut listening = peer.listen(None).await;
    let primed = message(&mut listening).await;
    // A second one takes nothing from the first.
    let mut second = peer.listen(None).await;
    message(&mut second).await;
    for id in 2..=3 {
        let mut stream = peer.call(id, "announce").await;
        message(&mut stream).await;
        assert_eq!(text(&message(&mut stream).await), "announced");
        let told = message(&mut listening).await.data;
        assert_eq!(told["method"], "notifications/tools/list_changed", "{told}");
    }
    drop(listening);
    let mut resumed = peer.listen(Some(&primed.id)).await;
    for _ in 0..2 {
        let told = message(&mut resumed).await.data;
        assert_eq!(told["method"], "notifications/tools/list_changed", "{told}");
    }
    server.stop().await;
}

/// rmcp's own sessions keep a service and a task each.
#[tokio::test]
async fn nothing_lives_between_requests() {
    let (server, handler) = talkative().await;
    let alive = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let warm = Peer::open(&server).await;
    to_its_end(warm.call(1, "hello").await).await;
    until("rest", async || {
        (handler.working.load(Ordering::SeqCst) == 0).then_some(())
    })
    .await;
    let before = alive();
    for _ in 0..50 {
        let peer = Peer::open(&server).await;
        to_its_end(peer.call(1, "hello").await).await;
    }
    until("no more tasks than before", async || {
        (alive() <= before).then_some(())
    })
    .await;
    server.stop().await;
}

/// Reads a stream to its end.
async fn to_its_end(mut stream: Http) {
    while event(&mut stream).await.is_some() {}
}

#[tokio::test]
async fn only_the_revision_that_has_batches_may_send_them() {
    let (server, _) = talkative().await;
    for version in ["2025-03-26", "2025-06-18", LEGACY] {
        let mut connection = Http::connect(server.address).await;
        let body = initialize(version).to_string();
        connection
            .request("POST", "/mcp", &[JSON, ACCEPT], body)
            .await;
        let opened = connection.response().await;
        let session = opened.head.header("mcp-session-id").unwrap().to_owned();
        // This revision knows no header for itself.
        let headers = [JSON, ACCEPT, ("Mcp-Session-Id", session.as_str())];
        let call = |id: u64, tool: &str| request(id, "tools/call", &json!({"name": tool}));
        let batch =
            json!([call(1, "one"), initialized(), call(2, "two"), {"id": 3}, initialize(version)]);
        connection
            .request("POST", "/mcp", &headers, batch.to_string())
            .await;
        if version != "2025-03-26" {
            let refused = connection.response().await;
            assert_eq!(
                (refused.status(), refused.code()),
                (400, Some(-32600)),
                "{version}"
            );
            continue;
        }
        assert_eq!(connection.head().await.status, 200);
        let mut answers = Vec::new();
        while let Some(event) = event(&mut connection).await {
            answers.push(event.data);
        }
        let of = |id: Value| answers.iter().find(|answer| answer["id"] == id);
        for (id, tool) in [(1, "one"), (2, "two")] {
            let answer = of(json!(id)).unwrap();
            assert_eq!(answer["result"]["content"][0]["text"], tool, "{answer}");
        }
        assert_eq!(
            of(json!(0)).unwrap()["error"]["code"],
            -32600,
            "no `initialize` here"
        );
        assert_eq!(answers.len(), 4, "{answers:?}");

        let notes = json!([initialized(), initialized()]).to_string();
        for (body, status) in [(notes.as_str(), 202), ("[]", 400), ("[1,", 400)] {
            connection.request("POST", "/mcp", &headers, body).await;
            assert_eq!(connection.response().await.status(), status, "{body}");
        }
    }
    server.stop().await;
}

/// Only since 2026-07-28 does a client that leaves end its request.
#[tokio::test]
async fn a_client_that_leaves_does_not_end_its_call() {
    let dir = folder();
    let server = Process::serve(dir.path()).await;
    let mut connection = Http::connect(server.address).await;
    let session = open_session(&mut connection).await;
    let headers = legacy_headers(&session);
    let lock = WriteLock::take(dir.path());
    let params = json!({"name": "memory_add", "arguments": {"content": "a lonely walrus"}});
    let add = request(1, "tools/call", &params).to_string();
    let mut leaves = Http::connect(server.address).await;
    leaves.begin(&headers, add.len()).await;
    leaves.send(add).await;
    let mut search = async || {
        let params = json!({"name": "memory_search", "arguments": {"query": "walrus"}});
        let body = request(2, "tools/call", &params).to_string();
        connection.request("POST", "/mcp", &headers, body).await;
        let answer = connection.response().await.message();
        let found = &answer["result"]["structuredContent"]["memories"];
        found.as_array().map_or(0, Vec::len)
    };
    // Read after it: so it is at work.
    assert_eq!(search().await, 0);
    drop(leaves);
    assert_eq!(search().await, 0);
    drop(lock);
    within("the memory", async {
        until("it", async || (search().await == 1).then_some(())).await;
    })
    .await;
}
