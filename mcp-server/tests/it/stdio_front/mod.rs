//! The front of standard input and output against rmcp: the same messages to a server with it and
//! to one without must get the same answers, in both eras.

mod messages;

use std::time::Duration;

use mcp_server::{
    app::App,
    call::Call,
    config::{Config, StdioConfig},
    protocol::{Front, McpHandler, Strict},
    tools::{Effect, Registry, Tool, ToolError},
    transport::stdio,
};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config as Cases, RngAlgorithm, TestRng, TestRunner},
};
use rmcp::{ServerHandler, model::ServerConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use self::messages::message;
use crate::{
    front::comparable,
    support::{
        PATIENCE, WriteLock,
        mcp::{LEGACY, initialize, initialized, modern, request},
        process::folder,
        until, within,
    },
};

const MESSAGES: usize = 2_000;

/// A server on a pair of pipes within the test's process, and the client's ends.
struct Session {
    input: WriteHalf<DuplexStream>,
    output: Lines<BufReader<ReadHalf<DuplexStream>>>,
    server: JoinHandle<()>,
}

impl Session {
    fn start(handler: impl ServerHandler, front: Option<Front>) -> Self {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let (input, output) = tokio::io::split(theirs);
        let server = tokio::spawn(async move {
            let (config, never) = (StdioConfig::default(), CancellationToken::new());
            let served = stdio::serve(handler, front, input, output, &config, never).await;
            served.expect("it ends with its input");
        });
        let (output, input) = tokio::io::split(ours);
        Self {
            input,
            output: BufReader::new(output).lines(),
            server,
        }
    }

    async fn send(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.input.write_all(line.as_bytes()).await.unwrap();
    }

    async fn receive(&mut self) -> Value {
        let line = within("a line", self.output.next_line()).await.unwrap();
        serde_json::from_str(&line.expect("the server still answers")).unwrap()
    }

    async fn ask(&mut self, line: &str) -> Value {
        self.send(line).await;
        self.receive().await
    }

    async fn open(&mut self, legacy: bool) {
        if !legacy {
            self.ask(&modern(0, "tools/list", &json!({})).to_string())
                .await;
            return;
        }
        let opened = self.ask(&initialize(LEGACY).to_string()).await;
        assert_eq!(opened["result"]["protocolVersion"], LEGACY, "{opened}");
        self.send(&initialized().to_string()).await;
    }

    /// Ends the input and waits for the end of the server.
    async fn end(mut self) {
        self.input.shutdown().await.unwrap();
        assert_eq!(self.output.next_line().await.unwrap(), None);
        within("the end", self.server).await.unwrap();
    }
}

async fn app() -> (App, TempDir) {
    let folder = folder();
    let mut config = Config::default();
    config.memory.data_dir = Some(folder.path().to_owned());
    config.memory.operation_timeout = PATIENCE;
    (App::build(&config).await.unwrap(), folder)
}

#[tokio::test]
async fn with_the_front_and_without_the_answers_agree() {
    for legacy in [true, false] {
        let (app, _folder) = app().await;
        let handler = app.stdio_handler(None);
        let front = app.stdio_front(&handler);
        assert!(front.is_some());
        let mut with = Session::start(handler, front);
        let mut without = Session::start(app.stdio_handler(None), None);
        with.open(legacy).await;
        without.open(legacy).await;

        let add = modern(
            1,
            "tools/call",
            &json!({"name": "memory_add", "arguments": {"content": "a walrus"}}),
        );
        let stored = without.ask(&add.to_string()).await;
        let id = stored["result"]["structuredContent"]["id"]
            .as_str()
            .unwrap();
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(Cases::default(), rng);
        let messages = message(id);
        for _ in 0..MESSAGES {
            let line = messages.new_tree(&mut runner).unwrap().current();
            let (fast, slow) = (with.ask(&line).await, without.ask(&line).await);
            assert_eq!(
                comparable(fast),
                comparable(slow),
                "legacy: {legacy}\n{line}"
            );
        }
        with.end().await;
        without.end().await;
        app.close().await;
    }
}

/// A handler that has nothing to offer.
#[derive(Debug, Clone)]
struct Nothing;

impl ServerHandler for Nothing {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::default()
    }
}

