//! Arguments of `bench`.

use std::{convert::Infallible, path::PathBuf, str::FromStr, time::Duration};

use clap::Args;

use crate::bench::profile::Profile;

/// Arguments of `bench`.
#[derive(Debug, Args)]
#[command(after_help = "\
Starts this same program as a server of its own, on scratch data that is gone afterwards: memories \
that are there already are neither read nor changed. --config, the environment and --safe-mode \
apply to that server. Close other programs first, and compare only what was measured on the same \
machine; ratios of one run say more than figures of two.

Examples:
  mcp-server bench
  mcp-server bench --compare safe-mode --validate
  mcp-server bench --profile memory --memories 10000,100000,1000000
  mcp-server bench --json before.json          # and after a change:
  mcp-server bench --compare before.json
  mcp-server bench --profile soak --duration 8h --validate")]
pub struct BenchArgs {
    /// What to run.
    #[arg(long, value_enum, default_value_t = Profile::AgentLoop)]
    pub profile: Profile,
    /// Measured calls, at most (of each tool, in the profile `memory`) [default: the profile's own
    /// choice].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    pub samples: Option<u32>,
    /// Connections [default: the profile's own choice; 50 agents in `agent-loop`].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub clients: Option<u32>,
    /// Memories that are there at first; several numbers make a run for each.
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        default_value = "100000",
        value_parser = clap::value_parser!(u32).range(100..=10_000_000)
    )]
    pub memories: Vec<u32>,
    /// How long each measurement takes, at most: seconds, or 10m, or 8h.
    #[arg(long, value_name = "TIME", default_value = "10")]
    pub duration: Seconds,
    /// Make so many calls per second, whatever the server does, in place of as many as possible;
    /// latencies then count from when a call was due. In the profile `memory`, calls of each kind;
    /// the operations of a batch count one by one.
    #[arg(long, value_name = "CALLS", value_parser = rate)]
    pub rate: Option<f64>,
    /// Chance: equal numbers make equal calls.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Compare with the same calls on `--safe-mode` (give `safe-mode`; profile `agent-loop`), or
    /// with an earlier report (its JSON file). May be given more than once.
    #[arg(long, value_name = "safe-mode|FILE")]
    pub compare: Vec<Against>,
    /// Write the report as JSON to this file, too; with -, to standard output in place of the text.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// End with status 1 when a target was missed.
    #[arg(long)]
    pub validate: bool,
}

/// What to compare with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Against {
    /// The same server without what makes it faster.
    SafeMode,
    /// An earlier report.
    File(PathBuf),
}

impl FromStr for Against {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "safe-mode" => Self::SafeMode,
            path => Self::File(path.into()),
        })
    }
}

/// A time in seconds, more than none and at most a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(Duration);

impl From<Seconds> for Duration {
    fn from(seconds: Seconds) -> Self {
        seconds.0
    }
}

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = match text.strip_suffix('h') {
            Some(hours) => (hours, 3_600.0),
            None => match text.strip_suffix('m') {
                Some(minutes) => (minutes, 60.0),
                None => (text, 1.0),
            },
        };
        let number = positive(number, 86_400.0 / unit)?;
        Ok(Self(Duration::from_secs_f64(number * unit)))
    }
}

fn rate(text: &str) -> Result<f64, String> {
    positive(text, 1_000_000.0)
}

fn positive(text: &str, most: f64) -> Result<f64, String> {
    let number = text.trim_end_matches('s').parse().ok();
    number
        .filter(|number| *number >= 0.001 && *number <= most)
        .ok_or_else(|| format!("expected a number from 0.001 to {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let check = |text: &str, seconds: Option<u64>| {
            let parsed = text.parse().ok().map(|Seconds(time)| time);
            assert_eq!(parsed, seconds.map(Duration::from_secs), "{text}");
        };
        check("10", Some(10));
        check("10s", Some(10));
        check("10m", Some(600));
        check("8h", Some(28_800));
        check("24h", Some(86_400));
        check("25h", None);
        check("0", None);
        check("-1m", None);
        check("m", None);
        check("1d", None);
    }
}
