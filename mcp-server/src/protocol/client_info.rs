//! Who a request says it comes from, read without parsing the rest.

use std::{borrow::Cow, sync::Arc};

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    params: Params<'a>,
}

#[derive(Deserialize)]
struct Params<'a> {
    /// In `initialize`.
    #[serde(borrow, rename = "clientInfo")]
    client_info: Option<ClientInfo<'a>>,
    /// In any request since revision 2026-07-28.
    #[serde(borrow, rename = "_meta")]
    meta: Option<Meta<'a>>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/clientInfo")]
    client_info: Option<ClientInfo<'a>>,
}

#[derive(Deserialize)]
struct ClientInfo<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

/// The name that the client gives itself in a request: in `initialize`, or in the `_meta` of each
/// request since revision 2026-07-28. `None` where there is none, or none that can be read.
#[must_use]
pub fn client_name(request: &[u8]) -> Option<Cow<'_, str>> {
    let params = serde_json::from_slice::<Request<'_>>(request).ok()?.params;
    let in_meta = params.meta.and_then(|meta| meta.client_info);
    in_meta.or(params.client_info).map(|client| client.name)
}

/// The name in what a client says of itself.
pub(super) fn name_of(client_info: &RawValue) -> Option<Arc<str>> {
    let info = serde_json::from_str::<ClientInfo<'_>>(client_info.get()).ok()?;
    Some(info.name.into())
}

#[cfg(test)]
mod tests {
    use super::client_name;

    #[test]
    fn names_are_found_where_the_eras_put_them() {
        let check = |params: &str, expect: Option<&str>| {
            let request = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{params}}}"#);
            assert_eq!(
                client_name(request.as_bytes()).as_deref(),
                expect,
                "{params}"
            );
        };
        let key = "io.modelcontextprotocol/clientInfo";
        check(r#"{"clientInfo":{"version":"1","name":"a"}}"#, Some("a"));
        check(
            &format!(r#"{{"name":"t","_meta":{{"{key}":{{"name":"b\u0063"}}}}}}"#),
            Some("bc"),
        );
        check(
            &format!(r#"{{"clientInfo":{{"name":"a"}},"_meta":{{"{key}":{{"name":"b"}}}}}}"#),
            Some("b"),
        );
        for params in [
            "{}",
            r#"{"_meta":{}}"#,
            r#"{"_meta":null}"#,
            r#"{"clientInfo":{}}"#,
        ] {
            check(params, None);
        }
        check(&format!(r#"{{"_meta":{{"{key}":{{"name":5}}}}}}"#), None);
        check(r#"{"_meta":[]}"#, None);
        assert_eq!(
            client_name(br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#),
            None
        );
        assert_eq!(client_name(b"nonsense"), None);
    }
}
