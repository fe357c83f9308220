//! What is configured of one upstream.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Secret, Template};

/// One upstream: how it is reached, and what may be kept of what it says. Either `command` or `url`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Whether it is used at all. Default true.
    pub enabled: bool,
    /// The program to start and its arguments, one by one: no shell reads them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<Template>,
    /// Variables of the program's environment, beside a few of this program's own (`PATH`, `HOME`,
    /// `LANG` and the like).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Secret>,
    /// The folder that the program works in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<PathBuf>,
    /// The address of the endpoint: `https://host/mcp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Template>,
    /// Headers of each request, such as `Authorization: Bearer ${TOKEN}`. What clients send is never
    /// passed on.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Secret>,
    /// Whether the host of `url` may be at an address that is not public: this machine, the local
    /// network. Default false. Meant for that one host and port; redirects elsewhere stay refused.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allow_private_address: bool,
    /// Whether a tool that says of itself that it only reads may be called with a token of the scope
    /// `read`. Default false: anybody can say that, so calls of upstreams take the scope `write`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub trust_read_only_hint: bool,
    /// How long a call may take; `connectors.call_timeout` when absent.
    #[serde(
        with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub call_timeout: Option<Duration>,
    /// What may be kept of the results of which tools, by the names that the upstream gives them.
    /// Nothing by default.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, ToolPolicy>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            command: Vec::new(),
            env: BTreeMap::new(),
            cwd: None,
            url: None,
            headers: BTreeMap::new(),
            allow_private_address: false,
            trust_read_only_hint: false,
            call_timeout: None,
            tools: BTreeMap::new(),
        }
    }
}

/// What may be kept of one tool's results, and what its calls make invalid.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ToolPolicy {
    /// How long a result is kept; absent: not at all. Errors and results that say that something
    /// failed are never kept.
    #[serde(
        with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub ttl: Option<Duration>,
    /// Who may be answered with a kept result. Default `caller`.
    #[serde(skip_serializing_if = "is_default")]
    pub scope: ResultScope,
    /// What a kept result is invalidated by: names in which `{argument}` stands for an argument of
    /// the call, such as `repo:{owner}/{repo}`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The tags that a call of this tool invalidates, of the same form, in all tools of the
    /// connector.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub invalidates: Vec<String>,
}

/// Who may be answered with a kept result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResultScope {
    /// Whoever called for it.
    #[default]
    Caller,
    /// Everybody.
    Everyone,
}

fn is_default(scope: &ResultScope) -> bool {
    *scope == ResultScope::default()
}

