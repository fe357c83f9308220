//! What results are kept under: equal for calls that mean the same, never for two callers who must
//! not see the same.

use std::fmt::Write;

use rmcp::model::JsonObject;

use crate::{call::Call, memory::Owner, upstream::RemoteTool};

/// The key of a call. `owner`: whoever may see the result alone. What the client can do is part of
/// it, since a tool may answer accordingly.
pub(super) fn of(
    connector: &str,
    owner: Option<&Owner>,
    call: &Call,
    tool: &RemoteTool,
    arguments: &JsonObject,
) -> String {
    let mut key = String::with_capacity(128);
    push(&mut key, connector);
    match owner {
        Some(owner) => push(&mut key, owner.as_str()),
        None => key.push('*'),
    }
    push(&mut key, &tool.description.name);
    let capabilities = call
        .exchange
        .as_ref()
        .and_then(|exchange| exchange.capabilities.as_ref())
        .and_then(|capabilities| serde_json::to_string(capabilities).ok());
    push(&mut key, capabilities.as_deref().unwrap_or_default());
    // The members of an object are in the order of their names.
    push(
        &mut key,
        &serde_json::to_string(arguments).unwrap_or_default(),
    );
    key
}

/// A length stands before the part, so that no part can be read as another one with something behind
/// it.
fn push(key: &mut String, part: &str) {
    let _ = write!(key, "/{}:{part}", part.len());
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rmcp::model::{ClientCapabilities, Tool};
    use serde_json::from_str;

    use super::*;
    use crate::call::Exchange;

    fn key(owner: Option<&str>, tool: &str, arguments: &str) -> String {
        let tool = RemoteTool::new(Tool::new(tool.to_owned(), "", JsonObject::new()));
        let owner = owner.map(Owner::new);
        of(
            "c",
            owner.as_ref(),
            &Call::local(),
            &tool,
            &from_str(arguments).unwrap(),
        )
    }

    #[test]
    fn equal_calls_are_equal_and_others_are_not() {
        let one = key(Some("a"), "t", r#"{"x": 1, "y": {"p": 2, "q": [3]}}"#);
        assert_eq!(one, key(Some("a"), "t", r#"{"y":{"q":[3],"p":2},"x":1}"#));
        for other in [
            key(Some("b"), "t", r#"{"x": 1, "y": {"p": 2, "q": [3]}}"#),
            key(None, "t", r#"{"x": 1, "y": {"p": 2, "q": [3]}}"#),
            key(Some("a"), "u", r#"{"x": 1, "y": {"p": 2, "q": [3]}}"#),
            key(Some("a"), "t", r#"{"x": 1, "y": {"p": 2, "q": ["3"]}}"#),
            key(Some("a"), "t", "{}"),
        ] {
            assert_ne!(one, other);
        }
        assert_ne!(key(Some("a/1:b"), "t", "{}"), key(Some("a"), "b/1:t", "{}"));
    }

    #[test]
    fn what_the_client_can_do_is_part_of_it() {
        let tool = RemoteTool::new(Tool::new("t", "", JsonObject::new()));
        let mut call = Call::local();
        let plain = of("c", None, &call, &tool, &JsonObject::new());
        let capabilities = ClientCapabilities::builder().enable_elicitation().build();
        call.exchange = Some(Arc::new(Exchange {
            capabilities: Some(capabilities),
            ..Exchange::default()
        }));
        assert_ne!(plain, of("c", None, &call, &tool, &JsonObject::new()));
    }
}
