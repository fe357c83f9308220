//! How deep JSON is nested, told without parsing it.

/// Whether arrays and objects lie more than `max` deep in each other in `json`, which is JSON.
#[must_use]
pub fn is_deeper_than(json: &[u8], max: usize) -> bool {
    // Nearly every message has fewer brackets than may lie in each other; counting them is fast.
    if brackets(json) <= max {
        return false;
    }
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > max {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// How many arrays and objects open in `json`, and more if there are brackets in its texts.
pub(super) fn brackets(json: &[u8]) -> usize {
    let opening = |byte: &&u8| matches!(byte, b'{' | b'[');
    json.iter().filter(opening).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn depth(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
            Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let text = r#"[\[\]{}"\\a]{0,6}"#;
        let leaf = prop_oneof![text.prop_map(Value::from), Just(Value::Null)];
        leaf.prop_recursive(8, 40, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(text, inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_is_the_depth_of_the_parsed(value in values(), max in 0_usize..10) {
            let expect = depth(&value) > max;
            prop_assert_eq!(is_deeper_than(value.to_string().as_bytes(), max), expect);
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(is_deeper_than(pretty.as_bytes(), max), expect);
        }
    }
}
