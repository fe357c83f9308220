//! A call on its way to an upstream: what goes along with it, and what comes back before the answer.

use std::{sync::Arc, time::Duration};

use http::request::Parts;
use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolRequestParams, ErrorCode, ProgressNotificationParam, ProgressToken},
    service::RequestContext,
};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::{
    call::{Exchange, Progress},
    trace::{TRACEPARENT, Trace},
};

/// News of progress that wait to be passed on; further ones are left out.
const NEWS_MAX: usize = 16;
/// How long a client may take to accept one of them.
const NEWS_TIMEOUT: Duration = Duration::from_secs(1);

/// What ties a client's request to the call of an upstream.
pub(super) struct Relay {
    pub(super) exchange: Arc<Exchange>,
    news: Option<(ProgressToken, mpsc::Receiver<Progress>)>,
}

impl Relay {
    /// Takes from a request what the upstream needs to know.
    pub(super) fn of(
        request: &mut CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Self {
        let (progress, news) = match context.meta.get_progress_token() {
            Some(token) => {
                let (to, news) = mpsc::channel(NEWS_MAX);
                (Some(to), Some((token, news)))
            }
            None => (None, None),
        };
        let exchange = Exchange {
            capabilities: context.meta.client_capabilities(),
            input_responses: request.input_responses.take(),
            request_state: request.request_state.take(),
            progress,
        };
        Self {
            exchange: Arc::new(exchange),
            news,
        }
    }

    /// Where a request belongs in its client's trace: by its `_meta`, or by its head.
    pub(super) fn trace_of(context: &RequestContext<RoleServer>) -> Option<Trace> {
        let said = context.meta.get(TRACEPARENT).and_then(Value::as_str);
        let head = context.extensions.get::<Parts>();
        let header = head.and_then(|head| head.headers.get(TRACEPARENT)?.to_str().ok());
        said.or(header)?.parse().ok()
    }

    /// Runs the call, and tells the client of its progress. Drops it when the client cancels.
    pub(super) async fn run<T>(
        self,
        context: &RequestContext<RoleServer>,
        call: impl Future<Output = T>,
    ) -> Result<T, ErrorData> {
        let call = async {
            match self.news {
                Some((token, news)) => with_news(call, token, news, context).await,
                None => call.await,
            }
        };
        let cancelled = context.ct.run_until_cancelled(call).await;
        cancelled.ok_or_else(|| {
            ErrorData::new(
                ErrorCode::INTERNAL_ERROR,
                "the client cancelled the call",
                None,
            )
        })
    }
}

async fn with_news<T>(
    call: impl Future<Output = T>,
    token: ProgressToken,
    mut news: mpsc::Receiver<Progress>,
    context: &RequestContext<RoleServer>,
) -> T {
    let mut call = std::pin::pin!(call);
    loop {
        tokio::select! {
            biased;
            Some(progress) = news.recv() => {
                let mut params = ProgressNotificationParam::new(token.clone(), progress.progress);
                params.total = progress.total;
                params.message = progress.message;
                // A client that does not listen misses its news, not its answer.
                let told = context.peer.notify_progress(params);
                let _ = tokio::time::timeout(NEWS_TIMEOUT, told).await;
            }
            result = &mut call => return result,
        }
    }
}
