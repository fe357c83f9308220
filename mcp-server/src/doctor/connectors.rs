//! The connectors to other servers: each one is asked for its tools.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use tokio::time::timeout;

use super::Finding;
use crate::{
    adapters::UpstreamStack,
    config::Config,
    upstream::{ConnectorName, ServerConfig, Stack as _, Store, Wanted, registry_path},
};

/// The longest that one connector is waited for.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// How many are asked at once.
const ASKED_AT_ONCE: usize = 4;

pub(super) async fn look(config: &Config, dir: &Path) -> Vec<Finding> {
    const CHECK: &str = "connectors";
    let path = registry_path(dir);
    let mut servers: BTreeMap<ConnectorName, ServerConfig> = BTreeMap::new();
    // Opening takes the file's lock and makes it; a look does not.
    if path.exists() {
        match Store::open(&path) {
            Ok(store) => servers.extend(
                store
                    .records()
                    .into_iter()
                    .map(|(name, record)| (name, record.server)),
            ),
            Err(error) => {
                let says = error.to_string();
                return vec![Finding::failure(
                    CHECK,
                    says,
                    "see there; nothing was changed",
                )];
            }
        }
    }
    servers.extend(config.connectors.servers.clone());
    if servers.is_empty() {
        return vec![Finding::ok(CHECK, "there are none")];
    }
    let stack = match UpstreamStack::new(&config.connectors, true) {
        Ok(stack) => stack,
        Err(error) => {
            let mend = "correct the section `connectors`";
            return vec![Finding::failure(CHECK, error.to_string(), mend)];
        }
    };
    let stack = &stack;
    stream::iter(servers)
        .map(|(name, server)| async move { one(stack, &name, &server).await })
        .buffered(ASKED_AT_ONCE)
        .collect()
        .await
}

async fn one(stack: &UpstreamStack, name: &ConnectorName, server: &ServerConfig) -> Finding {
    let check = format!("connector {name}");
    if !server.enabled {
        return Finding::ok(check, "switched off");
    }
    let mend = format!(
        "try it with `mcp-server connectors test {name}`; without it, only its own tools are missing"
    );
    let upstream = match stack.build(name, server, &Arc::default()) {
        Ok(upstream) => upstream,
        Err(error) => return Finding::failure(check, error.to_string(), mend),
    };
    let listed = timeout(ASK_TIMEOUT, upstream.tools(Wanted::Anew)).await;
    upstream.close().await;
    match listed {
        Ok(Ok(listed)) => {
            let manifest = &listed.manifest;
            let says = format!("{}: {} tools", manifest.server, manifest.tools.len());
            Finding::ok(check, says)
        }
        Ok(Err(error)) => Finding::warning(check, error.to_string(), mend),
        Err(_) => Finding::warning(check, format!("no answer within {ASK_TIMEOUT:?}"), mend),
    }
}
