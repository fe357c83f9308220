//! `mcp-server connectors list | add | test | remove | import`.

use std::{collections::BTreeMap, fmt::Write as _, process::ExitCode, sync::Arc};

use super::{
    CliError,
    connector_args::{AddArgs, ConnectorsCommand, ImportFileArgs},
    print,
};
use crate::{
    adapters::UpstreamStack,
    app::{self, BuildError},
    config::Config,
    upstream::{
        ConnectorName, Listed, MapError, Report, ServerConfig, Stack as _, Store, StoreError,
        UpstreamError, Wanted, Way, import, read_map, registry_path,
    },
};

/// Why a command on connectors failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectorsError {
    /// The file of connectors.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is none of that name.
    #[error("there is no connector `{0}`: see `mcp-server connectors list`")]
    Unknown(ConnectorName),
    /// There is one of that name.
    #[error("there is a connector `{0}` already: give --force to exchange its settings")]
    Exists(ConnectorName),
    /// It is in the configuration file, which only its author changes.
    #[error("the connector `{0}` is one of the configuration file: change it there")]
    Configured(ConnectorName),
    /// Its settings cannot work.
    #[error("the connector {0}")]
    Settings(String),
    /// The file to be imported is none.
    #[error("cannot import `{path}`: {reason}")]
    Import {
        /// The file, as given.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// There is no service map in the settings.
    #[error("the settings name no service map: see connectors.service_map")]
    NoMap,
    /// The service map would not be used.
    #[error("the service map is not used: {0}")]
    Map(MapError),
    /// Where the service map is makes no sense.
    #[error("the service map cannot be looked for: {0}")]
    MapSource(UpstreamError),
    /// It does not answer.
    #[error("the connector `{name}` does not work: {source}")]
    Failed {
        /// Its name.
        name: ConnectorName,
        /// Why.
        source: UpstreamError,
    },
}

