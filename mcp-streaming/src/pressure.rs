//! Making room in a full budget: first what nobody waits for (unused leases and
//! the histories of those who moved least recently), then, if writers still
//! wait after the stall time, the stalled stream that holds most.

use crate::{core::Summary, error::EndReason, hub::Hub, stream::Stream};
use std::{sync::Arc, time::Duration};

/// Makes room if there is need. `waited_since_ms` is since when writers have
/// been waiting; it belongs to this function.
pub(crate) fn relieve(hub: &Hub, now_ms: u64, waited_since_ms: &mut Option<u64>) {
    let waited_for = hub.meter.is_waited_for();
    if waited_for || hub.meter.is_high() {
        hub.tell_shed(shed(hub));
    }
    if !hub.meter.is_waited_for() {
        *waited_since_ms = None;
        return;
    }
    let stall_ms = millis(hub.config.stall_timeout);
    let since_ms = *waited_since_ms.get_or_insert(now_ms);
    if now_ms - since_ms < stall_ms {
        return;
    }
    if let Some(stream) = worst(hub, now_ms, stall_ms) {
        stream.end(EndReason::Stalled);
        // What came back is for those who wait; the next one goes only if it
        // was not enough.
        *waited_since_ms = Some(now_ms - stall_ms + stall_ms / 4);
    }
}

/// Takes histories and unused leases, from those who moved least recently on,
/// until the use is below the low watermark, and further by a tenth of the limit
/// where that was not enough for those who wait. Says how many bytes came back.
fn shed(hub: &Hub) -> u64 {
    let marks = hub.meter.marks();
    let target = match hub.meter.is_waited_for() {
        true => marks
            .low
            .min(hub.meter.used().saturating_sub(marks.limit / 10)),
        false => marks.low,
    };
    let streams = hub.all();
    let mut candidates: Vec<(u64, &Arc<Stream>)> = streams
        .iter()
        .map(|stream| (stream.summary(), stream))
        .filter(|(summary, _)| summary.leased > summary.used || summary.history > 0)
        .map(|(summary, stream)| (summary.moved_ms, stream))
        .collect();
    candidates.sort_unstable_by_key(|(moved_ms, _)| *moved_ms);
    let mut shed = 0;
    for (_, stream) in candidates {
        if hub.meter.used() <= target {
            break;
        }
        shed += stream.shed();
    }
    shed
}

/// The stream with the most unread bytes among those whose reader has not moved
/// for the stall time.
fn worst(hub: &Hub, now_ms: u64, stall_ms: u64) -> Option<Arc<Stream>> {
    let stalled = |summary: &Summary| {
        summary.unread > 0 && now_ms.saturating_sub(summary.moved_ms) >= stall_ms
    };
    let streams = hub.all().into_iter();
    streams
        .map(|stream| (stream.summary(), stream))
        .filter(|(summary, _)| stalled(summary))
        .max_by_key(|(summary, _)| summary.unread)
        .map(|(_, stream)| stream)
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
