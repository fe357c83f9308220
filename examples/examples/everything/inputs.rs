//! Questions to the client and its answers: the vocabulary of requests that take
//! several rounds, shared by tools, tasks and prompts.

use rmcp::{
    ErrorData, RoleServer,
    model::{
        ClientCapabilities, CreateMessageRequest, CreateMessageRequestParams, ElicitRequest,
        ElicitRequestParams, ElicitationSchema, InputRequest, InputRequests, InputRequiredResult,
        InputResponses, JsonObject, ListRootsRequest, SamplingMessage,
    },
    service::RequestContext,
};
use serde_json::{Value, json};

/// Length limit of a sampled answer, in tokens.
const SAMPLED_TOKENS_MAX: u32 = 100;

/// A request to the client, and the key under which its answer comes back.
pub(crate) type Question = (&'static str, InputRequest);

/// Asks the user to fill in `field`, whose JSON Schema type is `kind`.
pub(crate) fn form(key: &'static str, message: &str, field: &str, kind: &str) -> Question {
    let params = form_params(
        message,
        json!({
            "type": "object",
            "properties": { field: { "type": kind } },
            "required": [field],
        }),
    );
    (key, InputRequest::Elicitation(ElicitRequest::new(params)))
}

/// Asks the client's model to answer `prompt`.
pub(crate) fn sampling(key: &'static str, prompt: &str) -> Question {
    let request = CreateMessageRequest::new(sampling_params(prompt));
    (key, InputRequest::CreateMessage(request))
}

/// Asks which folders the client works in.
pub(crate) fn roots(key: &'static str) -> Question {
    (key, InputRequest::ListRoots(ListRootsRequest::default()))
}

/// A form with a schema of its own.
pub(crate) fn form_params(message: &str, schema: Value) -> ElicitRequestParams {
    let requested_schema: ElicitationSchema =
        serde_json::from_value(schema).expect("the fixture's schemas are flat objects");
    ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: message.to_owned(),
        requested_schema,
    }
}

/// One user message for the client's model.
pub(crate) fn sampling_params(prompt: &str) -> CreateMessageRequestParams {
    CreateMessageRequestParams::new(vec![SamplingMessage::user_text(prompt)], SAMPLED_TOKENS_MAX)
}

/// Puts `questions` to the client, which retries the request with the answers
/// and with `state`, if any.
///
/// # Errors
/// When the client has not declared that it can answer one of them.
pub(crate) fn ask(
    context: &RequestContext<RoleServer>,
    questions: impl IntoIterator<Item = Question>,
    state: Option<String>,
) -> Result<InputRequiredResult, ErrorData> {
    let declared = context.client_capabilities().unwrap_or_default();
    let mut requests = InputRequests::new();
    for (key, request) in questions {
        if !can_answer(&declared, &request) {
            return Err(ErrorData::missing_required_client_capability(needed(
                &request,
            )));
        }
        requests.insert(key.to_owned(), request);
    }
    Ok(InputRequiredResult::new(Some(requests), state))
}

/// Whether a client with these capabilities can answer `request`.
pub(crate) fn can_answer(declared: &ClientCapabilities, request: &InputRequest) -> bool {
    match request {
        InputRequest::CreateMessage(_) => declared.sampling.is_some(),
        InputRequest::Elicitation(_) => declared.elicitation.is_some(),
        InputRequest::ListRoots(_) => declared.roots.is_some(),
        _ => false,
    }
}

fn needed(request: &InputRequest) -> ClientCapabilities {
    let none = ClientCapabilities::builder();
    match request {
        InputRequest::CreateMessage(_) => none.enable_sampling().build(),
        InputRequest::Elicitation(_) => none.enable_elicitation().build(),
        InputRequest::ListRoots(_) => none.enable_roots().build(),
        _ => none.build(),
    }
}

/// The answers that came with a request. Keys that were never asked are ignored.
#[derive(Debug, Default)]
pub(crate) struct Answers(InputResponses);

impl From<Option<InputResponses>> for Answers {
    fn from(responses: Option<InputResponses>) -> Self {
        Self(responses.unwrap_or_default())
    }
}

impl Answers {
    /// The answer to `key`. Every valid answer is an object: anything else counts
    /// as missing, so that the question is put again.
    pub(crate) fn get(&self, key: &str) -> Option<&JsonObject> {
        self.0.get(key)?.as_object()
    }

    /// Whether every key was answered.
    pub(crate) fn has_all(&self, keys: &[&str]) -> bool {
        keys.iter().all(|key| self.get(key).is_some())
    }
}

/// The text a user typed into `field` of a form, unless the form was declined or
/// the field left out.
pub(crate) fn typed<'a>(answer: &'a JsonObject, field: &str) -> Option<&'a str> {
    answer.get("content")?.get(field)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_objects_are_answers() {
        let responses = serde_json::from_value(json!({ "number": 1, "object": {} })).unwrap();
        let answers = Answers::from(Some(responses));
        assert!(answers.has_all(&["object"]));
        assert!(!answers.has_all(&["object", "number"]));
        assert!(!answers.has_all(&["absent"]));
    }

    #[test]
    fn a_client_answers_what_it_declared() {
        let sampler = ClientCapabilities::builder().enable_sampling().build();
        assert!(can_answer(&sampler, &sampling("q", "why?").1));
        assert!(!can_answer(
            &sampler,
            &form("q", "why?", "reason", "string").1
        ));
        assert!(!can_answer(&sampler, &roots("q").1));
    }
}
