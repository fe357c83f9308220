//! What is kept, of an upstream that says what a test wants it to say.

use rmcp::model::{CacheScope, CallToolResult, ContentBlock, Tool};
use tokio::sync::Semaphore;

use super::*;

/// Answers with its name and the number of the call, as soon as the gate lets it.
struct Scripted {
    name: &'static str,
    tools: Mutex<&'static [&'static str]>,
    calls: AtomicU64,
    arrived: Semaphore,
    gate: Semaphore,
}

impl Scripted {
    fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self {
            name,
            tools: Mutex::new(&["get"]),
            calls: AtomicU64::new(0),
            arrived: Semaphore::new(0),
            gate: Semaphore::new(1_000),
        })
    }
}

#[async_trait]
impl Upstream for Scripted {
    async fn tools(&self, _wanted: Wanted) -> Result<Listed, UpstreamError> {
        let names = *self.tools.lock().unwrap();
        let manifest = Manifest {
            server: String::new(),
            protocol: String::new(),
            tools: names.iter().map(|name| Arc::new(tool(name))).collect(),
            ttl: None,
            scope: CacheScope::Public,
            asked_at: Instant::now(),
        };
        Ok(Listed {
            manifest: Arc::new(manifest),
            fresh_until: Instant::now() + Duration::from_secs(60),
            stale: None,
        })
    }

    async fn call(
        &self,
        _call: &Call,
        _tool: &RemoteTool,
        _arguments: JsonObject,
    ) -> Result<CallToolResponse, UpstreamError> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        self.arrived.add_permits(1);
        self.gate.acquire().await.unwrap().forget();
        let text = format!("{} {number}", self.name);
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }

    fn pause(&self) -> Option<Until> {
        None
    }

    fn asked(&self) {}

    async fn idle(&self) {}

    async fn close(&self) {}
}

fn tool(name: &str) -> RemoteTool {
    RemoteTool::new(Tool::new(name.to_owned(), "", JsonObject::new()))
}

fn caches() -> UpstreamCaches {
    UpstreamCaches::new(&ConnectorsConfig::default()).unwrap()
}

fn cached(upstream: &Arc<Scripted>, caches: &UpstreamCaches) -> CachedUpstream {
    let server = serde_saphyr::from_str("{url: 'https://h', tools: {get: {ttl: 1h}}}").unwrap();
    CachedUpstream::new(upstream.clone(), &"c".parse().unwrap(), &server, caches)
}

async fn get(upstream: &CachedUpstream) -> String {
    let called = upstream
        .call(&Call::local(), &tool("get"), JsonObject::new())
        .await;
    match called.unwrap() {
        CallToolResponse::Complete(result) => result.content[0].as_text().unwrap().text.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn results_outlive_a_stream_of_news_that_ends_but_not_another_list() {
    let (scripted, caches) = (Scripted::new("a"), caches());
    let upstream = cached(&scripted, &caches);
    upstream.tools(Wanted::Fresh).await.unwrap();
    assert_eq!(get(&upstream).await, "a 1");
    // Nobody listened for a while, and nothing was said.
    upstream.tools(Wanted::Again).await.unwrap();
    assert_eq!(get(&upstream).await, "a 1");
    // Something was.
    *scripted.tools.lock().unwrap() = &["get", "put"];
    upstream.tools(Wanted::Again).await.unwrap();
    assert_eq!(get(&upstream).await, "a 2");
    // It says itself that something changed.
    upstream.tools(Wanted::Anew).await.unwrap();
    assert_eq!(get(&upstream).await, "a 3");
    assert_eq!(get(&upstream).await, "a 3");
}

#[tokio::test]
async fn what_had_other_settings_is_another_upstream() {
    let (before, after, caches) = (Scripted::new("before"), Scripted::new("after"), caches());
    before.gate.forget_permits(1_000);
    let old = Arc::new(cached(&before, &caches));
    let late = tokio::spawn({
        let old = old.clone();
        async move { get(&old).await }
    });
    before.arrived.acquire().await.unwrap().forget();
    // It joins no call of the old one, and gets nothing that came of it.
    let new = cached(&after, &caches);
    assert_eq!(get(&new).await, "after 1");
    before.gate.add_permits(1);
    assert_eq!(late.await.unwrap(), "before 1");
    assert_eq!(get(&new).await, "after 1");
    old.close().await;
    assert_eq!(get(&new).await, "after 2");
}
