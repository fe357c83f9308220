//! What a process hears of the others: the subscription and the heartbeat.

use super::{
    message::Message,
    mirror::Order,
    node::Node,
    store::{Feed, Joined, RemoteError},
};
use crate::RemoteEvent;
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// How long to wait before the next attempt to connect, at first and at most.
const DELAYS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// The heartbeat of a tier without a lease.
const BEAT: Duration = Duration::from_millis(500);

/// Listens for as long as the process uses the tier.
pub(super) async fn run(node: Arc<Node>) {
    let mut delay = DELAYS.0;
    loop {
        match begin(&node).await {
            Ok(feed) => {
                delay = DELAYS.0;
                node.report(RemoteEvent::Connected);
                let hears = Hears(&node);
                tokio::select! {
                    () = listen(&node, feed) => {}
                    () = beat(&node) => {}
                }
                drop(hears);
                node.report(RemoteEvent::Disconnected);
            }
            Err(error) => node.report(RemoteEvent::ConnectFailed(&error)),
        }
        sleep(delay).await;
        delay = (delay * 2).min(DELAYS.1);
    }
}

/// Messages are heard; once it is dropped, in whatever way, they are not.
struct Hears<'a>(&'a Node);

impl Drop for Hears<'_> {
    fn drop(&mut self) {
        self.0.mirror.end();
    }
}

/// Subscribes, and only then asks where the others are: what is published later
/// comes through the feed, and what was published before may have been missed.
async fn begin(node: &Node) -> Result<Box<dyn Feed>, RemoteError> {
    let feed = node.within(node.plane.subscribe()).await?;
    let asked_ms = node.clock.now_ms();
    let joined = join(node, false).await?;
    start(node, joined.epoch);
    node.lease.confirm(asked_ms);
    node.counters.subscriptions.add_one();
    Ok(feed)
}

pub(super) async fn join(node: &Node, force: bool) -> Result<Joined, RemoteError> {
    let known = *node.heard.borrow();
    let forget = Message::Forget.encode();
    node.within(node.plane.join(known, force, &forget)).await
}

/// Begins to know, from `number` on.
fn start(node: &Node, number: u64) {
    if node.lease.is_shared() {
        node.forget();
    }
    node.mirror.begin(number);
    node.heard.send_replace(number);
}

async fn listen(node: &Node, mut feed: Box<dyn Feed>) {
    while let Some((number, body)) = feed.next().await {
        match node.mirror.order(number) {
            Order::Old => continue,
            Order::Gap => start(node, number),
            Order::Next => apply(node, number, Message::decode(body)),
        }
    }
}

/// In this order: whoever finds the number applied finds its stamps raised and
/// the first tier in obedience.
fn apply(node: &Node, number: u64, message: Message) {
    let Message::Invalidate { origin, scopes } = message else {
        return start(node, number);
    };
    for scope in &scopes {
        node.mirror.raise(scope.mark(), number);
    }
    // One's own was obeyed before it was told, and what is there now was loaded
    // since.
    if origin != node.id {
        node.obey(&scopes);
        node.counters.heard.add_one();
    }
    node.mirror.apply(number);
    node.heard.send_replace(number);
    if origin != node.id {
        node.report(RemoteEvent::Heard { number });
    }
}

/// Joins, again and again and when somebody doubts, so that a service that lost something is found without
/// anybody asking it, and extends the lease when all messages up to its epoch are
/// here. Ends when some do not come.
async fn beat(node: &Node) {
    let period = node.config.lease.map_or(BEAT, |lease| lease / 4);
    let mut heard = node.heard.subscribe();
    loop {
        tokio::select! {
            () = sleep(period) => {}
            () = node.doubt.notified() => {}
        }
        let asked_ms = node.clock.now_ms();
        match join(node, false).await {
            Ok(joined) => {
                let comes = heard.wait_for(|number| *number >= joined.epoch);
                if timeout(period, comes).await.is_err() {
                    return;
                }
                node.lease.confirm(asked_ms);
            }
            Err(error) => node.report(RemoteEvent::ConnectFailed(&error)),
        }
    }
}
