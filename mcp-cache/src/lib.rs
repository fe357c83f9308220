//! tmp
mod adaptive;
mod error;
mod flight;
mod random;
mod sync;
