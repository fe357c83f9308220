//! How the connectors do, for those who watch over the server.

use async_trait::async_trait;

use super::{Gateway, Status, lock};
use crate::{
    monitoring::{DependencyKind, Parts},
    ports::{Observed, Readiness},
    upstream::Condition,
};

impl Observed for Gateway {
    fn observe(&self, parts: &mut Parts) {
        let statuses = self.statuses();
        parts
            .dependencies
            .extend(statuses.iter().filter_map(Status::as_dependency));
        parts.connectors.extend(statuses);
        parts.connector_syncs = Some(self.durations().snapshot());
        let connectors = lock(&self.shared.connectors);
        for (name, running) in &*connectors {
            running.upstream.observe(name.as_str(), parts);
        }
    }
}

/// The connectors together. Their names are for those who may list them.
#[async_trait]
impl Readiness for Gateway {
    fn name(&self) -> &'static str {
        "connectors"
    }

    async fn check(&self) -> Result<(), String> {
        let statuses = self.statuses();
        let is_out =
            |status: &&Status| matches!(status.condition, Condition::Failed | Condition::Stale);
        match statuses.iter().filter(is_out).count() {
            0 => Ok(()),
            out => Err(format!("{out} of {} do not answer", statuses.len())),
        }
    }

    fn kind(&self) -> DependencyKind {
        DependencyKind::Connector
    }

    fn is_essential(&self) -> bool {
        false
    }
}

/// The service map, without which the server works as well.
#[derive(Debug, Clone)]
pub struct MapReadiness(pub Gateway);

#[async_trait]
impl Readiness for MapReadiness {
    fn name(&self) -> &'static str {
        "service_map"
    }

    async fn check(&self) -> Result<(), String> {
        let status = self.0.map_status();
        // What is wrong may name files and connectors: that is for those who may list them.
        match status.and_then(|status| status.error) {
            Some(_) => Err("it could not be read anew; connector_list says why".to_owned()),
            None => Ok(()),
        }
    }

    fn kind(&self) -> DependencyKind {
        DependencyKind::Other
    }

    fn is_essential(&self) -> bool {
        false
    }
}
