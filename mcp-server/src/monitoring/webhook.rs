//! News of alerts, told to somebody by a POST: through a queue with a bound, to public addresses
//! only unless the settings say otherwise.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::News;
use crate::ports::Courier;

/// How often one piece of news is tried to be told.
const ATTEMPTS: u32 = 3;
/// The pause before the second attempt; then twice as long.
const PAUSE: Duration = Duration::from_millis(500);

/// News that wait to be told. When there are too many, the oldest make room: what is true now is
/// said last.
#[derive(Debug)]
pub(super) struct Outbox {
    waiting: std::sync::Mutex<VecDeque<Vec<u8>>>,
    len_max: usize,
    added: Notify,
}

impl Outbox {
    pub(super) fn new(len_max: usize) -> Self {
        Self {
            waiting: std::sync::Mutex::default(),
            len_max,
            added: Notify::new(),
        }
    }

    pub(super) fn push(&self, news: &News) {
        let Ok(json) = serde_json::to_vec(news) else {
            return;
        };
        let mut waiting = super::lock(&self.waiting);
        if waiting.len() == self.len_max {
            waiting.pop_front();
            tracing::warn!("the webhook is too slow: news of an alert is not told");
        }
        waiting.push_back(json);
        drop(waiting);
        self.added.notify_one();
    }

    async fn next(&self) -> Vec<u8> {
        loop {
            let next = super::lock(&self.waiting).pop_front();
            match next {
                Some(news) => return news,
                None => self.added.notified().await,
            }
        }
    }
}

/// Tells what is in `outbox` by `courier`, one piece of news after the other, until it is dropped.
pub(super) async fn tell(outbox: &Outbox, courier: &Arc<dyn Courier>, limit: Duration) {
    loop {
        let news = outbox.next().await;
        let mut pause = PAUSE;
        for attempt in 1..=ATTEMPTS {
            let sent = timeout(limit, courier.post(news.clone())).await;
            let reason = match sent {
                Ok(Ok(())) => break,
                Ok(Err(reason)) => reason,
                Err(_) => format!("no answer within {limit:?}"),
            };
            if attempt == ATTEMPTS {
                tracing::warn!("the webhook was not told of an alert: {reason}");
            } else {
                sleep(pause).await;
                pause *= 2;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;
    use crate::monitoring::{AlertKind, Alerts, Finding, Severity};

    /// Fails as often as it is told to, then takes what it is given.
    #[derive(Default)]
    struct Scripted {
        failures: Mutex<u32>,
        told: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl Courier for Scripted {
        async fn post(&self, body: Vec<u8>) -> Result<(), String> {
            let mut failures = self.failures.lock().unwrap();
            if *failures > 0 {
                *failures -= 1;
                return Err("not now".to_owned());
            }
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let subject = body["alert"]["subject"].as_str().unwrap();
            self.told.lock().unwrap().push(subject.to_owned());
            Ok(())
        }
    }

    fn news(subject: &str) -> News {
        let finding = Finding {
            kind: AlertKind::Errors,
            subject: subject.to_owned(),
            severity: Severity::Critical,
            value: 1.0,
            threshold: 0.1,
            message: String::new(),
        };
        let now = jiff::Timestamp::UNIX_EPOCH;
        Alerts::new(1).step(now, vec![finding]).remove(0)
    }

    async fn told(outbox: Outbox, failures: u32) -> Vec<String> {
        let scripted = Arc::new(Scripted {
            failures: Mutex::new(failures),
            ..Scripted::default()
        });
        let courier: Arc<dyn Courier> = scripted.clone();
        let hour = Duration::from_secs(3_600);
        let _ = timeout(hour, tell(&outbox, &courier, Duration::from_secs(1))).await;
        let told = scripted.told.lock().unwrap();
        told.clone()
    }

    #[tokio::test(start_paused = true)]
    async fn news_are_told_in_their_order_and_again_after_a_failure() {
        let outbox = Outbox::new(10);
        outbox.push(&news("a"));
        outbox.push(&news("b"));
        assert_eq!(told(outbox, 2).await, ["a", "b"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_told_does_not_keep_the_rest_back() {
        let outbox = Outbox::new(10);
        outbox.push(&news("a"));
        outbox.push(&news("b"));
        assert_eq!(told(outbox, ATTEMPTS).await, ["b"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_make_room() {
        let outbox = Outbox::new(2);
        for subject in ["a", "b", "c"] {
            outbox.push(&news(subject));
        }
        assert_eq!(told(outbox, 0).await, ["b", "c"]);
    }
}