/// How an upstream is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way<'a> {
    /// By a program's standard input and output.
    Command(&'a [Template]),
    /// By streamable HTTP.
    Url(&'a Template),
}

impl ServerConfig {
    /// A program that speaks over its standard input and output.
    #[must_use]
    pub fn command<T: Into<Template>>(argv: impl IntoIterator<Item = T>) -> Self {
        Self {
            command: argv.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// An endpoint of streamable HTTP.
    #[must_use]
    pub fn url(url: impl Into<Template>) -> Self {
        Self {
            url: Some(url.into()),
            ..Self::default()
        }
    }

    /// How it is reached; `None` if the settings name no way, or two.
    #[must_use]
    pub fn way(&self) -> Option<Way<'_>> {
        match (self.command.as_slice(), &self.url) {
            ([], Some(url)) => Some(Way::Url(url)),
            (argv @ [_, ..], None) => Some(Way::Command(argv)),
            _ => None,
        }
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    ///
    /// What is wrong and what would be right.
    pub fn validate(&self) -> Result<(), String> {
        let Some(way) = self.way() else {
            return Err("needs either `command` or `url`".to_owned());
        };
        match way {
            Way::Command(_) if !self.headers.is_empty() || self.allow_private_address => {
                return Err("`headers` and `allow_private_address` belong to a `url`".to_owned());
            }
            Way::Url(_) if !self.env.is_empty() || self.cwd.is_some() => {
                return Err("`env` and `cwd` belong to a `command`".to_owned());
            }
            Way::Url(url) => check_url(url.as_written())?,
            Way::Command(_) => {}
        }
        for name in self.headers.keys() {
            check_header(name)?;
        }
        if self.call_timeout == Some(Duration::ZERO) {
            return Err("`call_timeout` must not be 0: nothing could be called".to_owned());
        }
        let zero = |policy: &ToolPolicy| policy.ttl == Some(Duration::ZERO);
        if let Some((tool, _)) = self.tools.iter().find(|(_, policy)| zero(policy)) {
            return Err(format!("`tools.{tool}.ttl` must not be 0: leave it out"));
        }
        Ok(())
    }
}

fn check_url(url: &str) -> Result<(), String> {
    let begins = ["http://", "https://"]
        .iter()
        .any(|scheme| url.starts_with(scheme));
    // What variables will make of it is seen when it is used.
    let whole = url.contains("${")
        || url
            .parse::<http::Uri>()
            .is_ok_and(|uri| uri.host().is_some());
    match (begins || url.starts_with("${")) && whole {
        true => Ok(()),
        false => Err("`url` must be an address such as https://host/mcp".to_owned()),
    }
}

/// Headers that the protocol itself sets.
fn check_header(name: &str) -> Result<(), String> {
    let Ok(name) = name.parse::<http::HeaderName>() else {
        return Err(format!("`{name}` is no name of a header"));
    };
    let name = name.as_str();
    let is_own = name.starts_with("mcp-")
        || [
            "accept",
            "connection",
            "content-length",
            "content-type",
            "host",
            "last-event-id",
            "transfer-encoding",
        ]
        .contains(&name);
    match is_own {
        true => Err(format!("the header `{name}` is set by the protocol")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str, says: Option<&str>) {
        let config: ServerConfig = serde_saphyr::from_str(yaml).unwrap();
        match (config.validate(), says) {
            (Ok(()), None) => {}
            (Err(reason), Some(says)) => assert!(reason.contains(says), "{reason}"),
            (result, _) => panic!("{yaml}: {result:?}"),
        }
    }

    #[test]
    fn only_what_can_work_is_taken() {
        check("command: [npx, -y, server]", None);
        check("{command: [a], env: {TOKEN: '${T}'}, cwd: /tmp}", None);
        check("{url: 'https://h/mcp', headers: {Authorization: x}}", None);
        check("{url: '${URL}'}", None);
        check("{url: 'https://${HOST}/mcp', call_timeout: 5s}", None);
        check("{}", Some("either"));
        check("{command: [a], url: 'http://b'}", Some("either"));
        check("{command: [a], headers: {a: b}}", Some("belong to a `url`"));
        check(
            "{url: 'http://b', env: {a: b}}",
            Some("belong to a `command`"),
        );
        check("{url: 'ftp://b'}", Some("address such as"));
        check("{url: 'http://'}", Some("address such as"));
        check(
            "{url: 'http://b', headers: {Host: b}}",
            Some("set by the protocol"),
        );
        check("{url: 'http://b', headers: {'a b': b}}", Some("no name"));
        check("{url: 'http://b', call_timeout: 0s}", Some("must not be 0"));
        check(
            "{url: 'http://b', tools: {t: {ttl: 0s}}}",
            Some("tools.t.ttl"),
        );
    }

    #[test]
    fn what_is_written_is_read_again_and_says_no_more_than_needed() {
        let yaml = "{url: 'https://h/mcp', headers: {A: s3cret}, tools: {get: {ttl: 1m, tags: ['r:{id}']}}}";
        let config: ServerConfig = serde_saphyr::from_str(yaml).unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<ServerConfig>(&text).unwrap(), config);
        assert!(
            !text.contains("command") && !text.contains("null"),
            "{text}"
        );
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
