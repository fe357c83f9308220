//! Connectors from the files of Cursor, VS Code and Claude (`mcp.json` and the like).

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf};

use serde::Deserialize;

use super::{ConnectorName, Secret, ServerConfig, Template};

/// What a file has to say.
#[derive(Debug, Default)]
pub struct Imported {
    /// The servers that can be used.
    pub servers: BTreeMap<ConnectorName, ServerConfig>,
    /// Those that cannot, and why.
    pub left_out: Vec<(String, String)>,
}

/// The text is no such file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// It is not JSON, not even with comments.
    #[error("it is not JSON: {0}")]
    NotJson(serde_json::Error),
    /// There is no list of servers in it.
    #[error("it has neither `mcpServers` (Cursor, Claude) nor `servers` (VS Code)")]
    NoServers,
}

/// What is read of a file; whatever else is in it is none of our business.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    /// Cursor and Claude.
    mcp_servers: Option<BTreeMap<String, serde_json::Value>>,
    /// VS Code's `mcp.json`.
    servers: Option<BTreeMap<String, serde_json::Value>>,
    /// VS Code's settings.
    mcp: Option<Box<File>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(rename = "type", alias = "transport")]
    kind: Option<String>,
    command: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, Option<Scalar>>,
    cwd: Option<PathBuf>,
    #[serde(alias = "serverUrl", alias = "httpUrl")]
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    disabled: bool,
}

/// Some write numbers and switches without quotes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Number(serde_json::Number),
    Switch(bool),
}

impl Scalar {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
            Self::Switch(switch) => switch.to_string(),
        }
    }
}

/// Reads the servers of a file. A host that is this machine by its name or address may be reached:
/// it was named by whoever wrote the file.
///
/// # Errors
///
/// [`ImportError`].
pub fn import(text: &str) -> Result<Imported, ImportError> {
    let json = without_comments(text.trim_start_matches('\u{feff}'));
    let file: File = serde_json::from_str(&json).map_err(ImportError::NotJson)?;
    let servers = servers(file).ok_or(ImportError::NoServers)?;
    let mut imported = Imported::default();
    for (name, entry) in servers {
        let Some(own_name) = ConnectorName::near(&name) else {
            imported
                .left_out
                .push((name, "its name is empty".to_owned()));
            continue;
        };
        if imported.servers.contains_key(&own_name) {
            let reason = format!("another one is called `{own_name}` here, too");
            imported.left_out.push((name, reason));
            continue;
        }
        let server = serde_json::from_value(entry).map_err(|error| error.to_string());
        match server.and_then(converted) {
            Ok(server) => {
                imported.servers.insert(own_name, server);
            }
            Err(reason) => imported.left_out.push((name, reason)),
        }
    }
    Ok(imported)
}

fn servers(file: File) -> Option<BTreeMap<String, serde_json::Value>> {
    let inner = file.mcp.and_then(|inner| servers(*inner));
    file.mcp_servers.or(file.servers).or(inner)
}

fn converted(entry: Entry) -> Result<ServerConfig, String> {
    if entry
        .kind
        .as_deref()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("sse"))
    {
        return Err(
            "it speaks HTTP with SSE of 2024, which is not spoken here: use its address \
                    of streamable HTTP"
                .to_owned(),
        );
    }
    let argv = entry.command.into_iter().chain(entry.args);
    let argv = match entry.url {
        Some(_) => Vec::new(),
        None => argv.collect::<Vec<_>>(),
    };
    let mut env = BTreeMap::new();
    for (name, value) in entry.env {
        let value = value.map(Scalar::into_text).unwrap_or_default();
        env.insert(name, Secret::from(known(value)?));
    }
    let mut headers = BTreeMap::new();
    for (name, value) in entry.headers {
        headers.insert(name, Secret::from(known(value)?));
    }
    let argv: Result<Vec<_>, _> = argv.into_iter().map(known).collect();
    let url = entry.url.map(known).transpose()?;
    let is_http = url.is_some();
    let server = ServerConfig {
        enabled: !entry.disabled,
        command: argv?.into_iter().map(Template::from).collect(),
        env: if is_http { BTreeMap::new() } else { env },
        cwd: entry.cwd.filter(|_| !is_http),
        allow_private_address: url.as_deref().is_some_and(is_this_machine),
        url: url.map(Template::from),
        headers: if is_http { headers } else { BTreeMap::new() },
        ..ServerConfig::default()
    };
    server.validate()?;
    Ok(server)
}

/// Refuses what only an editor can fill in.
fn known(text: String) -> Result<String, String> {
    let asks = [
        "${input:",
        "${workspaceFolder",
        "${userHome",
        "${command:",
        "${file",
    ];
    match asks.iter().find(|ask| text.contains(**ask)) {
        Some(ask) => Err(format!(
            "it names `{ask}…}}`, which only the editor knows: write `${{NAME}}` for a variable of \
             the environment"
        )),
        None => Ok(text),
    }
}

