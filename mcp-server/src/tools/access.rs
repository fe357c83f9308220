//! What a caller must be allowed to do to call a tool.

use rmcp::model::Tool as Description;

use crate::auth::Scope;

/// What it takes to call the tool: of one that does not say that it only reads, the scope to write.
pub(super) fn required_scope(tool: &Description) -> Scope {
    let annotations = tool.annotations.as_ref();
    match annotations.and_then(|known| known.read_only_hint) {
        Some(true) => Scope::Read,
        _ => Scope::Write,
    }
}
