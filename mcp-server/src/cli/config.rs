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
use crate::config::{Config, DEFAULT_FILE, Origins};

pub(super) fn run(cli: &Cli, command: &ConfigCommand) -> Result<(), CliError> {
    let text = match command {
        ConfigCommand::Check => {
            cli.config()?;
            "the settings are valid\n".to_owned()
        }
        ConfigCommand::Show(args) => {
            let (config, origins) = cli.config_with_origins()?;
            render(&config, args.origin.then_some(&origins))
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

fn print(text: &str) -> Result<(), CliError> {
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(|source| CliError::Io {
            what: "cannot write to standard output",
            source,
        })
}

/// The configuration as YAML, in the order of its fields.
fn render(config: &Config, origins: Option<&Origins>) -> String {
    let tree = serde_json::to_value(config).expect("a configuration is always JSON");
    let mut lines = Vec::new();
    section(&tree, "", 0, origins, &mut lines);
    lines.concat()
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
        if value.is_object() {
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
