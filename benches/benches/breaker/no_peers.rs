//! Stands in for the peers when the feature `peers` is off.

use benches::rivals::Case;

pub(crate) fn allowed() -> Vec<Case> {
    Vec::new()
}

pub(crate) fn refused(_threads: usize) -> Vec<Case> {
    Vec::new()
}

pub(crate) fn time_windows() -> Vec<Case> {
    Vec::new()
}

pub(crate) fn layers() -> Vec<Case> {
    Vec::new()
}

pub(crate) fn print_flatness() {}

pub(crate) fn print_allocations() {}

pub(crate) fn print_behaviour() {}
