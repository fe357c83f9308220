//! Memories in and out of files: the program's own lossless form, and the exports of the memory
//! servers that people come from.

mod copy;
mod error;
mod export;
mod form;
mod graph;
mod import;
mod mem0;
mod own;
mod source;

pub use copy::{Archive, Bookmark, Copied, copy};
pub use error::TransferError;
pub use export::export;
pub use form::Form;
pub use import::{Import, Report, import};
pub use source::Source;
