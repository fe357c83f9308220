//! What a server needs, looked at before it is started or while it runs: each finding says how to
//! mend what is wrong. Nothing is changed.

mod connectors;
mod folder;
mod machine;
mod network;
mod store;

use std::time::Duration;

use serde::Serialize;

use crate::{
    app,
    config::{Config, ConfigError},
};

pub use network::{Asked, ask, reached};

/// The longest that one part is looked at.
const CHECK_TIMEOUT: Duration = Duration::from_secs(15);

/// What a look at one thing came to; each is worse than those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and could be better.
    Warning,
    /// It does not work.
    Failure,
}

/// What was found of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// What it came to.
    pub verdict: Verdict,
    /// What was seen.
    pub says: String,
    /// How to mend it; only where there is something to mend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Finding {
    fn ok(check: impl Into<String>, says: impl Into<String>) -> Self {
        Self {
            check: check.into(),
            verdict: Verdict::Ok,
            says: says.into(),
            mend: None,
        }
    }

    fn warning(check: impl Into<String>, says: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Warning,
            mend: Some(mend.into()),
            ..Self::ok(check, says)
        }
    }

    fn failure(check: impl Into<String>, says: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Failure,
            mend: Some(mend.into()),
            ..Self::ok(check, says)
        }
    }
}

/// Looks at everything that a server with this configuration needs, and at the one that runs
/// already, if there is one.
///
/// Takes at most some 15 s for each part. Cancel safe: it only looks.
pub async fn examine(config: Result<&Config, &ConfigError>) -> Vec<Finding> {
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            // The error says where and what would be right.
            let mend = "correct it; `mcp-server config check` looks again";
            let mut findings = vec![Finding::failure("configuration", error.to_string(), mend)];
            findings.extend(machine::clock(None));
            return findings;
        }
    };
    let mut findings = configuration(config);
    let dir = match app::data_dir(config) {
        Ok(dir) => dir,
        Err(error) => {
            let mend = "set memory.data_dir, or give --data-dir";
            findings.push(Finding::failure("data folder", error.to_string(), mend));
            return findings;
        }
    };
    findings.extend(
        on_a_thread("data folder", {
            let dir = dir.clone();
            move || folder::look(&dir)
        })
        .await,
    );
    findings.extend(store::look(config, &dir).await);
    findings.extend(network::look(config).await);
    findings.extend(network::redis(config).await);
    findings.extend(connectors::look(config, &dir).await);
    findings.extend(machine::clock(Some(&dir)));
    findings.extend(machine::limits(config));
    findings
}

/// What the settings say of themselves.
fn configuration(config: &Config) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("configuration", "the settings are valid")];
    let remarks = config.not_used().into_iter();
    findings.extend(remarks.map(|remark| {
        let mend = "nothing has to be done; remove the setting to be rid of this remark";
        Finding::warning("configuration", format!("not used: {remark}"), mend)
    }));
    if config.safe_mode {
        let says = "safe mode is on: everything that makes the server faster is left out";
        let mend = "remove safe_mode (or --safe-mode) once the fault is found";
        findings.push(Finding::warning("configuration", says, mend));
    }
    findings
}

/// Runs what blocks, within [`CHECK_TIMEOUT`].
async fn on_a_thread(
    check: &'static str,
    look: impl FnOnce() -> Vec<Finding> + Send + 'static,
) -> Vec<Finding> {
    let looked = tokio::time::timeout(CHECK_TIMEOUT, tokio::task::spawn_blocking(look)).await;
    match looked {
        Ok(Ok(findings)) => findings,
        Ok(Err(error)) => vec![Finding::failure(
            check,
            format!("the look at it failed: {error}"),
            "please report this: it is a bug",
        )],
        Err(_) => vec![Finding::failure(
            check,
            format!("no answer of the file system within {CHECK_TIMEOUT:?}"),
            "look whether the disk works, and whether it is a network drive that is gone",
        )],
    }
}

/// The worst of what was found.
#[must_use]
pub fn worst(findings: &[Finding]) -> Verdict {
    let verdicts = findings.iter().map(|finding| finding.verdict);
    verdicts.max().unwrap_or(Verdict::Ok)
}
