//! Has this process's invalidations numbered, however long that takes.

use super::{
    link::join, message::Message, node::Node, pending::Batch, scope::Scope, store::RemoteError,
};
use crate::RemoteEvent;
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// Scopes of one message.
const BATCH_MAX: usize = 256;
/// How long to wait before the next attempt, at first and at most.
const DELAYS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

pub(super) async fn run(node: Arc<Node>) {
    let mut delay = DELAYS.0;
    loop {
        let Some(batch) = node.pending.take(BATCH_MAX) else {
            node.work.notified().await;
            continue;
        };
        let flying = Flying(Some(&node));
        match publish(&node, &batch).await {
            Ok(()) => {
                delay = DELAYS.0;
                flying.landed();
            }
            Err(error) => {
                drop(flying);
                node.report(RemoteEvent::PublishFailed(&error));
                sleep(delay).await;
                delay = (delay * 2).min(DELAYS.1);
            }
        }
    }
}

/// A batch that was taken; once it is dropped, in whatever way, it waits again.
struct Flying<'a>(Option<&'a Node>);

impl Flying<'_> {
    fn landed(mut self) {
        let Some(node) = self.0.take() else { return };
        let numbered = node.pending.done();
        node.counters.published.add_one();
        node.progress.send_modify(|progress| {
            progress.numbered = numbered;
            progress.failing = false;
        });
    }
}

impl Drop for Flying<'_> {
    fn drop(&mut self) {
        let Some(node) = self.0 else { return };
        node.pending.failed();
        node.counters.publish_errors.add_one();
        node.progress
            .send_modify(|progress| progress.failing = true);
    }
}

async fn publish(node: &Node, batch: &Batch) -> Result<(), RemoteError> {
    let Batch::Scopes(scopes) = batch else {
        // The new base comes back as a message, too, and moves the mirror on. Until
        // then nothing from before it may be judged here.
        let joined = join(node, true).await?;
        node.mirror.forget_before(joined.base);
        return Ok(());
    };
    let slots: Vec<u32> = scopes
        .iter()
        .flat_map(|scope| scope.mark().slots())
        .collect();
    let message = Message::Invalidate {
        origin: node.id,
        scopes: scopes.clone(),
    };
    let body = message.encode();
    let lost = match node.within(node.plane.publish(&slots, &body)).await {
        Ok(Some(number)) => {
            raise(node, scopes, number);
            return Ok(());
        }
        Ok(None) => RemoteError::WentBack,
        // What it numbers by may be of another kind.
        Err(refused @ RemoteError::Refused { .. }) => refused,
        Err(error) => return Err(error),
    };
    join(node, false).await?;
    Err(lost)
}

/// Before they leave what is pending, so that nobody finds them in neither.
fn raise(node: &Node, scopes: &[Scope], number: u64) {
    for scope in scopes {
        node.mirror.raise(scope.mark(), number);
    }
}
