//! Tools that talk while they run: log messages, progress, a slow stream.

use std::time::Duration;

use rmcp::model::{
    LoggingLevel, LoggingMessageNotificationParam, ProgressNotificationParam, ProgressToken,
};
use serde_json::json;
use tokio::time::sleep;

use super::{Call, Outcome, Spec, no_arguments, say};
use crate::shared::is_stateless;

/// Long enough for a client to see one message before the next.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) const TOOLS: &[Spec] = &[
    Spec {
        name: "test_tool_with_logging",
        description: "Logs three messages while it runs",
        schema: no_arguments,
        run: |call| Box::pin(log_thrice(call)),
    },
    Spec {
        name: "test_logging_tool",
        description: "Logs one message",
        schema: no_arguments,
        run: |call| Box::pin(log_once(call)),
    },
    Spec {
        name: "test_tool_with_progress",
        description: "Reports its progress in three steps",
        schema: no_arguments,
        run: |call| Box::pin(progress(call)),
    },
    Spec {
        name: "test_reconnection",
        description: "Takes a moment, so that its stream can break meanwhile",
        schema: no_arguments,
        run: |_| Box::pin(dawdle()),
    },
];

async fn log_thrice(call: Call) -> Outcome {
    log(&call, LoggingLevel::Info, "Tool execution started").await;
    sleep(PAUSE).await;
    log(&call, LoggingLevel::Info, "Tool processing data").await;
    sleep(PAUSE).await;
    log(&call, LoggingLevel::Info, "Tool execution completed").await;
    say("logged three messages")
}

async fn log_once(call: Call) -> Outcome {
    log(&call, LoggingLevel::Info, "Logged on request").await;
    say("logged one message to whoever asked for it")
}

async fn progress(call: Call) -> Outcome {
    let token = call.context.meta.get_progress_token();
    report(&call, token.as_ref(), 0.0).await;
    sleep(PAUSE).await;
    report(&call, token.as_ref(), 50.0).await;
    sleep(PAUSE).await;
    report(&call, token.as_ref(), 100.0).await;
    say("done in three steps")
}

async fn dawdle() -> Outcome {
    sleep(2 * PAUSE).await;
    say("still here")
}

async fn log(call: &Call, level: LoggingLevel, text: &str) {
    // A stateless request that names no level wants no messages.
    let threshold = if is_stateless(&call.context) {
        call.context.meta.log_level()
    } else {
        Some(call.shared.log_level())
    };
    // Levels are declared in the order of their severity.
    if threshold.is_none_or(|threshold| (level as u8) < threshold as u8) {
        return;
    }
    let message =
        LoggingMessageNotificationParam::new(level, json!(text)).with_logger("everything");
    if let Err(error) = call.context.peer.notify_logging_message(message).await {
        tracing::debug!(%error, "message not delivered");
    }
}

async fn report(call: &Call, token: Option<&ProgressToken>, percent: f64) {
    let Some(token) = token else { return };
    let progress = ProgressNotificationParam::new(token.clone(), percent).with_total(100.0);
    if let Err(error) = call.context.peer.notify_progress(progress).await {
        tracing::debug!(%error, "progress not delivered");
    }
}
