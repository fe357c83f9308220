//! Every kind of content that a result can carry.

use rmcp::model::{ContentBlock, ResourceContents};

use super::{Outcome, Spec, at_once, content, fail, no_arguments, say};
use crate::assets::{RED_PIXEL_PNG, SILENCE_WAV};

pub(super) const TOOLS: &[Spec] = &[
    Spec {
        name: "test_simple_text",
        description: "Returns a text",
        schema: no_arguments,
        run: |_| at_once(say("This is a simple text response for testing.")),
    },
    Spec {
        name: "test_image_content",
        description: "Returns an image",
        schema: no_arguments,
        run: |_| at_once(content(vec![image()])),
    },
    Spec {
        name: "test_audio_content",
        description: "Returns a sound",
        schema: no_arguments,
        run: |_| at_once(content(vec![ContentBlock::audio(SILENCE_WAV, "audio/wav")])),
    },
    Spec {
        name: "test_embedded_resource",
        description: "Returns a resource with its contents",
        schema: no_arguments,
        run: |_| at_once(embedded_resource()),
    },
    Spec {
        name: "test_multiple_content_types",
        description: "Returns a text, an image and a resource",
        schema: no_arguments,
        run: |_| at_once(mixed()),
    },
    Spec {
        name: "test_error_handling",
        description: "Fails",
        schema: no_arguments,
        run: |_| at_once(fail("This tool intentionally returns an error for testing")),
    },
];

fn image() -> ContentBlock {
    ContentBlock::image(RED_PIXEL_PNG, "image/png")
}

fn embedded_resource() -> Outcome {
    let resource = ResourceContents::text(
        "This is an embedded resource content.",
        "test://embedded-resource",
    );
    content(vec![ContentBlock::resource(resource)])
}

fn mixed() -> Outcome {
    let resource = ResourceContents::text(
        r#"{"test":"data","value":123}"#,
        "test://mixed-content-resource",
    )
    .with_mime_type("application/json");
    content(vec![
        ContentBlock::text("Multiple content types test:"),
        image(),
        ContentBlock::resource(resource),
    ])
}