/// Behind this front is a server without tools: what is answered was answered by the front.
#[tokio::test]
async fn what_the_front_takes_does_not_reach_the_sdk() {
    let (app, _folder) = app().await;
    let search = json!({"name": "memory_search", "arguments": {"query": "a"}});
    for legacy in [true, false] {
        let front = app.stdio_front(&app.stdio_handler(None));
        let mut session = Session::start(Nothing, front);
        session.open(legacy).await;
        let rows = match legacy {
            true => vec![
                request(1, "tools/call", &search),
                request(2, "tools/list", &json!({})),
                request(3, "ping", &json!({})),
                modern(4, "tools/call", &search),
            ],
            false => vec![
                modern(1, "tools/call", &search),
                modern(2, "tools/list", &json!({})),
                modern(3, "server/discover", &json!({})),
            ],
        };
        for row in rows {
            let answer = session.ask(&row.to_string()).await;
            let result = &answer["result"];
            assert_eq!(answer["id"], row["id"], "{answer}");
            match row["method"].as_str().unwrap() {
                "tools/call" => assert_eq!(result["isError"], false, "{answer}"),
                "tools/list" => assert!(!result["tools"].as_array().unwrap().is_empty()),
                "ping" => assert_eq!(*result, json!({})),
                _ => {
                    let can = json!({"tools": {"listChanged": true}, "resources": {}});
                    assert_eq!(result["capabilities"], can, "{answer}");
                }
            }
        }
        session.end().await;
    }
    app.close().await;
}

/// A second `initialize`, or one after a request of the other era, is nobody's habit.
#[tokio::test]
async fn odd_lifecycles_are_left_to_the_sdk() {
    let (app, _folder) = app().await;
    for legacy in [true, false] {
        let handler = app.stdio_handler(None);
        let front = app.stdio_front(&handler);
        let mut with = Session::start(handler, front);
        let mut without = Session::start(app.stdio_handler(None), None);
        for session in [&mut with, &mut without] {
            session.open(legacy).await;
        }
        let search = json!({"name": "memory_search", "arguments": {"query": "a"}});
        for line in [
            initialize("2025-06-18"),
            request(1, "tools/call", &search),
            modern(2, "tools/call", &search),
            request(3, "ping", &json!({})),
        ] {
            let line = line.to_string();
            let (fast, slow) = (with.ask(&line).await, without.ask(&line).await);
            assert_eq!(
                comparable(fast),
                comparable(slow),
                "legacy: {legacy}\n{line}"
            );
        }
        with.end().await;
        without.end().await;
    }
    app.close().await;
}

#[tokio::test]
async fn a_cancelled_call_stops() {
    let (app, folder) = app().await;
    let handler = app.stdio_handler(None);
    let front = app.stdio_front(&handler);
    let mut session = Session::start(Nothing, front);
    session.open(false).await;
    let lock = WriteLock::take(folder.path());
    let in_flight = || -> u32 {
        let lanes = app.admission().expect("it is on").stats();
        lanes.iter().map(|lane| lane.in_flight).sum()
    };
    let add = json!({"name": "memory_add", "arguments": {"content": "never mind"}});
    for id in 1..=20 {
        session
            .send(&modern(id, "tools/call", &add).to_string())
            .await;
    }
    until("the calls", async || (in_flight() == 20).then_some(())).await;
    for id in 1..=20 {
        let params = json!({"requestId": id});
        let cancelled =
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
        session.send(&cancelled.to_string()).await;
    }
    until("their end", async || (in_flight() == 0).then_some(())).await;
    // Nothing is waited for, and nothing more is said.
    tokio::time::timeout(PATIENCE / 2, session.end())
        .await
        .unwrap();
    drop(lock);
    app.close().await;
}

#[derive(Deserialize, JsonSchema)]
struct How {
    /// Whether it waits first.
    waits: bool,
}

#[derive(Serialize, JsonSchema)]
struct Never {}

struct Panics;

impl Tool for Panics {
    type Arguments = How;
    type Output = Never;

    const NAME: &'static str = "panics";
    const TITLE: &'static str = "Panics";
    const DESCRIPTION: &'static str = "Panics.";
    const EFFECT: Effect = Effect::Reads;

    async fn call(&self, _call: &Call, how: How) -> Result<Never, ToolError> {
        if how.waits {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("of its own free will");
    }
}

#[tokio::test]
async fn a_call_that_panics_is_answered_and_harms_no_other() {
    let registry = Registry::new().with(Panics);
    let handler = Strict::new(McpHandler::new(registry.into()));
    let front = Front::new(&handler);
    let mut session = Session::start(handler, Some(front));
    session.open(false).await;
    for id in 1..=50 {
        let call = json!({"name": "panics", "arguments": {"waits": id % 2 == 0}});
        let answer = session
            .ask(&modern(id, "tools/call", &call).to_string())
            .await;
        assert_eq!(
            (&answer["id"], &answer["error"]["code"]),
            (&json!(id), &json!(-32603))
        );
        let list = modern(99, "tools/list", &json!({})).to_string();
        assert_eq!(session.ask(&list).await["id"], 99);
    }
    session.end().await;
}
