//! Instruction counts against the ones that were accepted last.
#![expect(clippy::print_stdout, reason = "a bench reports on stdout")]

use std::{collections::BTreeMap, fmt::Write as _, fs, io, path::Path, process::ExitCode};

/// A count may exceed its baseline by this share: enough for another minor
/// version of the compiler, too little for another atomic or call.
pub const TOLERANCE: f64 = 0.05;

/// Instructions per call, by case.
pub type Counts = BTreeMap<String, f64>;

/// Counts all `cases`, prints each count beside its baseline in the file `name` of `baselines/`, and,
/// if `accept` says so, makes it the baseline. Exits with 1 if a count is above its baseline, and with
/// 2 if that could not be found out.
pub fn judge_all(
    name: &str,
    cases: &[&str],
    count: impl Fn(&str) -> io::Result<f64>,
    accept_them: bool,
) -> ExitCode {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("baselines")
        .join(name);
    let counts = cases
        .iter()
        .map(|case| Ok(((*case).to_owned(), count(case)?)));
    let compared = counts.collect::<io::Result<Counts>>().and_then(|counts| {
        println!("instructions per call (callgrind)");
        if accept_them {
            accept(&counts, &path)?;
        }
        compare(&counts, &path)
    });
    match compared {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            println!("accept the counts by adding --accept, and say why in the commit");
            ExitCode::from(1)
        }
        Err(error) => {
            println!("nothing was compared: {error}");
            ExitCode::from(2)
        }
    }
}

/// Prints each count beside its baseline in the file at `path`; whether all are
/// within the tolerance. A case without a baseline, or the other way round, is
/// not.
///
/// # Errors
/// The file cannot be read, or a line of it is not `case count`.
pub fn compare(counts: &Counts, path: &Path) -> io::Result<bool> {
    let baseline = parse(&fs::read_to_string(path)?)?;
    let mut holds = true;
    for case in baseline
        .keys()
        .chain(counts.keys().filter(|case| !baseline.contains_key(*case)))
    {
        let (count, accepted) = (counts.get(case), baseline.get(case));
        let word = judge(count.copied(), accepted.copied());
        let show = |count: Option<&f64>| {
            count.map_or_else(|| "none".into(), |count| format!("{count:.1}"))
        };
        println!(
            "  {case:<18} {:>10}   baseline {:>8}   {word}",
            show(count),
            show(accepted)
        );
        holds &= !word.is_failure();
    }
    Ok(holds)
}

/// Makes `counts` the baseline; keeps the comment at the head of the file.
///
/// # Errors
/// The file cannot be read or written.
pub fn accept(counts: &Counts, path: &Path) -> io::Result<()> {
    let mut text: String = fs::read_to_string(path)?
        .lines()
        .filter(|line| line.starts_with('#'))
        .flat_map(|line| [line, "\n"])
        .collect();
    for (case, count) in counts {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{case} {count:.1}");
    }
    fs::write(path, text)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Holds,
    Lower,
    Above,
    NotCompared,
}

impl Word {
    fn is_failure(self) -> bool {
        matches!(self, Self::Above | Self::NotCompared)
    }
}

impl std::fmt::Display for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Holds => "holds",
            Self::Lower => "lower: accept it, so that it stays",
            Self::Above => "ABOVE",
            Self::NotCompared => "NOT COMPARED",
        })
    }
}

fn judge(count: Option<f64>, accepted: Option<f64>) -> Word {
    let (Some(count), Some(accepted)) = (count, accepted) else {
        return Word::NotCompared;
    };
    if count > accepted * (1.0 + TOLERANCE) {
        Word::Above
    } else if count < accepted * (1.0 - TOLERANCE) {
        Word::Lower
    } else {
        Word::Holds
    }
}

fn parse(text: &str) -> io::Result<Counts> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (case, count) = line.split_once(' ')?;
            let count: f64 = count.trim().parse().ok()?;
            (count.is_finite() && count > 0.0).then(|| (case.to_owned(), count))
        })
        .map(|entry| entry.ok_or_else(|| io::Error::other("a line is not `case count`")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judgements_follow_the_table() {
        let check = |count, accepted, expect| {
            assert_eq!(judge(count, accepted), expect, "{count:?} {accepted:?}");
        };
        check(Some(100.0), Some(100.0), Word::Holds);
        check(Some(105.0), Some(100.0), Word::Holds);
        check(Some(105.1), Some(100.0), Word::Above);
        check(Some(95.0), Some(100.0), Word::Holds);
        check(Some(94.9), Some(100.0), Word::Lower);
        check(Some(1.0), None, Word::NotCompared);
        check(None, Some(1.0), Word::NotCompared);
    }

    #[test]
    fn a_file_is_comments_and_counts() {
        let counts = parse("# why\n\nallowed 105.0\n  layer   308\n").expect("well formed");
        assert_eq!(
            counts,
            Counts::from([("allowed".into(), 105.0), ("layer".into(), 308.0)])
        );
        for bad in [
            "allowed",
            "allowed x",
            "allowed NaN",
            "allowed -1",
            "allowed 1 2",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_was_accepted_holds_and_the_comment_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("counts.txt");
        fs::write(&path, "# why\nallowed 90.0\n").expect("written");
        let counts = Counts::from([("allowed".into(), 105.0), ("refused".into(), 39.04)]);
        assert!(!compare(&counts, &path).expect("readable"));
        accept(&counts, &path).expect("writable");
        assert!(compare(&counts, &path).expect("readable"));
        let text = fs::read_to_string(&path).expect("readable");
        assert_eq!(text, "# why\nallowed 105.0\nrefused 39.0\n");
        assert!(compare(&counts, &folder.path().join("none")).is_err());
    }
}
