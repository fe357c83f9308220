//! A server that was written with rmcp, made fast and safe from outside.
//!
//! ```text
//! cargo run -p examples --example rmcp_fast_and_safe
//! ```
//!
//! `Shelf` is any server: two tools, a database that is asked for each call.
//! `Fast` stands around it: some twenty lines, `call_tool`, put a cache, a
//! breaker and a batch processor before its tools, and leave the server as it
//! was. Equal reads share one call and are kept until a write; reads that come
//! together are one look into the database; and a database that is down is not
//! waited for.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use examples::{chain, check, pipe::Client};
use mcp_batch::BatchProcessor;
use mcp_breaker::{Breaker, CallError, Verdict};
use mcp_cache::{Cache, Loaded};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorCode,
        ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
    },
    service::RequestContext,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    error::Error,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

/// A server around the shelf: what is kept, what shares a look, what gives up.
struct Fast {
    shelf: Shelf,
    cache: Cache<String, String>,
    breaker: Breaker,
    batch: BatchProcessor<String, String, Arc<CallError<io::Error>>>,
}

impl Fast {
    fn new(shelf: Shelf) -> Result<Self, Box<dyn Error>> {
        let breaker = Breaker::new(&mcp_breaker::Config::default())?;
        let (many, guard) = (shelf.clone(), breaker.clone());
        let config = mcp_batch::Config::default();
        let batch = BatchProcessor::new(&config, move |titles: Vec<String>| {
            let (many, guard) = (many.clone(), guard.clone());
            async move {
                match guard.call(|| many.read(&titles)).await {
                    Ok(texts) => texts.into_iter().map(Ok).collect(),
                    Err(error) => vec![Err(Arc::new(error)); titles.len()],
                }
            }
        })?;
        let cache = Cache::new(&mcp_cache::Config::default())?;
        Ok(Self {
            shelf,
            cache,
            breaker,
            batch,
        })
    }
}

impl ServerHandler for Fast {
    /// The twenty lines.
    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let refused = |error: &dyn Error| ErrorData::internal_error(chain(error), None);
        if call.name != "read" {
            let write = || self.shelf.call_tool(call, context);
            let written = self.breaker.call_with(&by_code, write).await;
            // Also when it failed: nobody knows how far it came.
            self.cache.invalidate_by_tags(&["shelf"]);
            return written.map_err(|error| match error {
                CallError::Inner(own) => own,
                rejected => refused(&rejected),
            });
        }
        let title = title(&call)?;
        let batch = self.batch.clone();
        let asked = title.clone();
        let load = move || async move {
            let text = batch.submit(asked).await;
            text.map(|text| Loaded::new(text).tags(["shelf"]))
        };
        let read = self.cache.get_or_fetch(&title, load).await;
        read.map(|answer| text(answer.value))
            .map_err(|error| refused(&error))
    }

    // The rest goes through. A server with resources or prompts passes those on, too.

    fn get_info(&self) -> ServerConfig {
        self.shelf.get_info()
    }

    async fn list_tools(
        &self,
        page: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        self.shelf.list_tools(page, context).await
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let shelf = Shelf::default();
    let looks = shelf.looks.clone();
    let is_down = shelf.is_down.clone();
    let mut client = Client::connect(Fast::new(shelf)?).await?;

    client
        .send("write", &json!({"title": "a", "text": "first"}))
        .await?;
    check(client.answer().await? == "written", "a write goes through")?;

    looks.store(0, Ordering::Relaxed);
    for _ in 0..10 {
        for title in ["a", "b", "c", "d", "e"] {
            client.send("read", &json!({"title": title})).await?;
        }
    }
    for _ in 0..50 {
        client.answer().await?;
    }
    let looked = looks.swap(0, Ordering::Relaxed);
    println!("50 reads of 5 titles: {looked} look(s) into the database");
    check(looked <= 5, "reads share looks")?;

    client
        .send("write", &json!({"title": "a", "text": "second"}))
        .await?;
    client.answer().await?;
    client.send("read", &json!({"title": "a"})).await?;
    check(
        client.answer().await? == "second",
        "a write is seen at once",
    )?;

    let mut told = 0;
    for _ in 0..8 {
        client.send("write", &json!({"text": "untitled"})).await?;
        told += u32::from(client.answer().await? == "`title` is missing");
    }
    check(
        told == 8,
        "mistakes of callers are told, and open no breaker",
    )?;

    // What was written to is forgotten, so it is read once more before the database goes away.
    client.send("read", &json!({"title": "a"})).await?;
    client.answer().await?;
    is_down.store(true, Ordering::Relaxed);
    looks.store(0, Ordering::Relaxed);
    for number in 0..8 {
        client
            .send("read", &json!({"title": format!("unknown {number}")}))
            .await?;
        println!("the database is down: {}", client.answer().await?);
    }
    let looked = looks.load(Ordering::Relaxed);
    check(looked == 5, "after five failures it is left alone")?;
    client.send("read", &json!({"title": "a"})).await?;
    check(
        client.answer().await? == "second",
        "what is known is still answered",
    )
}

/// What a write says of the database: a caller's mistake says nothing.
fn by_code<T>(result: &Result<T, ErrorData>) -> Verdict {
    match result {
        Ok(_) => Verdict::SUCCESS,
        Err(error) if error.code == ErrorCode::INVALID_PARAMS => Verdict::IGNORE,
        Err(_) => Verdict::FAILURE,
    }
}

fn title(call: &CallToolRequestParams) -> Result<String, ErrorData> {
    let arguments = call.arguments.as_ref();
    let title = arguments
        .and_then(|it| it.get("title"))
        .and_then(Value::as_str);
    let title = title.ok_or_else(|| ErrorData::invalid_params("`title` is missing", None));
    title.map(str::to_owned)
}

fn text(text: String) -> CallToolResponse {
    CallToolResult::success(vec![ContentBlock::text(text)]).into()
}

/// The server as it was: texts by title, in a database that takes 10 ms for a look.
#[derive(Clone, Default)]
struct Shelf {
    texts: Arc<Mutex<BTreeMap<String, String>>>,
    looks: Arc<AtomicU32>,
    is_down: Arc<AtomicBool>,
}

impl Shelf {
    /// One look, for any number of titles.
    async fn read(&self, titles: &[String]) -> io::Result<Vec<String>> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(10)).await;
        if self.is_down.load(Ordering::Relaxed) {
            return Err(io::Error::other("the database is down"));
        }
        let texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |title| texts.get(title).cloned().unwrap_or_default();
        Ok(titles.iter().map(read).collect())
    }
}

impl ServerHandler for Shelf {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let title = title(&call)?;
        if call.name == "read" {
            let texts = self.read(&[title]).await;
            let texts =
                texts.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
            return Ok(text(texts.concat()));
        }
        let arguments = call.arguments.unwrap_or_default();
        let written = arguments["text"].as_str().unwrap_or_default().to_owned();
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.insert(title, written);
        Ok(text("written".to_owned()))
    }
}
