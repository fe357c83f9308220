//! Making room under a limit that is full: first what nobody waits for (unused
//! leases and the histories of those who moved least recently), then, if writers
//! still wait after the stall time, the stalled stream whose end frees most.

use crate::{
    core::Summary,
    error::EndReason,
    hub::Hub,
    line::Ticket,
    meter::Meter,
    stream::{Siblings, Stream},
};
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    task::Waker,
    time::Duration,
};

/// How long the first one in a line may leave its room unused before the others
/// go on. It was woken; whoever has something better to do has its turn again as
/// soon as it comes.
const GRACE_MS: u64 = 1_000;

/// Since when a limit has been short.
#[derive(Debug, Default)]
pub(crate) struct Pressure {
    waited_since_ms: Option<u64>,
    /// Who has room and does not come, and since when.
    due: Option<(Ticket, u64)>,
}

/// Sessions in whose lines somebody waits, by the address of their meter.
pub(crate) type ShortSessions = HashMap<usize, Short>;

pub(crate) struct Short {
    meter: Arc<Meter>,
    session: Weak<dyn Siblings>,
    pressure: Pressure,
}

impl Short {
    pub(crate) fn new(meter: &Arc<Meter>, session: &Weak<dyn Siblings>) -> Self {
        Self {
            meter: Arc::clone(meter),
            session: Weak::clone(session),
            pressure: Pressure::default(),
        }
    }
}

/// Makes room in the budget if there is need.
pub(crate) fn relieve(hub: &Hub, now_ms: u64, pressure: &mut Pressure) {
    if hub.meter.is_waited_for() || hub.meter.is_high() {
        hub.tell_shed(shed(hub));
    }
    pressure.relieve(hub, &hub.meter, now_ms, || hub.all());
}

/// Makes room in the sessions that are short. One whose first writer has room
/// there, while writers wait for the budget, may be waiting for the budget.
pub(crate) fn relieve_sessions(hub: &Hub, now_ms: u64) {
    let mut short = hub.take_short();
    short.retain(|_, short| {
        let Some(session) = short.session.upgrade() else {
            return false;
        };
        let meter = &short.meter;
        if meter.is_due().is_none() || !hub.meter.is_waited_for() {
            let streams = || session.streams();
            short.pressure.relieve(hub, meter, now_ms, streams);
        }
        meter.is_waited_for()
    });
    hub.put_short(short);
}

impl Pressure {
    fn relieve(
        &mut self,
        hub: &Hub,
        meter: &Meter,
        now_ms: u64,
        streams: impl FnOnce() -> Vec<Arc<Stream>>,
    ) {
        if let Some(first) = meter.is_due() {
            self.waited_since_ms = None;
            self.expect(meter, first, now_ms);
            return;
        }
        self.due = None;
        if !meter.is_waited_for() {
            self.waited_since_ms = None;
            return;
        }
        let stall_ms = millis(hub.config.stall_timeout);
        let since_ms = *self.waited_since_ms.get_or_insert(now_ms);
        if now_ms - since_ms < stall_ms {
            return;
        }
        if let Some((seen, stream)) = worst(streams(), now_ms, stall_ms) {
            stream.end_unmoved(EndReason::Stalled, seen.moved_ms);
            // What came back is for those who wait; the next one goes only if it
            // was not enough.
            self.waited_since_ms = Some(now_ms - stall_ms + stall_ms / 4);
        }
    }

    /// The first one has room, and others may wait behind it.
    fn expect(&mut self, meter: &Meter, first: Ticket, now_ms: u64) {
        let (_, since_ms) = *self
            .due
            .take_if(|(ticket, _)| *ticket == first)
            .get_or_insert((first, now_ms));
        if now_ms - since_ms < GRACE_MS {
            self.due = Some((first, since_ms));
            return;
        }
        let (next, passed_over) = meter.leave(first);
        next.into_iter().chain(passed_over).for_each(Waker::wake);
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

/// Among the streams whose reader has not moved for the stall time, and has
/// something to read, the one whose end gives back most at once: what is in a
/// reader's hands is not free before it lets go.
fn worst(streams: Vec<Arc<Stream>>, now_ms: u64, stall_ms: u64) -> Option<(Summary, Arc<Stream>)> {
    let stalled = |summary: &Summary| {
        summary.unread > 0 && now_ms.saturating_sub(summary.moved_ms) >= stall_ms
    };
    streams
        .into_iter()
        .map(|stream| (stream.summary(), stream))
        .filter(|(summary, _)| stalled(summary))
        .max_by_key(|(summary, _)| (summary.leased - summary.pinned, summary.unread))
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
