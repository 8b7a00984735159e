//! `khd report`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use crate::cli::expect::Expect;
use crate::cli::reports::Reports;
use crate::cli::settings;
use crate::error::{Exit, Expected, nearest};
use crate::report::catalog::{self, Recorded};
use crate::report::comparison::Comparison;
use crate::report::{Judgement, Report};
use crate::state::RunFolder;
use crate::state::bundle::{self, Unpacked};
use crate::verdicts::Status;
use crate::verdicts::evidence::Evidence;

/// How many names a message lists at most.
const NAMED: usize = 10;

/// Judge a recorded run again, from its folder alone; or several, side by side
///
/// Needs neither Docker nor Kafka. Verdicts and exit code are those that the run had, unless --expect
/// asks for other limits; its verdicts.json is not touched.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A bundle holds all of a run's folder. It is written before the run is judged, so that also one that khd cannot judge can
be passed on, and a file that is there already is not overwritten.

Examples:
  khd report latest
  khd report 20261124T06 --format markdown >> $GITHUB_STEP_SUMMARY
  khd report latest --expect 'gap<5s' --expect 'availability>0.99'
  khd report latest --report junit,json --output reports
  khd report latest --bundle run.tar.zst
  khd report run.tar.zst      on another machine
  khd report 20261128T09 20261128T10 20261128T11      how three runs differ")]
pub struct Args {
    /// Name of a run or its beginning, `latest`, path of a run's folder, or of a bundle; of several, what differs
    #[arg(value_name = "RUN", required = true)]
    wanted: Vec<String>,
    #[command(flatten)]
    expect: Expect,
    #[command(flatten)]
    reports: Reports,
    /// Pack the run's folder into this file
    #[arg(long, value_name = "FILE.tar.zst")]
    bundle: Option<PathBuf>,
}

pub fn run(args: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    let runs = settings.state()?;
    let runs = runs.runs();
    let [wanted] = args.wanted.as_slice() else {
        return compare(&args, runs);
    };
    let chosen = choose(wanted, runs)?;
    if matches!(chosen, Chosen::Bundle(_)) && args.reports.needs_folder() {
        let message = "a bundle is unpacked for the moment only, so reports cannot stay beside it";
        return Err(Expected::usage(message).hint("say where to: --output DIR").into());
    }
    let run = chosen.folder();
    if let Some(file) = &args.bundle {
        let size = bundle::pack(run, file)?;
        tell!("bundle: {} ({} kB)", file.display(), size.div_ceil(1000));
    }
    let judgement = judge(run, &args.expect)
        .map_err(|error| Expected::no_verdict(format!("cannot judge {}: {error:#}", run.name())))?;
    args.reports.prepare()?;
    introduce(&judgement.report);
    args.reports.show(&judgement)?;
    args.reports.write(&judgement, run.path())?;
    Ok(judgement.report.status.exit())
}

/// Several runs side by side. They end as the worst of them does.
fn compare(args: &Args, runs: &Path) -> anyhow::Result<Exit> {
    if args.bundle.is_some() || args.reports.has_files() {
        let message = "--bundle and --report are of one run, and several are named";
        return Err(Expected::usage(message)
            .hint("--format markdown or json, to stdout")
            .into());
    }
    let mut judgements = Vec::new();
    for wanted in &args.wanted {
        let chosen = choose(wanted, runs)?;
        let run = chosen.folder();
        let judgement = judge(run, &args.expect)
            .map_err(|error| Expected::no_verdict(format!("cannot judge {}: {error:#}", run.name())))?;
        introduce(&judgement.report);
        judgements.push(judgement);
    }
    let text = Comparison::of(&judgements).render(args.reports.format())?;
    // A reader that went away does not change the verdict.
    let _ = std::io::stdout().write_all(text.as_bytes());
    let statuses = judgements.iter().map(|judgement| judgement.report.status);
    Ok(statuses.max().unwrap_or(Status::Skipped).exit())
}

