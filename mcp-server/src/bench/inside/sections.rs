//! The five sections: what is done, and what must come of it.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{SectionReport, scratch::Scratch, timed::Samples};
use crate::{
    call::Call,
    memory::{Delete, Found, Get, Memory, MemoryError, MemoryId, Search, Update},
    tools::Reply,
};

/// The target of what one memory takes.
const TARGET: Duration = Duration::from_millis(50);
/// The target of what several take together.
const TARGET_TOGETHER: Duration = Duration::from_millis(100);
/// Callers at once in the last section.
const CONCURRENT: usize = 16;
/// Operations of a batch.
const BATCH_LEN: usize = 10;

/// A part of the benchmark.
#[derive(Debug, Clone, Copy)]
pub(super) enum Section {
    /// Each tool, from JSON to JSON, as the protocol's rooms call it.
    McpOperations,
    /// Reads and writes past the cache.
    Store,
    /// Reads of what was read before.
    Cache,
    /// What an agent does for one task, step by step.
    EndToEnd,
    /// Many callers at once.
    Concurrent,
}

impl Section {
    pub(super) const ALL: [Self; 5] = [
        Self::McpOperations,
        Self::Store,
        Self::Cache,
        Self::EndToEnd,
        Self::Concurrent,
    ];

    pub(super) async fn run(self, scratch: &Scratch) -> SectionReport {
        let began = Instant::now();
        let mut samples = Samples::default();
        let mut work = Work {
            scratch,
            samples: &mut samples,
        };
        let (name, target) = match self {
            Self::McpOperations => {
                work.mcp_operations().await;
                ("mcp_operations", TARGET)
            }
            Self::Store => {
                work.store().await;
                ("store", TARGET)
            }
            Self::Cache => {
                work.cache().await;
                ("cache", TARGET)
            }
            Self::EndToEnd => {
                work.end_to_end().await;
                ("end_to_end", TARGET_TOGETHER)
            }
            Self::Concurrent => {
                samples = concurrent(scratch).await;
                ("concurrent", TARGET_TOGETHER)
            }
        };
        samples.report(name, target, began.elapsed())
    }
}

struct Work<'a> {
    scratch: &'a Scratch,
    samples: &'a mut Samples,
}

impl Work<'_> {
    /// The numbers of the samples, until the time is over.
    fn next(&mut self, number: usize) -> bool {
        let over = self.scratch.is_over();
        self.samples.cut_short |= over;
        !over && number < self.scratch.extent.samples as usize
    }

    /// Takes one sample; `None` where it failed.
    async fn sample<T, E: std::fmt::Display>(
        &mut self,
        operation: &'static str,
        call: &Call,
        work: impl Future<Output = Result<T, E>>,
    ) -> Option<T> {
        let began = Instant::now();
        let done = work.await;
        let took = began.elapsed();
        match done {
            Ok(value) => {
                let cached = call.notes.is_cached();
                self.samples.answered(operation, took, cached);
                Some(value)
            }
            Err(error) => {
                self.samples.failed(operation, &error);
                None
            }
        }
    }

    /// Notes that something must hold, if answers are checked.
    fn must(&mut self, holds: bool, what: &str) {
        if self.scratch.extent.validate && !holds {
            self.samples.wrong(what.to_owned());
        }
    }

    /// Calls a tool with JSON, and returns its answer.
    async fn tool(&mut self, name: &'static str, arguments: Value) -> Option<Value> {
        let Some(tool) = self.scratch.tools.by_name(name) else {
            self.samples.wrong(format!("there is no tool {name}"));
            return None;
        };
        let (call, arguments) = (self.scratch.call(false), arguments.to_string());
        let answer = async {
            match tool.call_json(&call, &arguments).await {
                Some(Ok(Reply::Value(written))) => Ok(written),
                Some(Ok(Reply::Response(_))) => Err("an answer of another form".to_owned()),
                Some(Err(error)) => Err(error.to_string()),
                None => Err("the arguments are not the tool's".to_owned()),
            }
        };
        let written = self.sample(name, &call, answer).await?;
        serde_json::from_str(written.value()).ok()
    }

    async fn mcp_operations(&mut self) {
        let mut number = 0;
        while self.next(number) {
            let add = json!(self.scratch.add(number));
            let added = self.tool("memory_add", add).await;
            let Some(id) = added.as_ref().and_then(|added| added["id"].as_str()) else {
                number += 1;
                continue;
            };
            if let Ok(id) = serde_json::from_value::<MemoryId>(json!(id)) {
                self.scratch.added(id);
            }
            let got = self.tool("memory_get", json!({"id": id})).await;
            let text = self.scratch.text(number);
            let same = got.is_some_and(|got| got["content"] == text.as_str());
            self.must(same, "memory_get: another text than was added");
            let search =
                json!({"query": format!("sample{number}"), "namespace": self.scratch.name()});
            let found = self.tool("memory_search", search).await;
            let finds = found.is_some_and(|found| found["memories"][0]["id"] == id);
            self.must(finds, "memory_search: does not find what was just added");
            let update = json!({"id": id, "content": format!("{text} and more")});
            let updated = self.tool("memory_update", update).await;
            let second = updated.is_some_and(|updated| updated["version"] == 2);
            self.must(second, "memory_update: not the second version");
            let gets = vec![json!({"type": "get", "data": {"id": id}}); BATCH_LEN];
            let batch = self.tool("memory_batch", json!({"operations": gets})).await;
            let all = batch
                .and_then(|batch| Some(batch["results"].as_array()?.len()))
                .is_some_and(|len| len == BATCH_LEN);
            self.must(all, "memory_batch: not a result for each operation");
            self.tool("memory_delete", json!({"id": id})).await;
            number += 1;
        }
    }

    async fn add(&mut self, number: usize) -> Option<MemoryId> {
        let call = self.scratch.call(true);
        let (memory, add) = (self.scratch.memory.clone(), self.scratch.add(number));
        let added = self.sample("add", &call, memory.add(&call, add)).await?;
        self.scratch.added(added.id.clone());
        Some(added.id)
    }

    async fn get(&mut self, id: &MemoryId, past_cache: bool) -> Option<Arc<Memory>> {
        let call = self.scratch.call(past_cache);
        let memory = self.scratch.memory.clone();
        let get = Get { id: id.clone() };
        self.sample("get", &call, memory.get(&call, get)).await
    }

    async fn search(&mut self, query: String, past_cache: bool) -> Option<Found> {
        let call = self.scratch.call(past_cache);
        let memory = self.scratch.memory.clone();
        let search = Search {
            query,
            namespace: Some(self.scratch.name().to_owned()),
            ..Search::default()
        };
        self.sample("search", &call, memory.search(&call, search))
            .await
    }

    async fn store(&mut self) {
        let mut number = 0;
        while self.next(number) {
            if let Some(id) = self.add(number).await {
                let got = self.get(&id, true).await;
                let same = got.is_some_and(|got| got.content == self.scratch.text(number));
                self.must(same, "get: another text than was added");
                let found = self.search(format!("sample{number}"), true).await;
                let finds = found.is_some_and(|found| finds(&found, &id));
                self.must(finds, "search: does not find what was just added");
            }
            number += 1;
        }
    }

    async fn cache(&mut self) {
        // Not sampled: what is to be read again must have been read once.
        let call = self.scratch.call(false);
        let added = self.scratch.memory.add(&call, self.scratch.add(0)).await;
        let Ok(added) = added else {
            self.samples.wrong("add: refused".to_owned());
            return;
        };
        self.scratch.added(added.id.clone());
        let mut number = 0;
        while self.next(number) {
            let got = self.get(&added.id, false).await;
            let same = got.is_some_and(|got| got.content == self.scratch.text(0));
            self.must(same, "get: another text than was added");
            let found = self.search("sample0".to_owned(), false).await;
            let finds = found.is_some_and(|found| finds(&found, &added.id));
            self.must(finds, "search: does not find what is there");
            number += 1;
        }
    }

    /// One sample is a whole task.
    async fn end_to_end(&mut self) {
        let mut number = 0;
        while self.next(number) {
            let call = self.scratch.call(false);
            let scratch = self.scratch;
            let task = task(scratch, &call, number);
            let done = self.sample("task", &call, task).await;
            let holds = done.is_none_or(|done| done);
            self.must(
                holds,
                "task: a step did not see what the one before it had done",
            );
            number += 1;
        }
    }
}

