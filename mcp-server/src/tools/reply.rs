//! What a call of a tool brings.

use rmcp::model::CallToolResponse;

/// What a call of a tool brings: a structured result as JSON in the form of `T`, or what an upstream
/// says, as it says it.
#[derive(Debug)]
pub enum Reply<T> {
    /// The structured result of a tool of this server.
    Value(T),
    /// The whole response of an upstream.
    Response(Box<CallToolResponse>),
}

impl<T> Reply<T> {
    /// The structured result, if it is one of this server.
    #[must_use]
    pub fn into_value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Response(_) => None,
        }
    }
}

/// How many bytes of JSON a response is.
pub(crate) fn json_len(response: &CallToolResponse) -> usize {
    let json = match response {
        CallToolResponse::Complete(result) => serde_json::to_vec(result),
        CallToolResponse::InputRequired(result) => serde_json::to_vec(result),
        CallToolResponse::Task(result) => serde_json::to_vec(result),
        _ => return 0,
    };
    json.map_or(0, |json| json.len())
}
