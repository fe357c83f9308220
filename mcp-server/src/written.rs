//! Answers as they are written to clients.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use serde::Serialize;

const BEFORE_TEXT: &str = "\"content\":[{\"type\":\"text\",\"text\":";
const BEFORE_VALUE: &str = "}],\"structuredContent\":";
const AFTER_VALUE: &str = ",\"isError\":false";

/// A value as the members of a tool's result, in JSON: the value, and the same as a text for clients
/// that read only that.
#[derive(Debug, PartialEq, Eq)]
pub struct Written {
    members: Box<str>,
    value_len: usize,
}

impl Written {
    /// Writes `value`.
    ///
    /// # Errors
    ///
    /// Those of its `Serialize`.
    ///
    /// # Panics
    ///
    /// Never: JSON is UTF-8.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Self> {
        let value = serde_json::to_string(value)?;
        let frame = BEFORE_TEXT.len() + BEFORE_VALUE.len() + AFTER_VALUE.len();
        // A text escapes the value's quotation marks; most other characters stand for themselves.
        let mut members = Vec::with_capacity(frame + 2 * value.len() + value.len() / 4);
        members.extend_from_slice(BEFORE_TEXT.as_bytes());
        quote(&mut members, value.as_bytes());
        for part in [BEFORE_VALUE, &value, AFTER_VALUE] {
            members.extend_from_slice(part.as_bytes());
        }
        let members = String::from_utf8(members).expect("JSON is UTF-8");
        Ok(Self {
            members: members.into_boxed_str(),
            value_len: value.len(),
        })
    }

    /// The members `content`, `structuredContent` and `isError` of a result, with commas between.
    #[must_use]
    pub fn members(&self) -> &str {
        &self.members
    }

    /// The value alone.
    #[must_use]
    pub fn value(&self) -> &str {
        let end = self.members.len() - AFTER_VALUE.len();
        &self.members[end - self.value_len..end]
    }
}

/// Writes `json` as a text: compact JSON has no control characters, so quotation marks and
/// backslashes are all that must be escaped, and they are found many bytes at a time.
fn quote(out: &mut Vec<u8>, json: &[u8]) {
    out.push(b'"');
    let mut written = 0;
    for special in memchr::memchr2_iter(b'"', b'\\', json) {
        out.extend_from_slice(&json[written..special]);
        out.push(b'\\');
        written = special;
    }
    out.extend_from_slice(&json[written..]);
    out.push(b'"');
}

/// The place beside a value where its written form is kept, so that a value that is sent often is
/// written once. A copy of the value begins with an empty one, for it may be changed.
#[derive(Default)]
pub struct Form(OnceLock<Arc<Written>>);

impl Form {
    /// The written form of `value`, which this is the form of. It is kept if it has no more than
    /// `bytes_max` bytes.
    ///
    /// # Errors
    ///
    /// Those of the value's `Serialize`.
    pub fn of<T: Serialize + ?Sized>(
        &self,
        value: &T,
        bytes_max: usize,
    ) -> serde_json::Result<Arc<Written>> {
        if let Some(written) = self.0.get() {
            return Ok(written.clone());
        }
        let written = Arc::new(Written::of(value)?);
        match written.members.len() <= bytes_max {
            true => Ok(self.0.get_or_init(|| written).clone()),
            false => Ok(written),
        }
    }
}

impl Clone for Form {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// A value is the same whether or not it has been written.
impl PartialEq for Form {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.get().map(|written| written.members.len());
        f.debug_tuple("Form").field(&bytes).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rmcp::model::CallToolResult;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn it_is_what_the_sdk_writes() {
        for value in [
            json!({}),
            json!({"text": "\"é\n\\\u{1}", "list": [1, null]}),
        ] {
            let written = Written::of(&value).unwrap();
            let ours: Value = serde_json::from_str(&format!("{{{}}}", written.members())).unwrap();
            let mut theirs =
                serde_json::to_value(CallToolResult::structured(value.clone())).unwrap();
            theirs.as_object_mut().unwrap().remove("resultType");
            assert_eq!(ours, theirs);
            assert_eq!(
                serde_json::from_str::<Value>(written.value()).unwrap(),
                value
            );
        }
    }

    proptest! {
        #[test]
        fn json_is_quoted_as_any_text(text in "[\\PC\"\\\\\u{0}-\u{1f}]{0,40}") {
            let json = serde_json::to_string(&[&text]).unwrap();
            let mut quoted = Vec::new();
            quote(&mut quoted, json.as_bytes());
            prop_assert_eq!(quoted, serde_json::to_vec(&json).unwrap());
        }
    }

    #[test]
    fn it_is_written_once_and_never_for_a_copy() {
        let form = Form::default();
        let first = form.of("first", 1_000).unwrap();
        assert!(Arc::ptr_eq(&first, &form.of("second", 1_000).unwrap()));
        assert_eq!(
            form.clone().of("second", 1_000).unwrap().value(),
            "\"second\""
        );
    }

    #[test]
    fn what_is_too_large_is_not_kept() {
        let form = Form::default();
        let len = Written::of("value").unwrap().members().len();
        form.of("value", len - 1).unwrap();
        assert_eq!(form.of("other", len).unwrap().value(), "\"other\"");
        assert_eq!(form.of("third", len).unwrap().value(), "\"other\"");
    }
}
