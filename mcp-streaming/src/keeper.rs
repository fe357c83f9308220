//! The one task of a budget: it moves the clock, turns the wheel, and makes room
//! where writers wait. It sleeps while there is nothing to keep.

use crate::{
    hub::{Hub, TICK, guarded},
    pressure::{self, Pressure},
};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::Notify;

/// The shortest time between two passes over the streams, while writers wait.
const PASS_EVERY: Duration = Duration::from_millis(10);

/// Runs until the budget and all its streams are gone.
pub(crate) async fn keep(hub: Weak<Hub>, bell: Arc<Notify>) {
    let mut pressure = Pressure::default();
    while let Some(pause) = turn(&hub, &mut pressure) {
        let rung = bell.notified();
        match pause {
            Pause::UntilRung => rung.await,
            Pause::Tick => {
                tokio::select! {
                    () = rung => tokio::time::sleep(PASS_EVERY).await,
                    () = tokio::time::sleep(TICK) => {}
                }
            }
        }
    }
}

enum Pause {
    /// Nothing has a time limit, and nobody waits.
    UntilRung,
    Tick,
}

/// One turn; `None` if there is nothing left. No handle is kept while it pauses.
fn turn(hub: &Weak<Hub>, pressure: &mut Pressure) -> Option<Pause> {
    let hub = hub.upgrade()?;
    let now_ms = hub.now_ms();
    hub.turn_wheel(now_ms);
    guarded(|| pressure::relieve(&hub, now_ms, pressure));
    guarded(|| pressure::relieve_sessions(&hub, now_ms));
    let busy = hub.timers() > 0 || hub.meter.streams() > 0;
    Some(if busy { Pause::Tick } else { Pause::UntilRung })
}
