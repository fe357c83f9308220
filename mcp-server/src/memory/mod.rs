//! The memory domain: what a memory is, what can be asked of it, and the stores that keep it.

mod archive;
mod budget;
mod changes;
mod error;
mod limits;
mod model;
mod operation;
pub mod postgres;
pub mod search;
mod service;
pub mod sqlite;
mod write;

pub use archive::{Cursor, Page, Restored};
use changes::RawChange;
pub use changes::{ChangedMemory, Changes, Mark, MemoryChange, Version};
pub use error::MemoryError;
pub use limits::Limits;
use model::DEFAULT_NAMESPACE;
pub use model::{Hit, Memory, MemoryId, Owner};
pub use operation::{
    Add, Added, Delete, Deleted, Found, Get, Operation, Outcome, Search, Update, Updated,
};
pub use service::MemoryService;
pub use write::{Write, Written};
