//! Completions of prompt and template arguments.

use rmcp::{
    ErrorData,
    model::{CompleteRequestParams, CompleteResult, CompletionInfo, Reference},
};

/// What is being completed (a prompt's name or a template's URI), its argument,
/// and the values on offer.
const VALUES: &[(&str, &str, &[&str])] = &[
    (
        "test_prompt_with_arguments",
        "arg1",
        &["paris", "park", "party"],
    ),
    ("test_prompt_with_arguments", "arg2", &["rome", "rose"]),
    ("test://template/{id}/data", "id", &["1", "12", "123"]),
];

/// The values on offer that start with what was typed so far. An argument for
/// which nothing is known has none.
pub(crate) fn complete(request: &CompleteRequestParams) -> Result<CompleteResult, ErrorData> {
    let target = match &request.r#ref {
        Reference::Prompt(prompt) => prompt.name.as_str(),
        Reference::Resource(template) => template.uri.as_str(),
        _ => return Err(ErrorData::invalid_params("unknown kind of reference", None)),
    };
    let values = VALUES
        .iter()
        .filter(|(of, argument, _)| *of == target && *argument == request.argument.name)
        .flat_map(|(_, _, values)| *values)
        .filter(|value| value.starts_with(&request.argument.value))
        .map(|value| (*value).to_owned())
        .collect();
    CompletionInfo::with_all_values(values)
        .map(CompleteResult::new)
        .map_err(|error| ErrorData::internal_error(error, None))
}
