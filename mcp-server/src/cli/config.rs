//! `mcp-server config check | show | init | schema`.

use std::{
    fs::OpenOptions,
    io::{self, Write},
};

use serde_json::Value;

use super::{
    Cli, CliError,
    args::{ConfigCommand, InitArgs},
};
use crate::{
    config::{Config, ContextManagerSection, DEFAULT_FILE, Origins, without_password},
    upstream::{Secret, Template},
};

pub(super) fn run(cli: &Cli, command: &ConfigCommand) -> Result<(), CliError> {
    let text = match command {
        ConfigCommand::Check => {
            let config = cli.config()?;
            format!("the settings are valid\n{}", not_used(&config, ""))
        }
        ConfigCommand::Show(args) => {
            let (config, origins) = cli.config_with_origins()?;
            let settings = render(&config, args.origin.then_some(&origins));
            settings + &not_used(&config, "# ")
        }
        ConfigCommand::Init(args) => return init(args),
        ConfigCommand::Schema => format!("{:#}\n", Config::schema().as_value()),
    };
    print(&text)
}

fn init(args: &InitArgs) -> Result<(), CliError> {
    if args.file.as_os_str() == "-" {
        return print(DEFAULT_FILE);
    }
    let path = args.file.display().to_string();
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => CliError::Exists { path: path.clone() },
        _ => CliError::Output {
            path: path.clone(),
            source,
        },
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(args.force)
        .create_new(!args.force)
        .open(&args.file)
        .map_err(failed)?;
    file.write_all(DEFAULT_FILE.as_bytes()).map_err(failed)?;
    print(&format!("wrote {path}\n"))
}

/// Writes a command's answer to standard output.
pub(super) fn print(text: &str) -> Result<(), CliError> {
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(|source| CliError::Io {
            what: "cannot write to standard output",
            source,
        })
}

/// A line for each setting that has no effect.
fn not_used(config: &Config, prefix: &str) -> String {
    let remarks = config.not_used().into_iter();
    remarks
        .map(|remark| format!("{prefix}not used: {remark}\n"))
        .collect()
}

/// The configuration as YAML, in the order of its fields, without passwords. What was set under
/// another name is shown under its own, so that the file says nothing twice.
fn render(config: &Config, origins: Option<&Origins>) -> String {
    let other_names = config.context_manager.as_ref();
    let config = Config {
        context_manager: other_names.and_then(ContextManagerSection::without_aliases),
        ..config.clone()
    };
    let mut tree = serde_json::to_value(config).expect("a configuration is always JSON");
    hide_passwords(&mut tree);
    hide_secrets(&mut tree);
    let mut lines = Vec::new();
    section(&tree, "", 0, origins, &mut lines);
    lines.concat()
}

fn hide_passwords(tree: &mut Value) {
    match tree {
        Value::String(text) => *text = without_password(text),
        Value::Array(values) => values.iter_mut().for_each(hide_passwords),
        Value::Object(members) => members.values_mut().for_each(hide_passwords),
        _ => {}
    }
}

/// What connectors are let in with is nobody's business, but for the names of variables.
fn hide_secrets(tree: &mut Value) {
    let servers = tree
        .pointer_mut("/connectors/servers")
        .and_then(Value::as_object_mut);
    for server in servers.into_iter().flatten().map(|(_, server)| server) {
        hide(server.get_mut("url"), |url| Template::from(url).to_string());
        for section in ["env", "headers"] {
            let values = server.get_mut(section).and_then(Value::as_object_mut);
            for value in values.into_iter().flatten().map(|(_, value)| value) {
                hide(Some(value), |text| Secret::from(text).to_string());
            }
        }
    }
    let map = "/connectors/service_map";
    hide(tree.pointer_mut(&format!("{map}/source")), |url| {
        Template::from(url).to_string()
    });
    hide(tree.pointer_mut(&format!("{map}/key")), |key| {
        Secret::from(key).to_string()
    });
}

fn hide(value: Option<&mut Value>, shown: impl FnOnce(&str) -> String) {
    if let Some(value) = value
        && let Value::String(text) = value
    {
        *text = shown(text);
    }
}

fn section(
    tree: &Value,
    name: &str,
    depth: usize,
    origins: Option<&Origins>,
    lines: &mut Vec<String>,
) {
    let indent = "  ".repeat(depth);
    for (member, value) in tree.as_object().into_iter().flatten() {
        let full = match name {
            "" => member.clone(),
            _ => format!("{name}.{member}"),
        };
        // One without members would be read as nothing at all.
        if value.as_object().is_some_and(|members| !members.is_empty()) {
            lines.push(format!("{indent}{member}:\n"));
            section(value, &full, depth + 1, origins, lines);
            continue;
        }
        // JSON is YAML: a text in quotes needs no thought about what it looks like.
        let origin = origins.map(|origins| match origins.of(&full) {
            Some(by) => format!("  # {by}"),
            None => "  # default".to_owned(),
        });
        let origin = origin.unwrap_or_default();
        lines.push(format!("{indent}{member}: {value}{origin}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_connectors_are_not_shown() {
        let yaml = "connectors: {servers: {a: {url: 'https://u:pw@h/?t=hush', headers: {A: 'x ${T}'}}}, \
                    service_map: {source: 'https://h/m?t=hush', key: hush}}";
        let config: Config = serde_saphyr::from_str(yaml).unwrap();
        let text = render(&config, None);
        assert!(
            text.contains("https://u:***@h/") && text.contains("***${T}") && !text.contains("hush"),
            "{text}"
        );
    }

    #[test]
    fn what_is_shown_makes_the_same_again() {
        let mut config = Config::default();
        config.http.allowed_hosts = vec!["a: b #".to_owned(), "'\"\n".to_owned()];
        config.memory.data_dir = Some("/with space/ü".into());
        config.log.filter = "yes".to_owned();
        let origins = Origins::default();
        for text in [render(&config, None), render(&config, Some(&origins))] {
            let again: Config = serde_saphyr::from_str(&text).unwrap();
            assert_eq!(again, config, "{text}");
        }
    }
}
