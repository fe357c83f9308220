//! No sequence of requests by one tenant shows another anything: one tenant's answers are the same
//! whether or not there is another one, who does as it likes.

use std::time::Duration;

use mcp_server::{auth::Scope, config::HttpConfig, memory::search::IndexConfig};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config as Cases, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};

use super::{forms::open_session_as, post_as, send_in_session};
use crate::support::{
    http::Http,
    mcp::{modern, request},
    server::Server,
};

const STEPS: usize = 1_000;
const WORDS: [&str; 6] = ["apple", "pear", "plum", "quince", "fig", "medlar"];

/// How a request goes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// What the front takes.
    Call,
    /// What it leaves to rmcp.
    Method,
    Session,
}

/// What is asked for. Numbers choose among the ids that the tenant knows, its own or the other's.
#[derive(Debug, Clone)]
enum Ask {
    Add(String),
    Search(String),
    Get(usize),
    Update(usize, String),
    Delete(usize),
    Batch(usize, String),
    Put(usize, String),
    GetContext(usize),
    ListContexts(String),
    /// The other tenant's, by its id.
    Foreign(usize),
    ForeignSession(&'static str),
}

/// One tenant in one world.
struct Tenant {
    token: String,
    connection: Http,
    session: String,
    ids: Vec<String>,
}

struct World {
    _server: Server,
    tenants: [Tenant; 2],
}

impl World {
    async fn new() -> Self {
        let callers = [("ann", Scope::Write), ("bob", Scope::Admin)];
        // What was changed or deleted counts until it is merged away, which is a matter of time.
        let index = IndexConfig {
            interval: Duration::from_secs(3_600),
            ..IndexConfig::default()
        };
        let config = HttpConfig::default();
        let (server, tokens) = Server::with_tokens_and_index(config, &callers, index).await;
        let mut tenants = Vec::new();
        for token in tokens {
            let mut connection = Http::connect(server.address).await;
            let session = open_session_as(&mut connection, &token).await;
            tenants.push(Tenant {
                token,
                connection,
                session,
                ids: Vec::new(),
            });
        }
        Self {
            _server: server,
            tenants: tenants.try_into().ok().expect("there are two"),
        }
    }

    /// Has the index take up what was written. Any search does so, and how often an earlier state of
    /// a memory counts depends on when: so there is one after each step.
    async fn settle(&mut self) {
        let other = &mut self.tenants[1];
        let search = json!({"name": "memory_search", "arguments": {"query": "nothing"},
                            "_meta": {"mcp-server/bypass-cache": true}});
        let search = modern(1, "tools/call", &search);
        let found = post_as(&mut other.connection, &other.token, &search).await;
        assert_eq!(found.status(), 200, "{found:?}");
    }

    /// What the tenant is answered, without what differs between any two worlds.
    async fn ask(&mut self, who: usize, way: Way, ask: &Ask) -> Value {
        let other = &self.tenants[1 - who];
        let (foreign_session, foreign_ids) = (other.session.clone(), other.ids.clone());
        let me = &mut self.tenants[who];
        if let Ask::ForeignSession(method) = ask {
            let body = match *method {
                "POST" => request(1, "tools/list", &json!({})).to_string(),
                _ => String::new(),
            };
            let (token, connection) = (&me.token, &mut me.connection);
            let session = &foreign_session;
            let refused = send_in_session(connection, token, method, session, &body).await;
            return json!([refused.status(), refused.body]);
        }
        let id = |n: usize| match me.ids.len() {
            0 => json!("none"),
            known => json!(me.ids[n % known]),
        };
        let foreign = |n: usize| match foreign_ids.len() {
            0 => json!("none"),
            known => json!(foreign_ids[n % known]),
        };
        let context = |n: usize| json!(format!("context {}", n % 5));
        let (tool, arguments) = match ask {
            Ask::Add(text) => ("memory_add", json!({"content": text, "tags": ["t"]})),
            Ask::Search(text) => ("memory_search", json!({"query": text, "limit": 5})),
            Ask::Get(n) => ("memory_get", json!({"id": id(*n)})),
            Ask::Update(n, text) => ("memory_update", json!({"id": id(*n), "content": text})),
            Ask::Delete(n) => ("memory_delete", json!({"id": id(*n)})),
            Ask::Batch(n, text) => {
                let operations = json!([
                    {"type": "add", "data": {"content": text}},
                    {"type": "get", "data": {"id": id(*n)}},
                    {"type": "get", "data": {"id": foreign(*n)}},
                    {"type": "delete", "data": {"id": foreign(*n)}},
                    {"type": "search", "data": {"query": text}},
                ]);
                ("memory_batch", json!({"operations": operations}))
            }
            Ask::Put(n, text) => ("context_put", json!({"id": context(*n), "content": text})),
            Ask::GetContext(n) => ("context_get", json!({"id": context(*n)})),
            Ask::ListContexts(text) => ("context_list", json!({"query": text})),
            Ask::Foreign(n) => match n % 3 {
                0 => ("memory_get", json!({"id": foreign(*n)})),
                1 => (
                    "memory_update",
                    json!({"id": foreign(*n), "content": "mine"}),
                ),
                _ => ("memory_delete", json!({"id": foreign(*n)})),
            },
            Ask::ForeignSession(_) => unreachable!("it was asked for above"),
        };
        let mut answer = me.send(way, tool, arguments).await;
        me.learn(&answer);
        // Ids are random: the first that a tenant has seen is #0. The other's are no ids to it.
        let own = me
            .ids
            .iter()
            .enumerate()
            .map(|(n, id)| (id.clone(), format!("#{n}")));
        let foreign = foreign_ids.into_iter().map(|id| (id, "none".to_owned()));
        neutralise(&mut answer, &own.chain(foreign).collect::<Vec<_>>());
        answer
    }
}

impl Tenant {
    async fn send(&mut self, way: Way, tool: &str, arguments: Value) -> Value {
        let (connection, token) = (&mut self.connection, &self.token);
        let called = json!({"name": tool, "arguments": arguments});
        let response = match way {
            Way::Call => post_as(connection, token, &modern(1, "tools/call", &called)).await,
            Way::Method => {
                let method = tool.replacen('_', "/", 1);
                post_as(connection, token, &modern(1, &method, &arguments)).await
            }
            Way::Session => {
                let body = request(1, "tools/call", &called).to_string();
                send_in_session(connection, token, "POST", &self.session, &body).await
            }
        };
        response.message()
    }

