//! `mcp-server memory import | export`, and where the other commands on memories begin.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    CliError,
    args::{ExportArgs, ImportArgs, MemoryCommand},
    memory_copy,
};
use crate::{
    app::App,
    config::Config,
    memory::Owner,
    transfer::{self, Import, Report, Source, TransferError},
};

/// How often a long run says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

pub(super) async fn run(config: &Config, command: MemoryCommand) -> Result<ExitCode, CliError> {
    match command {
        MemoryCommand::Import(args) => import(config, args).await,
        MemoryCommand::Export(args) => export(config, &args).await,
        MemoryCommand::Copy(args) => memory_copy::copy(config, &args).await,
        MemoryCommand::Doctor => memory_copy::doctor(config).await,
    }
}

async fn import(config: &Config, args: ImportArgs) -> Result<ExitCode, CliError> {
    let (path, name) = (args.file.clone(), args.file.display().to_string());
    let opened = tokio::task::spawn_blocking(move || match path.as_os_str() {
        path if path == "-" => Source::stdin(),
        _ => Source::open(&path),
    });
    let source = opened
        .await
        .map_err(io::Error::other)
        .flatten()
        .map_err(|source| TransferError::Read { name, source })?;
    let app = App::build(config).await?;
    let import = Import {
        source,
        namespace: args.namespace,
        dry_run: args.dry_run,
    };
    let mut pace = Pace::new();
    let progress = |report: &Report| {
        if pace.is_due() {
            let percent = report.percent.map(|percent| format!(" ({percent} %)"));
            tracing::info!(
                "{} memories read{}",
                report.seen(),
                percent.unwrap_or_default()
            );
        }
    };
    let limits = &config.memory.limits;
    let archive = app.archive();
    let done = transfer::import(&*archive, &Owner::local(), limits, import, progress).await;
    drop(archive);
    app.close().await;
    let report = done?;
    let Report {
        added,
        replaced,
        kept,
        gone,
        rejected,
        ..
    } = report;
    let (done, and) = match args.dry_run {
        true => ("could be stored", ""),
        false => ("added", " and durable"),
    };
    tracing::info!(
        "{added} memories {done}{and}, {replaced} replaced by a newer version, {kept} were there \
         already, {gone} deleted or expired over there, {rejected} left out"
    );
    Ok(match rejected {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

async fn export(config: &Config, args: &ExportArgs) -> Result<ExitCode, CliError> {
    let app = App::build(config).await?;
    let archive = app.archive();
    let mut pace = Pace::new();
    let progress = |memories| {
        if pace.is_due() {
            tracing::info!("{memories} memories written");
        }
    };
    let mut output = Output::create(args.output.as_deref()).map_err(TransferError::Write)?;
    let namespace = args.namespace.as_deref();
    let owner = Owner::local();
    let done = transfer::export(&*archive, &owner, namespace, output.writer(), progress).await;
    drop(archive);
    app.close().await;
    let memories = done?;
    output.finish().map_err(TransferError::Write)?;
    tracing::info!("{memories} memories written");
    Ok(ExitCode::SUCCESS)
}

/// A file that appears under its name when it is whole, or standard output.
enum Output {
    Stdout(BufWriter<io::Stdout>),
    File {
        temporary: tempfile::NamedTempFile,
        path: std::path::PathBuf,
    },
}

impl Output {
    fn create(path: Option<&Path>) -> io::Result<Self> {
        let Some(path) = path.filter(|path| path.as_os_str() != "-") else {
            return Ok(Self::Stdout(BufWriter::new(io::stdout())));
        };
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let temporary = tempfile::NamedTempFile::new_in(dir.unwrap_or_else(|| Path::new(".")))?;
        Ok(Self::File {
            temporary,
            path: path.to_owned(),
        })
    }

    fn writer(&mut self) -> &mut (dyn Write + Send) {
        match self {
            Self::Stdout(stdout) => stdout,
            Self::File { temporary, .. } => temporary.as_file_mut(),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Stdout(mut stdout) => stdout.flush(),
            Self::File { temporary, path } => {
                temporary.as_file().sync_all()?;
                let file: File = temporary.persist(path)?;
                drop(file);
                Ok(())
            }
        }
    }
}

/// Says when it is time to say something again.
pub(super) struct Pace(Instant);

impl Pace {
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }

    pub(super) fn is_due(&mut self) -> bool {
        let due = self.0.elapsed() >= PROGRESS_EVERY;
        if due {
            self.0 = Instant::now();
        }
        due
    }
}
