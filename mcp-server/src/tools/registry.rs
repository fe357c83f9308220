//! The registry: every tool by name, with its description ready for clients.

use std::{collections::HashMap, sync::Arc};

use arc_swap::Guard;
use async_trait::async_trait;
use rmcp::model::{JsonObject, MetaObject, Tool as Description, ToolAnnotations};
use serde_json::Value;
use tokio::sync::watch;

use super::{
    Effect, Freshness, Reply, Tool, ToolError, access::SCOPE, announced::Announced, remote::Remote,
    schema, watched::Watch,
};
use crate::{
    call::Call,
    monitoring::{Recorder, Tier},
    ports::EventSink,
    telemetry::SlowOperations,
    written::Written,
};

/// A tool as the registry keeps it: untyped at its edge.
#[async_trait]
pub trait DynTool: Send + Sync {
    /// What clients are told about the tool.
    fn description(&self) -> &Description;

    /// What a call is expected to take.
    fn tier(&self) -> Tier {
        Tier::Local
    }

    /// Parses the arguments, runs the tool and returns its result.
    async fn call(&self, call: &Call, arguments: JsonObject) -> Result<Reply<Value>, ToolError>;

    /// As [`DynTool::call`], from a JSON object to what clients get, both as text. `None` when the
    /// arguments are not the tool's; nothing was done then, and [`DynTool::call`] says what is
    /// wrong with them.
    async fn call_json(
        &self,
        call: &Call,
        arguments: &str,
    ) -> Option<Result<Reply<Arc<Written>>, ToolError>>;
}

/// All tools: this server's own in the order in which they were added, then those of upstreams, which
/// come and go.
#[derive(Default)]
pub struct Registry {
    tools: Vec<Arc<dyn DynTool>>,
    by_name: HashMap<String, usize>,
    by_method: HashMap<String, usize>,
    remote: Remote,
    watch: Option<Watch>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.tools.iter().map(|tool| &tool.description().name);
        f.debug_list().entries(names).finish()
    }
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tool.
    ///
    /// # Panics
    ///
    /// If a tool of that name is there already, or if its arguments or its result are not a JSON
    /// object.
    #[must_use]
    pub fn with<T: Tool>(mut self, tool: T) -> Self {
        let index = self.tools.len();
        let method = T::NAME.replacen('_', "/", 1);
        let previous = self.by_name.insert(T::NAME.to_owned(), index);
        assert!(previous.is_none(), "two tools are named `{}`", T::NAME);
        self.by_method.insert(method, index);
        self.tools.push(Arc::new(Typed {
            description: describe::<T>(),
            tool,
        }));
        self
    }

    /// The same tools, with their slow calls noted in `slow`, and all of them counted in `recorder`
    /// if there is one.
    #[must_use]
    pub fn watched(mut self, slow: &Arc<SlowOperations>, recorder: Option<&Arc<Recorder>>) -> Self {
        let watch = Watch::new(slow.clone(), recorder.cloned());
        for tool in &mut self.tools {
            *tool = watch.over(tool.clone());
        }
        self.watch = Some(watch);
        self
    }

    /// Has every tool that changes something tell `events` of it, so that no tool can forget to.
    #[must_use]
    pub fn announced(mut self, events: &Arc<dyn EventSink>) -> Self {
        for tool in &mut self.tools {
            let annotations = tool.description().annotations.as_ref();
            if annotations.and_then(|known| known.read_only_hint) != Some(true) {
                *tool = Arc::new(Announced::new(tool.clone(), events.clone()));
            }
        }
        self
    }

    /// What clients are told about this server's own tools, in a fixed order.
    pub fn descriptions(&self) -> impl Iterator<Item = &Description> {
        self.tools.iter().map(|tool| tool.description())
    }

    /// The tool that clients call by `name`.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<Arc<dyn DynTool>> {
        match self.by_name.get(name) {
            Some(index) => Some(self.tools[*index].clone()),
            None => self.remote.by_name(name),
        }
    }

    /// Whether `name` is one of this server's own tools.
    #[must_use]
    pub fn is_local(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Whether `name` is a tool of an upstream.
    #[must_use]
    pub fn is_remote(&self, name: &str) -> bool {
        self.remote.load().has(name)
    }

    /// The tools of upstreams at this moment.
    #[must_use]
    pub fn remote(&self) -> Guard<Arc<super::RemoteTools>> {
        self.remote.load()
    }

    /// Exchanges the tools of upstreams, none of which may have the name of a local one. Whoever
    /// [listens](Self::changes) hears of it if what clients are told is different.
    pub fn set_remote(&self, tools: Vec<Arc<dyn DynTool>>, freshness: Freshness) {
        let watched = |tool| match &self.watch {
            Some(watch) => watch.over(tool),
            None => tool,
        };
        self.remote
            .set(tools.into_iter().map(watched).collect(), freshness);
    }

    /// A number that is another one after each change of the tools.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.remote.changes()
    }

    /// The tool behind a JSON-RPC method of its own, such as `memory/add`.
    #[must_use]
    pub fn by_method(&self, method: &str) -> Option<&Arc<dyn DynTool>> {
        self.by_method.get(method).map(|index| &self.tools[*index])
    }
}

