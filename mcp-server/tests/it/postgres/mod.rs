//! The store in a PostgreSQL database: the contract of its port, and what only a database can get
//! wrong. Each test has a server of its own.

mod commands;
mod faults;
pub(crate) mod processes;
mod promotion;
mod replicas;
mod store;
mod tls;
mod trim;
