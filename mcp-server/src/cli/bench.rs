//! `mcp-server bench`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{
    CliError,
    args::{Against, BenchArgs},
    descriptors, print, signals,
};
use crate::bench::{
    error::BenchError,
    profile::{self, Plan},
    report::{Report, compare},
    server::Launch,
};

/// What the server that is measured is started with, beside what the plan says.
pub(super) struct Given {
    pub(super) config: Option<PathBuf>,
    pub(super) safe_mode: bool,
}

pub(super) async fn run(args: BenchArgs, given: Given) -> Result<ExitCode, CliError> {
    descriptors::raise_limit();
    let plan = plan(&args);
    let baselines = args.compare.iter().filter_map(|against| match against {
        Against::SafeMode => None,
        Against::File(path) => Some(read(path)),
    });
    // Before hours are spent.
    let baselines = baselines.collect::<Result<Vec<_>, _>>()?;
    let launch = Launch {
        binary: std::env::current_exe().map_err(|source| CliError::Io {
            what: "cannot find this program",
            source,
        })?,
        config: given.config,
        settings: Vec::new(),
        safe_mode: given.safe_mode,
        stop: signals::shutdown()?,
    };
    let say = |line: String| tracing::info!("{line}");
    let report = Box::pin(profile::run(&plan, &launch, &say)).await?;
    let mut text = report.to_string();
    for baseline in &baselines {
        text.push_str(&compare(baseline, &report));
    }
    match &args.json {
        Some(path) if path.as_os_str() == "-" => text = json(&report),
        Some(path) => write(path, &json(&report))?,
        None => {}
    }
    print(&text).await?;
    Ok(match args.validate && !report.passed() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

fn plan(args: &BenchArgs) -> Plan {
    Plan {
        profile: args.profile,
        seed: args.seed,
        memories: args.memories.clone(),
        clients: args.clients,
        samples: args.samples,
        duration: args.duration.into(),
        rate: args.rate,
        against_safe_mode: args.compare.contains(&Against::SafeMode),
    }
}

fn read(path: &Path) -> Result<Report, BenchError> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string());
    text.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()))
        .map_err(|reason| BenchError::Baseline {
            path: path.display().to_string(),
            reason,
        })
}

fn json(report: &Report) -> String {
    // Names and numbers only: there is nothing that JSON cannot hold.
    serde_json::to_string_pretty(report).unwrap_or_default() + "\n"
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    fs::write(path, text).map_err(|source| CliError::Output {
        path: path.display().to_string(),
        source,
    })
}