fn is_this_machine(url: &str) -> bool {
    let uri: Option<http::Uri> = url.parse().ok();
    let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default();
    let host = host.trim_matches(['[', ']']);
    let is_loopback = host
        .parse()
        .is_ok_and(|address: IpAddr| address.is_loopback());
    is_loopback || host.eq_ignore_ascii_case("localhost")
}

/// Makes JSON of JSON with comments and commas behind the last member, as editors write it.
fn without_comments(text: &str) -> String {
    let mut json = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    let mut in_text = false;
    while let Some(letter) = letters.next() {
        match (letter, letters.peek()) {
            ('\\', _) if in_text => {
                json.push(letter);
                json.extend(letters.next());
                continue;
            }
            ('"', _) => in_text = !in_text,
            ('/', Some('/')) if !in_text => {
                while letters.next_if(|letter| *letter != '\n').is_some() {}
                continue;
            }
            ('/', Some('*')) if !in_text => {
                let mut before = letters.next();
                for letter in letters.by_ref() {
                    if before == Some('*') && letter == '/' {
                        break;
                    }
                    before = Some(letter);
                }
                continue;
            }
            (']' | '}', _) if !in_text => {
                let end = json.trim_end().len();
                if json[..end].ends_with(',') {
                    json.truncate(end - 1);
                }
            }
            _ => {}
        }
        json.push(letter);
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, servers: &[(&str, &str)], left_out: &[(&str, &str)]) {
        let imported = import(text).unwrap();
        let got: Vec<_> = imported
            .servers
            .iter()
            .map(|(name, server)| (name.to_string(), serde_json::to_value(server).unwrap()))
            .collect();
        let expect: Vec<_> = servers
            .iter()
            .map(|(name, server)| ((*name).to_owned(), serde_json::from_str(server).unwrap()))
            .collect();
        assert_eq!(got, expect);
        assert_eq!(
            imported.left_out.len(),
            left_out.len(),
            "{:?}",
            imported.left_out
        );
        for ((name, reason), (expect, says)) in imported.left_out.iter().zip(left_out) {
            assert!(name == expect && reason.contains(says), "{name}: {reason}");
        }
    }

    #[test]
    fn what_cursor_and_claude_write_is_read() {
        check(
            r#"{"mcpServers": {
                "github": {"command": "npx", "args": ["-y", "server-github"],
                           "env": {"TOKEN": "${GITHUB_TOKEN}", "PORT": 5, "DEBUG": true}},
                "My Docs": {"type": "http", "url": "https://docs.example/mcp",
                            "headers": {"Authorization": "Bearer ${env:DOCS}"}},
                "local": {"url": "http://localhost:3000/mcp", "disabled": true},
                "old": {"type": "sse", "url": "https://old.example/sse"},
                "none": {"note": 1}
            }, "other": {}}"#,
            &[
                (
                    "My-Docs",
                    r#"{"enabled": true, "url": "https://docs.example/mcp", "headers": {"Authorization": "Bearer ${env:DOCS}"}}"#,
                ),
                (
                    "github",
                    r#"{"enabled": true, "command": ["npx", "-y", "server-github"], "env": {"TOKEN": "${GITHUB_TOKEN}", "PORT": "5", "DEBUG": "true"}}"#,
                ),
                (
                    "local",
                    r#"{"enabled": false, "url": "http://localhost:3000/mcp", "allow_private_address": true}"#,
                ),
            ],
            &[("none", "either"), ("old", "SSE")],
        );
    }

    #[test]
    fn what_vs_code_writes_is_read_with_its_comments() {
        let servers = r#"{
            // a comment with "quotes"
            "servers": {
                "a//b": {"type": "stdio", "command": "run", "args": ["http://x", "\"//\"",],},
                /* another */
                "asks": {"command": "run", "env": {"KEY": "${input:key}"}},
            },
            "inputs": [],
        }"#;
        let expect: &[_] = &[(
            "a--b",
            r#"{"enabled": true, "command": ["run", "http://x", "\"//\""]}"#,
        )];
        check(servers, expect, &[("asks", "only the editor knows")]);
        check(
            &format!(r#"{{"mcp": {servers}}}"#),
            expect,
            &[("asks", "only the editor knows")],
        );
    }

    #[test]
    fn what_is_no_such_file_says_so() {
        assert!(matches!(import("{}"), Err(ImportError::NoServers)));
        assert!(matches!(import("{"), Err(ImportError::NotJson(_))));
        assert!(matches!(import("/* "), Err(ImportError::NotJson(_))));
        assert!(matches!(import("[]"), Err(ImportError::NotJson(_))));
    }
}
