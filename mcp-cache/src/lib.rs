//! tmp
mod flight;
mod sync;
