//! What the server knows of itself, as resources.

use rmcp::{
    ErrorData,
    model::{
        CacheScope, ListResourceTemplatesResult, ListResourcesResult, ReadResourceResponse,
        ReadResourceResult, Resource, ResourceContents,
    },
};
use serde_json::json;

use super::listing;
use crate::{auth::Caller, monitoring::Monitor};

const STATUS: &str = "perf://status";
const REPORT: &str = "perf://report/latest";
const JSON: &str = "application/json";

/// What can be read.
pub(super) fn listed() -> ListResourcesResult {
    let status = Resource::new(STATUS, "status")
        .with_title("Status")
        .with_description("All that the server knows of itself at this moment");
    let report = Resource::new(REPORT, "report")
        .with_title("Latest report")
        .with_description("How the server did in the day before the last report");
    let resources = [status, report].map(|resource| resource.with_mime_type(JSON));
    ListResourcesResult::with_all_items(resources.into())
        .with_ttl_ms(listing::millis(listing::TTL))
        .with_cache_scope(CacheScope::Public)
}

/// Nothing is made up for an address.
pub(super) fn templates() -> ListResourceTemplatesResult {
    ListResourceTemplatesResult::with_all_items(Vec::new())
        .with_ttl_ms(listing::millis(listing::TTL))
        .with_cache_scope(CacheScope::Public)
}

/// One of them, as far as `caller` may know it.
pub(super) async fn read(
    monitor: &Monitor,
    caller: &Caller,
    uri: &str,
) -> Result<ReadResourceResponse, ErrorData> {
    let failed = |reason: String| ErrorData::internal_error(reason, None);
    let text = match uri {
        STATUS => {
            let status = monitor.status_for(&caller.owner, caller.scope);
            serde_json::to_string(&status).map_err(|error| failed(error.to_string()))?
        }
        REPORT => {
            let monitor = monitor.clone();
            let read = tokio::task::spawn_blocking(move || monitor.latest_report()).await;
            let read = read.map_err(|error| failed(error.to_string()))?;
            read.map_err(|error| failed(format!("the report cannot be read: {error}")))?
        }
        _ => {
            let message = format!("there is no resource `{uri}`: see resources/list");
            return Err(ErrorData::resource_not_found(
                message,
                Some(json!({"uri": uri})),
            ));
        }
    };
    let contents = ResourceContents::text(text, uri).with_mime_type(JSON);
    Ok(ReadResourceResult::new(vec![contents])
        // It is another one each time.
        .with_ttl_ms(0)
        .with_cache_scope(CacheScope::Private)
        .into())
}
