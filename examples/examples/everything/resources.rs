//! Resources: fixed ones from a table, and one template.

use rmcp::{
    ErrorData,
    model::{
        CacheScope, ListResourceTemplatesResult, ListResourcesResult, ReadResourceResponse,
        ReadResourceResult, Resource, ResourceContents, ResourceTemplate,
    },
};
use serde_json::json;

use crate::{assets::RED_PIXEL_PNG, shared::TTL_MS};

struct Fixed {
    uri: &'static str,
    name: &'static str,
    description: &'static str,
    mime_type: &'static str,
    body: Body,
}

enum Body {
    Text(&'static str),
    /// In base64.
    Blob(&'static str),
}

const FIXED: &[Fixed] = &[
    Fixed {
        uri: "test://static-text",
        name: "static-text",
        description: "A text that never changes",
        mime_type: "text/plain",
        body: Body::Text("This is the content of the static text resource."),
    },
    Fixed {
        uri: "test://static-binary",
        name: "static-binary",
        description: "An image that never changes",
        mime_type: "image/png",
        body: Body::Blob(RED_PIXEL_PNG),
    },
    Fixed {
        uri: "test://watched-resource",
        name: "watched-resource",
        description: "A text to subscribe to; the tool test_trigger_resource_change announces it",
        mime_type: "text/plain",
        body: Body::Text("Watch me."),
    },
];

const TEMPLATE: (&str, &str) = ("test://template/", "/data");

/// All fixed resources.
pub(crate) fn list() -> ListResourcesResult {
    let resources = FIXED.iter().map(|fixed| {
        Resource::new(fixed.uri, fixed.name)
            .with_description(fixed.description)
            .with_mime_type(fixed.mime_type)
    });
    ListResourcesResult::with_all_items(resources.collect())
        .with_ttl_ms(TTL_MS)
        .with_cache_scope(CacheScope::Public)
}

/// The one template.
pub(crate) fn templates() -> ListResourceTemplatesResult {
    let (prefix, suffix) = TEMPLATE;
    let template = ResourceTemplate::new(format!("{prefix}{{id}}{suffix}"), "template-data")
        .with_description("Data made up for any id")
        .with_mime_type("application/json");
    ListResourceTemplatesResult::with_all_items(vec![template])
        .with_ttl_ms(TTL_MS)
        .with_cache_scope(CacheScope::Public)
}

/// The contents of a fixed resource or of one that the template describes.
pub(crate) fn read(uri: &str) -> Result<ReadResourceResponse, ErrorData> {
    let contents = fixed(uri).or_else(|| templated(uri)).ok_or_else(|| {
        ErrorData::resource_not_found("resource not found", Some(json!({ "uri": uri })))
    })?;
    Ok(ReadResourceResult::new(vec![contents])
        .with_ttl_ms(TTL_MS)
        .with_cache_scope(CacheScope::Public)
        .into())
}

fn fixed(uri: &str) -> Option<ResourceContents> {
    let fixed = FIXED.iter().find(|fixed| fixed.uri == uri)?;
    let contents = match fixed.body {
        Body::Text(text) => ResourceContents::text(text, uri),
        Body::Blob(blob) => ResourceContents::blob(blob, uri),
    };
    Some(contents.with_mime_type(fixed.mime_type))
}

fn templated(uri: &str) -> Option<ResourceContents> {
    let (prefix, suffix) = TEMPLATE;
    let id = uri.strip_prefix(prefix)?.strip_suffix(suffix)?;
    if id.is_empty() || id.contains('/') {
        return None;
    }
    let data = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
    Some(ResourceContents::text(data.to_string(), uri).with_mime_type("application/json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_takes_one_path_segment() {
        assert!(templated("test://template/123/data").is_some());
        assert!(templated("test://template//data").is_none());
        assert!(templated("test://template/1/2/data").is_none());
        assert!(templated("test://template/123").is_none());
    }
}
