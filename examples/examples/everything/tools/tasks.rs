//! Tools that outlive their request: the client gets a task to poll.

use std::{pin::Pin, time::Duration};

use rmcp::{
    ErrorData,
    model::{
        CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock, CreateTaskResult,
        JsonObject,
    },
    task_manager::{TaskContext, TaskExit, TaskOptions},
};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Call, Outcome, Spec, at_once, no_arguments, say};
use crate::inputs;

type JobResult = Result<CallToolResult, TaskExit>;
type Job = Pin<Box<dyn Future<Output = JobResult> + Send>>;

/// The longest computation: a fixture should not be kept busy for days.
const COMPUTE_MAX: Duration = Duration::from_secs(600);

pub(super) const TOOLS: &[Spec] = &[
    Spec {
        name: "greet",
        description: "Greets at once, never as a task",
        schema: || texts(&["name"]),
        run: |call| {
            let name = call.text_argument("name").unwrap_or("stranger");
            at_once(say(format!("Hello, {name}!")))
        },
    },
    Spec {
        name: "slow_compute",
        description: "Takes some seconds; can be cancelled",
        schema: || {
            json!({
                "type": "object",
                "properties": { "seconds": { "type": "number" }, "label": { "type": "string" } },
            })
        },
        run: |call| {
            Box::pin(if_possible(call, |args, task| {
                Box::pin(compute(args, task))
            }))
        },
    },
    Spec {
        name: "failing_job",
        description: "A task whose tool fails",
        schema: no_arguments,
        run: |call| at_once(always(&call, |_, _| Box::pin(fail_slowly()))),
    },
    Spec {
        name: "protocol_error_job",
        description: "A task that ends in a protocol error",
        schema: no_arguments,
        run: |call| Box::pin(if_possible(call, |_, _| Box::pin(break_slowly()))),
    },
    Spec {
        name: "confirm_delete",
        description: "A task that waits for a confirmation",
        schema: || texts(&["filename"]),
        run: |call| {
            at_once(always(&call, |args, task| {
                Box::pin(confirm_delete(args, task))
            }))
        },
    },
    Spec {
        name: "multi_input",
        description: "A task that waits for two answers at once",
        schema: no_arguments,
        run: |call| at_once(always(&call, |_, task| Box::pin(two_inputs(task)))),
    },
    Spec {
        name: "test_tool_with_task",
        description: "Asks for a name before it becomes a task",
        schema: no_arguments,
        run: |call| at_once(ask_then_start(&call)),
    },
];

/// Runs `job` as a task if the client knows tasks, otherwise within the request.
async fn if_possible(call: Call, job: fn(JsonObject, Option<TaskContext>) -> Job) -> Outcome {
    if call.client().supports_tasks() {
        return Ok(start(&call, |args, task| job(args, Some(task))));
    }
    match job(call.arguments, None).await {
        Ok(result) => Ok(result.into()),
        Err(TaskExit::Error(error)) => Err(error),
        Err(TaskExit::Cancelled) => Err(ErrorData::internal_error("cancelled", None)),
    }
}

/// Runs `job` as a task, and refuses clients that do not know tasks.
fn always(call: &Call, job: impl FnOnce(JsonObject, TaskContext) -> Job) -> Outcome {
    need_tasks(call)?;
    Ok(start(call, job))
}

fn need_tasks(call: &Call) -> Result<(), ErrorData> {
    if call.client().supports_tasks() {
        return Ok(());
    }
    let needed = ClientCapabilities::builder().enable_tasks().build();
    Err(ErrorData::missing_required_client_capability(needed))
}

fn start(call: &Call, job: impl FnOnce(JsonObject, TaskContext) -> Job) -> CallToolResponse {
    let arguments = call.arguments.clone();
    let task = call
        .shared
        .tasks
        .spawn(TaskOptions::default(), |task| job(arguments, task));
    CreateTaskResult::new(task).into()
}

async fn compute(arguments: JsonObject, task: Option<TaskContext>) -> JobResult {
    let seconds = arguments
        .get("seconds")
        .and_then(Value::as_f64)
        .unwrap_or(1.0);
    let label = text_of(&arguments, "label").unwrap_or("computation");
    let duration = match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if duration <= COMPUTE_MAX => duration,
        _ => return Ok(failure("seconds is out of range")),
    };
    match task {
        None => sleep(duration).await,
        Some(task) => tokio::select! {
            () = sleep(duration) => {}
            () = task.cancelled() => return Err(TaskExit::Cancelled),
        },
    }
    Ok(success(format!("{label} took {seconds} s")))
}

async fn fail_slowly() -> JobResult {
    sleep(Duration::from_secs(1)).await;
    Ok(failure("this job always fails"))
}

async fn break_slowly() -> JobResult {
    sleep(Duration::from_millis(200)).await;
    Err(ErrorData::internal_error("this job always breaks", None).into())
}

async fn confirm_delete(arguments: JsonObject, task: TaskContext) -> JobResult {
    let file = text_of(&arguments, "filename").unwrap_or("the file");
    let (key, question) = inputs::form("confirm", &format!("Delete {file}?"), "confirm", "boolean");
    let answer = task.request_input(key, question).await?;
    let confirmed = answer.pointer("/content/confirm") == Some(&Value::Bool(true));
    Ok(success(if confirmed {
        format!("deleted {file}, or would have")
    } else {
        format!("kept {file}")
    }))
}

async fn two_inputs(task: TaskContext) -> JobResult {
    let ask = |key| {
        let (key, question) = inputs::form(key, "Which value?", "value", "string");
        task.request_input(key, question)
    };
    let (first, second) = tokio::try_join!(ask("first"), ask("second"))?;
    Ok(success(format!("received {first} and {second}")))
}

/// The questions come before the task: a client without sessions answers them as
/// for any other tool, and only the last round starts something that lasts.
fn ask_then_start(call: &Call) -> Outcome {
    need_tasks(call)?;
    let Some(answer) = call.answers.get("user_name") else {
        let question = inputs::form("user_name", "What is your name?", "name", "string");
        return Ok(inputs::ask(&call.context, [question], None)?.into());
    };
    let name = inputs::typed(answer, "name")
        .unwrap_or("stranger")
        .to_owned();
    Ok(start(call, |_, _| {
        Box::pin(async move {
            sleep(Duration::from_millis(200)).await;
            Ok(success(format!("Hello at last, {name}!")))
        })
    }))
}

fn texts(names: &[&str]) -> Value {
    let properties: JsonObject = names
        .iter()
        .map(|name| ((*name).to_owned(), json!({ "type": "string" })))
        .collect();
    json!({ "type": "object", "properties": properties })
}

fn text_of<'a>(arguments: &'a JsonObject, name: &str) -> Option<&'a str> {
    arguments.get(name)?.as_str()
}

fn success(text: impl Into<String>) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

fn failure(text: &str) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(text)])
}