pub(super) async fn run(config: &Config, command: ConnectorsCommand) -> Result<ExitCode, CliError> {
    let path = registry_path(&app::data_dir(config)?);
    let store = Store::open(&path).map_err(ConnectorsError::from)?;
    match command {
        ConnectorsCommand::List => print(&list(config, &store)).await?,
        ConnectorsCommand::Add(args) => add(config, &store, *args)?,
        ConnectorsCommand::Test(args) => print(&test(config, &store, &args.name).await?).await?,
        ConnectorsCommand::Map => print(&map(config).await?).await?,
        ConnectorsCommand::Remove(args) => remove(config, &store, &args.name)?,
        ConnectorsCommand::Import(args) => return bring_in(&store, &args).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// A line for each connector, those of the configuration file included.
fn list(config: &Config, store: &Store) -> String {
    let records = store.records();
    let mut all: BTreeMap<&ConnectorName, (&ServerConfig, Option<&Report>)> = records
        .iter()
        .map(|(name, record)| (name, (&record.server, record.report.as_ref())))
        .collect();
    for (name, server) in &config.connectors.servers {
        all.insert(name, (server, None));
    }
    if all.is_empty() {
        return "there are no connectors: add one with `mcp-server connectors add` or `import`\n"
            .to_owned();
    }
    let width = all
        .keys()
        .map(|name| name.as_str().len())
        .max()
        .unwrap_or_default();
    let mut text = String::new();
    for (name, (server, report)) in all {
        let state = match (server.enabled, report) {
            (false, _) => "switched off".to_owned(),
            (true, None) => "not asked yet".to_owned(),
            (
                true,
                Some(Report {
                    at,
                    tools,
                    error: None,
                }),
            ) => {
                format!("{tools} tools ({at:.0})")
            }
            (
                true,
                Some(Report {
                    at,
                    error: Some(error),
                    ..
                }),
            ) => {
                format!("failed: {error} ({at:.0})")
            }
        };
        let _ = writeln!(
            text,
            "{:width$}  {}\n{:width$}  {state}",
            name.as_str(),
            shown(server),
            ""
        );
    }
    text
}

/// How it is reached, as it was written.
fn shown(server: &ServerConfig) -> String {
    match server.way() {
        Some(Way::Url(url)) => url.to_string(),
        Some(Way::Command(argv)) => argv
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" "),
        None => String::new(),
    }
}

fn add(config: &Config, store: &Store, args: AddArgs) -> Result<(), ConnectorsError> {
    let name = args.name;
    if config.connectors.servers.contains_key(&name) {
        return Err(ConnectorsError::Configured(name));
    }
    if store.records().contains_key(&name) && !args.force {
        return Err(ConnectorsError::Exists(name));
    }
    let pairs = |pairs: Vec<(String, String)>| {
        pairs
            .into_iter()
            .map(|(name, value)| (name, value.into()))
            .collect()
    };
    let server = ServerConfig {
        command: args.command.into_iter().map(Into::into).collect(),
        env: pairs(args.env),
        cwd: args.cwd,
        url: args.url.map(Into::into),
        headers: pairs(args.header),
        allow_private_address: args.allow_private_address,
        trust_read_only_hint: args.trust_read_only_hint,
        ..ServerConfig::default()
    };
    server.validate().map_err(ConnectorsError::Settings)?;
    store.define(&name, server);
    store.flush()?;
    tracing::info!("added `{name}`: try it with `mcp-server connectors test {name}`");
    Ok(())
}

fn remove(config: &Config, store: &Store, name: &ConnectorName) -> Result<(), ConnectorsError> {
    if !store.remove(name) {
        return Err(match config.connectors.servers.contains_key(name) {
            true => ConnectorsError::Configured(name.clone()),
            false => ConnectorsError::Unknown(name.clone()),
        });
    }
    store.flush()?;
    tracing::info!("removed `{name}`");
    Ok(())
}

async fn bring_in(store: &Store, args: &ImportFileArgs) -> Result<ExitCode, CliError> {
    let failed = |reason: String| ConnectorsError::Import {
        path: args.file.display().to_string(),
        reason,
    };
    let text = tokio::fs::read_to_string(&args.file).await;
    let text = text.map_err(|error| failed(error.to_string()))?;
    let imported = import(&text).map_err(|error| failed(error.to_string()))?;
    let mut left_out = imported.left_out;
    let there = store.records();
    let mut report = String::new();
    for (name, server) in imported.servers {
        if there.contains_key(&name) && !args.force {
            left_out.push((name.to_string(), "it is there already (--force)".to_owned()));
            continue;
        }
        let _ = writeln!(report, "{name}: {}", shown(&server));
        store.define(&name, server);
    }
    for (name, reason) in &left_out {
        let _ = writeln!(report, "left out: {name}: {reason}");
    }
    if !args.dry_run {
        store.flush().map_err(ConnectorsError::from)?;
    }
    print(&report).await?;
    Ok(match left_out.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// What the service map lists.
async fn map(config: &Config) -> Result<String, CliError> {
    let stack = UpstreamStack::new(&config.connectors, true).map_err(BuildError::from)?;
    let settings = &config.connectors.service_map;
    let source = stack
        .map_source(settings)
        .map_err(ConnectorsError::MapSource)?
        .ok_or(ConnectorsError::NoMap)?;
    let read = read_map(source.as_ref(), settings).await;
    let (serial, services) = read.map_err(ConnectorsError::Map)?;
    let mut text = format!("serial number {serial}; {} connectors\n", services.len());
    for (name, server) in &services {
        let _ = writeln!(text, "  {name}: {}", shown(server));
    }
    Ok(text)
}

/// What the other server offers.
async fn test(config: &Config, store: &Store, name: &ConnectorName) -> Result<String, CliError> {
    let configured = config.connectors.servers.get(name).cloned();
    let kept = || store.records().remove(name).map(|record| record.server);
    let server = configured.or_else(kept);
    let server = server.ok_or_else(|| ConnectorsError::Unknown(name.clone()))?;
    let stack = UpstreamStack::new(&config.connectors, true).map_err(BuildError::from)?;
    let failed = |source| ConnectorsError::Failed {
        name: name.clone(),
        source,
    };
    let upstream = stack
        .build(name, &server, &Arc::default())
        .map_err(failed)?;
    let listed = upstream.tools(Wanted::Anew).await;
    upstream.close().await;
    let Listed { manifest, .. } = listed.map_err(failed)?;
    let mut text = format!(
        "{} speaks {}; {} tools\n",
        manifest.server,
        manifest.protocol,
        manifest.tools.len()
    );
    for tool in &manifest.tools {
        let about = tool.description.description.as_deref().unwrap_or_default();
        let first = about.lines().next().unwrap_or_default();
        let first: String = first
            .chars()
            .filter(|letter| !letter.is_control())
            .take(100)
            .collect();
        let _ = writeln!(text, "  {}: {first}", tool.description.name);
    }
    Ok(text)
}
