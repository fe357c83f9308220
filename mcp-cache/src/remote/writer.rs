//! Stores values in the second tier, behind the callers' backs.

use super::node::Node;
use crate::RemoteEvent;
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::timeout};

/// Values of one round trip.
const BATCH_MAX: usize = 64;

pub(super) async fn run(node: Arc<Node>, mut writes: mpsc::Receiver<(Bytes, Bytes, Duration)>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while writes.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let stored = store(&node, &batch).await;
        for _ in batch.drain(..) {
            match stored {
                true => node.counters.writes.add_one(),
                false => node.counters.writes_lost.add_one(),
            }
        }
    }
}

async fn store(node: &Node, batch: &[(Bytes, Bytes, Duration)]) -> bool {
    let Some(pass) = node.guard.admit() else {
        return false;
    };
    // A batch may be large; nobody waits for it.
    let limit = node.config.deadline.max(Duration::from_secs(1));
    match timeout(limit, node.store.set(batch)).await {
        Ok(Ok(())) => pass.succeeded(),
        Ok(Err(error)) => {
            pass.failed();
            node.report(RemoteEvent::StoreFailed(&error));
            return false;
        }
        Err(_) => {
            pass.failed();
            return false;
        }
    }
    true
}
