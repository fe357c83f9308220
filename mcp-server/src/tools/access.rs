//! What a caller must be allowed to do to call a tool.

use rmcp::model::Tool as Description;

use crate::auth::Scope;

/// The `_meta` key under which a tool says what it takes, where that does not follow from what it
/// does.
pub(super) const SCOPE: &str = "mcp-server/scope";

/// What it takes to call the tool: what it says itself, if it is one of this server; else of one that
/// does not say that it only reads, the scope to write.
#[must_use]
pub fn required_scope(tool: &Description) -> Scope {
    let said = tool
        .meta
        .as_ref()
        .and_then(|meta| meta.get(SCOPE)?.as_str());
    // Nobody gets in with less for what another server says.
    if said.is_some_and(|scope| scope == Scope::Admin.name()) {
        return Scope::Admin;
    }
    let annotations = tool.annotations.as_ref();
    match annotations.and_then(|known| known.read_only_hint) {
        Some(true) => Scope::Read,
        _ => Scope::Write,
    }
}
