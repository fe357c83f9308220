//! MCP over WebSockets: all tools, in both eras, and who may open one.

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use mcp_server::{
    auth::Scope,
    config::{HttpConfig, WebSocketConfig},
    transport::http::Drained,
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Error, Message, client::IntoClientRequest, http::HeaderValue,
        protocol::frame::coding::CloseCode,
    },
};

use crate::support::{
    mcp::{LEGACY, initialize, initialized, modern, request},
    server::Server,
    within,
};

type Headers<'a> = &'a [(&'static str, &'a str)];

const MCP: (&str, &str) = ("Sec-WebSocket-Protocol", "mcp");

struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    async fn open(address: SocketAddr, headers: Headers<'_>) -> Result<Self, u16> {
        let stream = TcpStream::connect(address).await.unwrap();
        let url = format!("ws://{address}/mcp/ws");
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().append(*name, value);
        }
        match within("the handshake", client_async(request, stream)).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    async fn send(&mut self, text: impl Into<String>) {
        let text = Message::text(text.into());
        within("sending", self.0.send(text)).await.unwrap();
    }

    /// The next message, or the code that the server closes with.
    async fn receive(&mut self) -> Result<Value, Option<CloseCode>> {
        loop {
            match within("a frame", self.0.next()).await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(frame.map(|frame| frame.code)),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    async fn ask(&mut self, message: &Value) -> Value {
        self.send(message.to_string()).await;
        self.receive().await.unwrap()
    }

    async fn ok(&mut self, era: &str, tool: &str, arguments: Value) -> Value {
        let call = json!({"name": tool, "arguments": arguments});
        let message = match era {
            LEGACY => request(1, "tools/call", &call),
            _ => modern(1, "tools/call", &call),
        };
        let mut answer = self.ask(&message).await;
        assert_eq!(answer["result"]["isError"], false, "{era} {tool}: {answer}");
        answer["result"]["structuredContent"].take()
    }
}

#[tokio::test]
async fn all_tools_are_reached_in_both_eras() {
    for front in [true, false] {
        let config = HttpConfig {
            front,
            ..HttpConfig::default()
        };
        let server = Server::memory(config).await;
        for era in [LEGACY, "2026-07-28"] {
            let mut socket = Socket::open(server.address, &[MCP]).await.unwrap();
            if era == LEGACY {
                let opened = socket.ask(&initialize(LEGACY)).await;
                assert_eq!(opened["result"]["protocolVersion"], LEGACY, "{opened}");
                socket.send(initialized().to_string()).await;
            }
            let memory = json!({"content": "a walrus\n\"é\""});
            let added = socket.ok(era, "memory_add", memory).await;
            let id = &added["id"];
            let got = socket.ok(era, "memory_get", json!({"id": id})).await;
            assert_eq!(got["content"], "a walrus\n\"é\"");
            let found = socket
                .ok(era, "memory_search", json!({"query": "walrus"}))
                .await;
            assert_eq!(found["memories"][0]["id"], *id);
            let update = json!({"id": id, "content": "two"});
            assert_eq!(socket.ok(era, "memory_update", update).await["version"], 2);
            let batch = json!({"operations": [{"type": "get", "data": {"id": id}}]});
            let batch = socket.ok(era, "memory_batch", batch).await;
            assert_eq!(batch["results"][0]["ok"]["content"], "two");
            let deleted = socket.ok(era, "memory_delete", json!({"id": id})).await;
            assert_eq!(deleted["deleted"], true);
        }
    }
}

#[tokio::test]
async fn a_frame_is_a_message_whatever_its_spelling() {
    let config = HttpConfig {
        body_bytes_max: 100_000,
        json_depth_max: 40,
        ..HttpConfig::default()
    };
    let server = Server::memory(config).await;
    let mut socket = Socket::open(server.address, &[MCP]).await.unwrap();
    let list = modern(5, "tools/list", &json!({}));
    let pretty = serde_json::to_string_pretty(&list)
        .unwrap()
        .replace('\n', "\r\n");
    socket.send(pretty).await;
    assert_eq!(socket.receive().await.unwrap()["id"], 5);
    for (text, code) in [
        ("nonsense", -32700),
        ("[]", -32600),
        ("", -32700),
        ("{}\n{}", -32700),
    ] {
        if text.is_empty() {
            continue;
        }
        socket.send(text).await;
        let refused = socket.receive().await.unwrap();
        assert_eq!(refused["error"]["code"], code, "{text}: {refused}");
    }
    let deep = format!("{}{}", "[".repeat(50), "]".repeat(50));
    let deep = list
        .to_string()
        .replacen("{}", &format!(r#"{{"x":{deep}}}"#), 1);
    socket.send(deep).await;
    let refused = socket.receive().await.unwrap();
    assert_eq!(refused["error"]["code"], -32600, "{refused}");
    assert_eq!(refused["id"], 5, "{refused}");
    // Many at once are answered one and all.
    for id in 0..50 {
        socket
            .send(modern(id, "tools/list", &json!({})).to_string())
            .await;
    }
    for _ in 0..50 {
        assert!(socket.receive().await.unwrap()["result"].is_object());
    }
    // What is too large ends the connection, and so does what is no text.
    socket.send("x".repeat(100_001)).await;
    assert!(socket.receive().await.is_err());
    let mut socket = Socket::open(server.address, &[MCP]).await.unwrap();
    let binary = Message::binary(vec![1, 2, 3]);
    socket.0.send(binary).await.unwrap();
    assert_eq!(socket.receive().await, Err(Some(CloseCode::Unsupported)));
}

#[tokio::test]
async fn who_may_not_post_may_not_open_one() {
    let config = HttpConfig {
        require_token: true,
        websocket: WebSocketConfig {
            connections_max: 1.try_into().unwrap(),
            ..WebSocketConfig::default()
        },
        ..HttpConfig::default()
    };
    let callers = [("ann", Scope::Write), ("bob", Scope::Read)];
    let (server, tokens) = Server::with_tokens(config, &callers).await;
    let (ann, bob) = (
        format!("Bearer {}", tokens[0]),
        format!("Bearer {}", tokens[1]),
    );
    let (ann, bob) = (
        ("Authorization", ann.as_str()),
        ("Authorization", bob.as_str()),
    );
    let page = ("Origin", "http://evil.example");
    for (headers, status) in [
        (&[MCP][..], 401),
        (&[MCP, ("Authorization", "Bearer mcp_0")], 401),
        (&[MCP, ann, page], 403),
        (&[ann], 400),
        (&[("Sec-WebSocket-Protocol", "other"), ann], 400),
    ] {
        let refused = Socket::open(server.address, headers).await.err();
        assert_eq!(refused, Some(status), "{headers:?}");
    }
    let mut socket = Socket::open(server.address, &[MCP, ann]).await.unwrap();
    let added = socket
        .ok("", "memory_add", json!({"content": "ann's walrus"}))
        .await;
    let one_more = Socket::open(server.address, &[MCP, bob]).await.err();
    assert_eq!(one_more, Some(503));
    socket.0.close(None).await.unwrap();
    drop(socket);
    let mut socket = loop {
        match Socket::open(server.address, &[MCP, bob]).await {
            Ok(socket) => break socket,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    // Another tenant, and one that may only read.
    let get = json!({"name": "memory_get", "arguments": {"id": added["id"]}});
    let hidden = socket.ask(&modern(1, "tools/call", &get)).await;
    assert_eq!(
        hidden["result"]["_meta"]["error"]["code"], "not_found",
        "{hidden}"
    );
    let add = json!({"name": "memory_add", "arguments": {"content": "x"}});
    let refused = socket.ask(&modern(1, "tools/call", &add)).await;
    assert_eq!(
        refused["error"]["data"]["code"], "insufficient_scope",
        "{refused}"
    );
}

#[tokio::test]
async fn an_end_is_said_and_the_silent_are_hung_up() {
    let config = HttpConfig {
        websocket: WebSocketConfig {
            idle_timeout: Duration::from_millis(600),
            ..WebSocketConfig::default()
        },
        ..HttpConfig::default()
    };
    let server = Server::memory(config).await;
    let mut alive = Socket::open(server.address, &[MCP]).await.unwrap();
    let mut silent = Socket::open(server.address, &[MCP]).await.unwrap();
    // Reading answers the pings; who does not read gives no sign of life.
    for _ in 0..20 {
        let next = tokio::time::timeout(Duration::from_millis(100), alive.0.next()).await;
        assert!(!matches!(next, Ok(None | Some(Err(_)))), "{next:?}");
    }
    assert!(silent.receive().await.is_err());
    let answer = alive.ask(&modern(1, "tools/list", &json!({}))).await;
    assert_eq!(answer["id"], 1);
    let ends = tokio::spawn(server.stop());
    assert_eq!(alive.receive().await, Err(Some(CloseCode::Away)));
    assert_eq!(ends.await.unwrap(), Drained::Whole);
}
