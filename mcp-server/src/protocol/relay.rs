//! A call on its way to an upstream: what goes along with it, and what comes back before the answer.

use std::{sync::Arc, time::Duration};

use http::request::Parts;
use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolRequestParams, ErrorCode, ProgressNotificationParam, ProgressToken},
    service::RequestContext,
};
use serde_json::Value;
use tokio::sync::{Notify, mpsc};

use crate::{
    call::{Exchange, Progress},
    trace::{TRACEPARENT, Trace},
};

/// News of progress that wait to be passed on; further ones are left out.
const NEWS_MAX: usize = 16;
/// How long a client may take to accept one of them.
const NEWS_TIMEOUT: Duration = Duration::from_secs(1);
/// How long it may take to accept those that are there when the answer is.
const LAST_NEWS: Duration = Duration::from_millis(100);

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
                Some((token, news)) => {
                    let tell = |progress: Progress| {
                        let mut params =
                            ProgressNotificationParam::new(token.clone(), progress.progress);
                        params.total = progress.total;
                        params.message = progress.message;
                        let peer = context.peer.clone();
                        // A client that does not listen misses its news, not its answer.
                        async move { peer.notify_progress(params).await.unwrap_or_default() }
                    };
                    with_news(call, news, tell).await
                }
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

/// Runs the call, and tells of its news as they come. Those that are there when the answer is get a
/// moment more, so that they come before it; a client that does not take them misses them, and does
/// not wait longer for its answer.
async fn with_news<T, Telling: Future<Output = ()>>(
    call: impl Future<Output = T>,
    mut news: mpsc::Receiver<Progress>,
    tell: impl Fn(Progress) -> Telling,
) -> T {
    let answered = Notify::new();
    let telling = async {
        loop {
            let progress = tokio::select! {
                biased;
                Some(progress) = news.recv() => progress,
                () = answered.notified() => return,
            };
            // One that is stuck does not hold up the next ones for ever.
            let _ = tokio::time::timeout(NEWS_TIMEOUT, tell(progress)).await;
        }
    };
    let (mut telling, mut call) = (std::pin::pin!(telling), std::pin::pin!(call));
    let result = tokio::select! {
        biased;
        () = &mut telling => unreachable!("it goes on until there is an answer"),
        result = &mut call => result,
    };
    answered.notify_one();
    let _ = tokio::time::timeout(LAST_NEWS, telling).await;
    result
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// The sender outlives the call, as it does where the client's request is kept.
    fn news(count: u32) -> (mpsc::Sender<Progress>, mpsc::Receiver<Progress>) {
        let (to, news) = mpsc::channel(NEWS_MAX);
        for step in 0..count {
            let progress = f64::from(step);
            let (total, message) = (None, None);
            to.try_send(Progress {
                progress,
                total,
                message,
            })
            .unwrap();
        }
        (to, news)
    }

    #[tokio::test(start_paused = true)]
    async fn news_come_before_the_answer() {
        let told = Mutex::new(Vec::new());
        let tell = |progress: Progress| {
            told.lock().unwrap().push(progress.progress);
            std::future::ready(())
        };
        let (_to, news) = news(3);
        assert_eq!(with_news(async { 7 }, news, tell).await, 7);
        assert_eq!(*told.lock().unwrap(), [0.0, 1.0, 2.0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_no_news_gets_its_answer_soon() {
        let began = tokio::time::Instant::now();
        let tell = |_| std::future::pending();
        let call = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            7
        };
        let (_to, news) = news(16);
        assert_eq!(with_news(call, news, tell).await, 7);
        assert!(
            began.elapsed() < Duration::from_millis(200),
            "{:?}",
            began.elapsed()
        );
    }
}
