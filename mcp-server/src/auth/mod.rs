//! Who calls: bearer tokens, what each of them allows, and whose data it opens.

mod caller;
mod entry;
mod file;
mod scope;
mod token;
mod tokens;

pub use caller::Caller;
pub use entry::{Entry, EntryError};
pub use file::{TokenFile, TokenFileError};
pub use scope::{NoSuchScope, Scope};
pub use token::{Token, TokenHash};
pub use tokens::Tokens;