fn finds(found: &Found, id: &MemoryId) -> bool {
    found.memories.iter().any(|hit| hit.memory.id == *id)
}

/// What an agent does: recalls, notes, finds that again, reads it, corrects it, drops it. Whether each
/// step saw what the one before it had done.
async fn task(scratch: &Scratch, call: &Call, number: usize) -> Result<bool, MemoryError> {
    let memory = &scratch.memory;
    let search = |query: String| Search {
        query,
        namespace: Some(scratch.name().to_owned()),
        ..Search::default()
    };
    // A number that no other section uses.
    let number = 1_000_000 + number;
    memory
        .search(call, search("deployment decision".to_owned()))
        .await?;
    let added = memory.add(call, scratch.add(number)).await?;
    let id = added.id;
    scratch.added(id.clone());
    let found = memory
        .search(call, search(format!("sample{number}")))
        .await?;
    let update = Update {
        id: id.clone(),
        content: Some(format!("{} corrected", scratch.text(number))),
        tags: None,
        metadata: None,
        version: Some(1),
    };
    memory.update(call, update).await?;
    let got = memory.get(call, Get { id: id.clone() }).await?;
    let corrected = got.content.ends_with("corrected") && got.version == 2;
    memory.delete(call, Delete { id: id.clone() }).await?;
    let gone = memory.get(call, Get { id: id.clone() }).await;
    let gone = matches!(gone, Err(MemoryError::NotFound { .. }));
    Ok(finds(&found, &id) && corrected && gone)
}

/// All callers do the same at once, each on memories of its own.
async fn concurrent(scratch: &Scratch) -> Samples {
    let callers = (0..CONCURRENT).map(|caller| async move {
        let mut samples = Samples::default();
        let mut work = Work {
            scratch,
            samples: &mut samples,
        };
        let each = (scratch.extent.samples as usize).div_ceil(CONCURRENT);
        for number in 0..each {
            if !work.next(number) {
                break;
            }
            let number = (caller + 2) * 10_000_000 + number;
            if let Some(id) = work.add(number).await {
                let got = work.get(&id, false).await;
                let same = got.is_some_and(|got| got.content == scratch.text(number));
                work.must(same, "get: the text of another caller");
                let found = work.search(format!("sample{number}"), false).await;
                let finds = found.is_some_and(|found| finds(&found, &id));
                work.must(finds, "search: does not find what was just added");
            }
        }
        samples
    });
    let mut all = Samples::default();
    for samples in join_all(callers).await {
        all.absorb(samples);
    }
    all
}
