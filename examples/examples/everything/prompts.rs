//! Prompts: a table of names, arguments and the function that renders each.

use rmcp::{
    ErrorData, RoleServer,
    model::{
        CacheScope, ContentBlock, GetPromptRequestParams, GetPromptResponse, GetPromptResult,
        JsonObject, ListPromptsResult, Prompt, PromptArgument, PromptMessage, ResourceContents,
        Role,
    },
    service::RequestContext,
};

use crate::{
    assets::RED_PIXEL_PNG,
    inputs::{self, Answers},
    shared::TTL_MS,
};

struct Spec {
    name: &'static str,
    description: &'static str,
    /// Names and descriptions; all are required.
    arguments: &'static [(&'static str, &'static str)],
    render: fn(&Ask<'_>) -> Result<GetPromptResponse, ErrorData>,
}

/// A `prompts/get` whose required arguments are known to be there.
struct Ask<'a> {
    arguments: JsonObject,
    answers: Answers,
    context: &'a RequestContext<RoleServer>,
}

const PROMPTS: &[Spec] = &[
    Spec {
        name: "test_simple_prompt",
        description: "One message, no arguments",
        arguments: &[],
        render: |_| Ok(messages(vec![text("This is a simple prompt for testing.")])),
    },
    Spec {
        name: "test_prompt_with_arguments",
        description: "One message made from two arguments",
        arguments: &[("arg1", "First value"), ("arg2", "Second value")],
        render: with_arguments,
    },
    Spec {
        name: "test_prompt_with_embedded_resource",
        description: "A message that carries a resource",
        arguments: &[("resourceUri", "The URI under which to embed it")],
        render: with_resource,
    },
    Spec {
        name: "test_prompt_with_image",
        description: "A message that carries an image",
        arguments: &[],
        render: with_image,
    },
    Spec {
        name: "test_input_required_result_prompt",
        description: "A prompt that asks the user for its context first",
        arguments: &[],
        render: with_input,
    },
];

/// All prompts.
pub(crate) fn list() -> ListPromptsResult {
    let prompts = PROMPTS.iter().map(|spec| {
        let arguments = spec.arguments.iter().map(|(name, description)| {
            PromptArgument::new(*name)
                .with_description(*description)
                .with_required(true)
        });
        let arguments = (!spec.arguments.is_empty()).then(|| arguments.collect());
        Prompt::new(spec.name, Some(spec.description), arguments)
    });
    ListPromptsResult::with_all_items(prompts.collect())
        .with_ttl_ms(TTL_MS)
        .with_cache_scope(CacheScope::Public)
}

/// Renders the prompt that was asked for.
pub(crate) fn get(
    request: GetPromptRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<GetPromptResponse, ErrorData> {
    let spec = PROMPTS
        .iter()
        .find(|spec| spec.name == request.name)
        .ok_or_else(|| ErrorData::invalid_params("unknown prompt", None))?;
    let ask = Ask {
        arguments: request.arguments.unwrap_or_default(),
        answers: request.input_responses.into(),
        context,
    };
    for (name, _) in spec.arguments {
        if ask.argument(name).is_none() {
            return Err(ErrorData::invalid_params(
                format!("missing argument {name}"),
                None,
            ));
        }
    }
    (spec.render)(&ask)
}

impl Ask<'_> {
    fn argument(&self, name: &str) -> Option<&str> {
        self.arguments.get(name)?.as_str()
    }
}

fn with_arguments(ask: &Ask<'_>) -> Result<GetPromptResponse, ErrorData> {
    let [first, second] = ["arg1", "arg2"].map(|name| ask.argument(name).unwrap_or_default());
    let filled = format!("Prompt with arguments: arg1='{first}', arg2='{second}'");
    Ok(messages(vec![text(&filled)]))
}

fn with_resource(ask: &Ask<'_>) -> Result<GetPromptResponse, ErrorData> {
    let uri = ask.argument("resourceUri").unwrap_or_default();
    let resource = ResourceContents::text("Embedded resource content for testing.", uri);
    Ok(messages(vec![
        PromptMessage::new(Role::User, ContentBlock::resource(resource)),
        text("Please process the embedded resource above."),
    ]))
}

fn with_image(_: &Ask<'_>) -> Result<GetPromptResponse, ErrorData> {
    let image = ContentBlock::image(RED_PIXEL_PNG, "image/png");
    Ok(messages(vec![
        PromptMessage::new(Role::User, image),
        text("Please analyze the image above."),
    ]))
}

fn with_input(ask: &Ask<'_>) -> Result<GetPromptResponse, ErrorData> {
    let Some(answer) = ask.answers.get("user_context") else {
        let question = inputs::form(
            "user_context",
            "What context should the prompt use?",
            "context",
            "string",
        );
        return Ok(inputs::ask(ask.context, [question], None)?.into());
    };
    let context = inputs::typed(answer, "context").unwrap_or("nothing in particular");
    Ok(messages(vec![text(&format!(
        "Please think about {context}."
    ))]))
}

fn messages(messages: Vec<PromptMessage>) -> GetPromptResponse {
    GetPromptResult::new(messages).into()
}

fn text(text: &str) -> PromptMessage {
    PromptMessage::new_text(Role::User, text)
}