struct Typed<T> {
    description: Description,
    tool: T,
}

#[async_trait]
impl<T: Tool> DynTool for Typed<T> {
    fn description(&self) -> &Description {
        &self.description
    }

    fn tier(&self) -> Tier {
        T::TIER
    }

    async fn call(&self, call: &Call, arguments: JsonObject) -> Result<Reply<Value>, ToolError> {
        let arguments = parse(Value::Object(arguments))?;
        let output = self.tool.call(call, arguments).await?;
        let value = serde_json::to_value(output).map_err(|error| not_json::<T>(&error));
        value.map(Reply::Value)
    }

    async fn call_json(
        &self,
        call: &Call,
        arguments: &str,
    ) -> Option<Result<Reply<Arc<Written>>, ToolError>> {
        let arguments = serde_json::from_str(arguments).ok()?;
        let output = self.tool.call(call, arguments).await;
        Some(output.and_then(|output| {
            let written = match T::form(&output) {
                Some((form, bytes_max)) => form.of(&output, bytes_max),
                None => Written::of(&output).map(Arc::new),
            };
            written
                .map(Reply::Value)
                .map_err(|error| not_json::<T>(&error))
        }))
    }
}

fn not_json<T: Tool>(error: &serde_json::Error) -> ToolError {
    ToolError::Internal {
        reason: format!("the result of `{}` is not JSON: {error}", T::NAME),
    }
}

/// Parses arguments and says where they are wrong.
pub(super) fn parse<T: serde::de::DeserializeOwned>(arguments: Value) -> Result<T, ToolError> {
    serde_path_to_error::deserialize(arguments).map_err(|error| ToolError::Arguments {
        reason: match error.path().to_string().as_str() {
            "." => error.inner().to_string(),
            path => format!("{path}: {}", error.inner()),
        },
    })
}

fn describe<T: Tool>() -> Description {
    let (reads, destroys, idempotent) = match T::EFFECT {
        Effect::Reads => (true, false, true),
        Effect::Adds => (false, false, false),
        Effect::Changes => (false, true, false),
        Effect::ChangesOnce => (false, true, true),
    };
    let description = Description::new(T::NAME, T::DESCRIPTION, schema::of::<T::Arguments>())
        .with_title(T::TITLE)
        .with_raw_output_schema(schema::of::<T::Output>())
        .with_annotations(
            ToolAnnotations::with_title(T::TITLE)
                .read_only(reads)
                .destructive(destroys)
                .idempotent(idempotent)
                .open_world(false),
        );
    match T::SCOPE {
        None => description,
        Some(scope) => {
            let mut meta = MetaObject::new();
            meta.insert(SCOPE.to_owned(), scope.name().into());
            description.with_meta(meta)
        }
    }
}
