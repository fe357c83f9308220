//! The store in a PostgreSQL database: the contract of its port, and what only a database can get
//! wrong. Each test has a server of its own.

mod commands;
mod faults;
mod processes;
mod replicas;
mod store;
