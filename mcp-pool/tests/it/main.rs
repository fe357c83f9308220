//! The pool through its public interface; modules by behaviour.

mod support;

mod cancellation;
mod capacity;
mod config;
mod events;
mod fairness;
mod health;
mod lifetime;
mod mission;
mod recovery;
mod shutdown;
