//! `khd runs`.

use std::io::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::settings;
use crate::cli::terminal::{Output, table};
use crate::error::Exit;
use crate::report::catalog::{self, Recorded};
use crate::report::what;

/// List the runs that were recorded, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A run that ended without verdicts is `not-judged`; one whose end was not recorded, because khd was killed or is still
at it, is `unfinished`. `khd report` judges any of them again.

Examples:
  khd runs
  khd runs --json | jq -r '.[] | select(.verdict == \"failed\").run'")]
pub struct Args {
    #[command(flatten)]
    output: Output,
}

pub fn run(args: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    let state = settings.state()?;
    let runs = catalog::list(state.runs())?;
    let text = if args.output.json() {
        serde_json::to_string_pretty(&runs)? + "\n"
    } else if runs.is_empty() {
        tell!("no run was recorded in {} yet", state.runs().display());
        tell!("     khd fail and khd verify record one");
        return Ok(Exit::Passed);
    } else {
        let (now, zone) = (Timestamp::now(), TimeZone::system());
        let rows = runs.iter().map(|run| row(run, now, &zone));
        table(&["RUN", "WHAT", "WHEN", "LONGEST GAP", "VERDICT"], rows)
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(Exit::Passed)
}

fn row(run: &Recorded, now: Timestamp, zone: &TimeZone) -> Vec<String> {
    let when = run.started.map_or_else(String::new, |started| {
        let local = started.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
        format!("{local}, {}", ago(now.duration_since(started).as_secs()))
    });
    let gap = match run.longest_gap_ms {
        Some(ms) => format!("{:.1} s", ms as f64 / 1000.0),
        None => String::new(),
    };
    let verdict = match &run.why {
        Some(why) => format!("{}: {why}", run.verdict.word()),
        None => run.verdict.word().to_owned(),
    };
    let what = run
        .command
        .as_deref()
        .map_or_else(String::new, |command| what(run.drill.as_deref(), command));
    vec![run.run.clone(), what, when, gap, verdict]
}

/// How long ago something was, in the greatest unit that fits.
fn ago(seconds: i64) -> String {
    let (count, unit) = match seconds {
        ..0 => return "in the future".into(),
        0..60 => (seconds, "s"),
        60..3_600 => (seconds / 60, "min"),
        3_600..86_400 => (seconds / 3_600, "h"),
        86_400..172_800 => (1, "day"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{count} {unit} ago")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_ago_is_told_in_the_greatest_unit_that_fits() {
        for (seconds, told) in [
            (-5, "in the future"),
            (0, "0 s ago"),
            (59, "59 s ago"),
            (60, "1 min ago"),
            (7_199, "1 h ago"),
            (86_400, "1 day ago"),
            (200_000, "2 days ago"),
        ] {
            assert_eq!(ago(seconds), told);
        }
    }
}
