//! Calls come before the index where there is not enough for both.

/// How much less of the processors the indexer asks for: about a tenth of what a call's thread gets.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Has the scheduler prefer other threads to this one, and to those that it starts.
#[cfg(target_os = "linux")]
pub(super) fn give_way() {
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "the indexer runs at the priority of the calls");
    }
}

/// Elsewhere it would be the priority of the whole process.
#[cfg(not(target_os = "linux"))]
pub(super) fn give_way() {}