fn judge(run: &RunFolder, expect: &Expect) -> anyhow::Result<Judgement> {
    let mut evidence = Evidence::load(run)?;
    evidence.limits = expect.over(evidence.limits);
    Ok(Judgement::of(run.name(), evidence))
}

/// Says on stderr which run it is, since `latest` or a beginning may mean any.
fn introduce(report: &Report) {
    let when = report.started.to_zoned(TimeZone::system());
    tell!(
        "{}: {}, {}, {:.1} s",
        report.run,
        report.command,
        when.strftime("%Y-%m-%d %H:%M:%S"),
        report.duration_ms as f64 / 1000.0
    );
    match report.outcome.as_deref() {
        Some("done") => {}
        Some(outcome) => tell!("it did not come to its end: {outcome}"),
        None => tell!("its end is not recorded: khd was killed, or is still at it"),
    }
    tell!();
}

/// The run that was meant.
enum Chosen {
    /// A folder.
    Folder(RunFolder),
    /// A bundle, unpacked for the moment.
    Bundle(Unpacked),
}

impl Chosen {
    fn folder(&self) -> &RunFolder {
        match self {
            Self::Folder(run) => run,
            Self::Bundle(unpacked) => &unpacked.run,
        }
    }
}

/// Finds a run by what the user wrote. A name goes before a path, which `./` makes clear.
fn choose(wanted: &str, runs: &Path) -> anyhow::Result<Chosen> {
    let list = catalog::list(runs)?;
    if let Some(found) = list.iter().find(|run| run.run == wanted) {
        return Ok(Chosen::Folder(RunFolder::open(&found.path)?));
    }
    if wanted == "latest" {
        let latest = list.iter().find(|run| run.is_readable()).ok_or_else(|| {
            Expected::usage(format!("there is no run in {} that can be read", runs.display()))
                .hint("khd fail and khd verify record one")
        })?;
        for newer in list.iter().take_while(|run| run.run != latest.run) {
            tell!(
                "{}: a newer run, of a version of khd that this one cannot read",
                newer.run
            );
        }
        return Ok(Chosen::Folder(RunFolder::open(&latest.path)?));
    }
    let path = Path::new(wanted);
    if path.is_dir() {
        return Ok(Chosen::Folder(RunFolder::open(path)?));
    }
    if path.exists() {
        return Ok(Chosen::Bundle(bundle::unpack(path)?));
    }
    if wanted.contains('/') {
        return Err(Expected::usage(format!("there is neither a folder nor a file {wanted}")).into());
    }
    let found = by_beginning(wanted, &list, runs)?;
    Ok(Chosen::Folder(RunFolder::open(&found.path)?))
}

fn by_beginning<'a>(wanted: &str, list: &'a [Recorded], runs: &Path) -> Result<&'a Recorded, Expected> {
    let begin_so: Vec<&Recorded> = list.iter().filter(|run| run.run.starts_with(wanted)).collect();
    let names = |runs: &mut dyn Iterator<Item = &Recorded>| {
        let names: Vec<&str> = runs.take(NAMED).map(|run| run.run.as_str()).collect();
        names.join("\n     ")
    };
    match begin_so.as_slice() {
        [only] => Ok(only),
        [] if list.is_empty() => Err(Expected::usage(format!(
            "there is no run `{wanted}`, and none at all in {}",
            runs.display()
        ))
        .hint("khd fail and khd verify record one")),
        [] => {
            let unknown = Expected::usage(format!("there is no run `{wanted}` in {}", runs.display()));
            Err(match nearest(wanted, list.iter().map(|run| run.run.as_str())) {
                Some(near) => unknown.hint(format!("did you mean `{near}`?")),
                None => unknown.hint(format!("the newest:\n     {}", names(&mut list.iter()))),
            })
        }
        several => Err(
            Expected::usage(format!("`{wanted}` is the beginning of {} runs", several.len())).hint(format!(
                "the newest of them:\n     {}",
                names(&mut several.iter().copied())
            )),
        ),
    }
}
