//! The service map: connectors that somebody else lists, in a file or at an address, and signs.
//!
//! Nothing of it is believed before its signature was checked, and none is taken for a newer one that
//! has a lower serial number. Whatever goes wrong, the last good map stays in force; it is kept in the
//! data folder with its signature, which is checked again when it is read.

mod config;
mod document;
mod file;
mod keeper;
mod kept;
mod signature;
mod status;

pub use config::{ServiceMapConfig, SignatureKind};
pub use document::{MapError, MapSource, Signed};
pub use file::FileMap;
pub(super) use keeper::Keeper;
pub use keeper::{Services, read_map};
pub use status::MapStatus;