    /// Notes the ids of what was added.
    fn learn(&mut self, answer: &Value) {
        let result = &answer["result"];
        let value = result.get("structuredContent").unwrap_or(result);
        let added = [value.get("id"), value.pointer("/results/0/ok/id")];
        for id in added.into_iter().flatten().filter_map(Value::as_str) {
            if !id.starts_with("context") && !self.ids.iter().any(|known| known == id) {
                self.ids.push(id.to_owned());
            }
        }
    }
}

/// Takes out times and what is said of the call itself, and puts other names for ids.
fn neutralise(value: &mut Value, names: &[(String, String)]) {
    match value {
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(mut inner @ Value::Object(_)) => {
                neutralise(&mut inner, names);
                *value = inner;
            }
            _ => {
                for (id, name) in names {
                    *text = text.replace(id, name);
                }
            }
        },
        Value::Array(items) => items.iter_mut().for_each(|item| neutralise(item, names)),
        Value::Object(members) => {
            members.retain(|name, _| name != "_meta" && !name.ends_with("_at"));
            members
                .values_mut()
                .for_each(|member| neutralise(member, names));
        }
        _ => {}
    }
}

fn steps() -> impl Strategy<Value = (usize, Way, Ask)> {
    let words = prop::collection::vec(prop::sample::select(&WORDS[..]), 1..4);
    let text = words.prop_map(|words| words.join(" "));
    let number = 0_usize..1_000;
    let ask = prop_oneof![
        4 => text.clone().prop_map(Ask::Add),
        4 => text.clone().prop_map(Ask::Search),
        2 => number.clone().prop_map(Ask::Get),
        2 => (number.clone(), text.clone()).prop_map(|(n, text)| Ask::Update(n, text)),
        1 => number.clone().prop_map(Ask::Delete),
        2 => (number.clone(), text.clone()).prop_map(|(n, text)| Ask::Batch(n, text)),
        2 => (number.clone(), text.clone()).prop_map(|(n, text)| Ask::Put(n, text)),
        2 => number.clone().prop_map(Ask::GetContext),
        1 => text.prop_map(Ask::ListContexts),
        2 => number.prop_map(Ask::Foreign),
        1 => prop::sample::select(&["POST", "GET", "DELETE"][..]).prop_map(Ask::ForeignSession),
    ];
    let way = prop::sample::select(&[Way::Call, Way::Call, Way::Method, Way::Session][..]);
    (0_usize..2, way, ask)
}

/// Found that scores were made with the average length of everybody's memories.
#[tokio::test]
async fn no_request_of_one_tenant_shows_another_anything() {
    let (mut shared, mut alone) = (World::new().await, World::new().await);
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Cases::default(), rng);
    let steps = steps();
    let (mut compared, mut found) = (0, 0);
    for step in 0..STEPS {
        let (who, way, ask) = steps.new_tree(&mut runner).unwrap().current();
        let answer = shared.ask(who, way, &ask).await;
        shared.settle().await;
        // The first tenant does the same in a world of its own.
        if who == 0 {
            let expect = alone.ask(who, way, &ask).await;
            alone.settle().await;
            assert_eq!(answer, expect, "step {step}: {way:?} {ask:?}");
            compared += 1;
            found += usize::from(answer.to_string().contains("\"memories\":[{"));
        }
        if let Ask::ForeignSession(_) = ask {
            assert_eq!(answer[0], 404, "step {step}: {way:?} {ask:?}: {answer}");
        }
    }
    assert!(
        compared > STEPS / 3 && found > STEPS / 20,
        "{compared} {found}"
    );
}
