//! `khd drill run`.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::find;
use super::host::{Host, State};
use super::queue::{Group, grouped};
use super::results::{Row, as_junit, as_table, exit};
use crate::cli::lab::{Lab, command_line, parse_duration};
use crate::cli::notice::Board;
use crate::cli::run::Run;
use crate::cli::terminal::Output;
use crate::cli::{interrupt, settings};
use crate::drill::machine::Ending;
use crate::drill::plan::Action;
use crate::drill::runner;
use crate::drill::script::{Course, NEGATIVE, Script};
use crate::error::{Exit, Expected};
use crate::report::{Format, Judgement};
use crate::settings::check::check;
use crate::settings::{Data, Flavor, Settings};
use crate::state::{RunFolder, publish};
use crate::verdicts::Status;

/// Run drills, and tell what each came to
///
/// Brings the lab up if there is none, and removes it at the end. One lab serves all drills that want the same settings;
/// it is verified between them, and made anew where a drill spoilt it, as those do that lose messages on purpose. Each
/// drill is a run of its own.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  khd drill run isolate-leader kill-leader
  khd drill run --tag smoke --junit drills.xml
  khd drill run my-drill.yaml --repeat 5 --fail-fast
  khd drill run soak --for 10m --seed 7      the same mix of faults for the same seed")]
pub struct Args {
    /// Drills that come with khd, by name, or files
    #[arg(value_name = "NAME|FILE", required_unless_present = "tag")]
    drills: Vec<String>,
    /// Also those of this tag that come with khd
    #[arg(long)]
    tag: Option<String>,
    /// How many times each is run
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Decides all that is random; each repetition has the next one [default: a random one, which is told]
    #[arg(long)]
    seed: Option<u64>,
    /// How long a soak takes, about
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    length: Option<Duration>,
    /// End after the first drill that does not pass
    #[arg(long)]
    fail_fast: bool,
    /// Leave a lab that was brought up for the drills
    #[arg(long)]
    keep_lab: bool,
    /// Write all results into one JUnit XML, a suite for each drill
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Also write a file in each of these formats for each drill, separated by commas
    #[arg(long, value_enum, value_name = "FORMAT", value_delimiter = ',')]
    report: Vec<Format>,
    /// Folder for these files, with a folder for each run [default: the run's folder]
    #[arg(long, value_name = "DIR", requires = "report")]
    output: Option<PathBuf>,
    #[command(flatten)]
    result: Output,
}

pub async fn run(args: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    let base = settings.of_lab(&settings.state()?)?.settings;
    let found = find::scripts(&args.drills, args.tag.as_deref(), &base)?;
    let (scripts, unfit) = (found.scripts, found.unfit);
    let is_soak = |script: &Script| matches!(script.course, Course::Soak(_));
    if args.length.is_some() && !scripts.iter().any(is_soak) {
        return Err(Expected::usage("--for is how long a soak takes, and none of these drills is one").into());
    }
    let wanted = scripts.into_iter().map(|script| {
        let settings = script.settings(&base)?;
        Ok((script, settings))
    });
    let groups = grouped(wanted.collect::<Result<_, Expected>>()?);
    prepare(&args)?;
    let lab = Lab::running(settings).await?;
    let _lock = lab.dir.lock(&command_line())?;
    let journal = lab.journal();
    let cancel = interrupt::on_signal("the drill heals what it broke, and no other begins", move || {
        format!(
            "{}; the lab may be left: khd down",
            interrupt::faults_in_place(&journal)
        )
    })?;
    let seed = args.seed.unwrap_or_else(any_seed);
    tell!("seed {seed}");
    let mut host = Host::of(lab).await?;
    let mut rows: Vec<Row> = unfit.iter().map(|(name, why)| skipped(name, seed, why)).collect();
    let ended = all(&args, &groups, seed, &mut host, &cancel, &mut rows).await;
    let left = host.leave(args.keep_lab).await;
    let text = match args.result.json() {
        true => serde_json::to_string_pretty(&rows)? + "\n",
        false => as_table(&rows),
    };
    // A reader that went away does not change the verdict.
    let _ = std::io::stdout().write_all(text.as_bytes());
    if let Some(path) = &args.junit {
        publish(path, as_junit(&rows)?.as_bytes())?;
        tell!("report: {}", path.display());
    }
    if let (Err(_), Err(error)) = (&ended, &left) {
        tell!("khd: warning: the lab could not be left as it was found: {error:#}");
    }
    ended.and(left)?;
    if cancel.is_cancelled() {
        return Err(Expected::interrupted("interrupted; no fault is left in place, and the rest was not run").into());
    }
    Ok(exit(&rows))
}

/// Makes the folders of files that are written at the end, so that a long run does not end with one that cannot be made.
fn prepare(args: &Args) -> anyhow::Result<()> {
    let of_junit = args.junit.as_ref().and_then(|file| file.parent());
    for folder in of_junit.into_iter().chain(args.output.as_deref()) {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    Ok(())
}

/// Runs all of them, and collects what they came to.
async fn all(
    args: &Args,
    groups: &[Group],
    seed: u64,
    host: &mut Host,
    cancel: &CancellationToken,
    rows: &mut Vec<Row>,
) -> anyhow::Result<()> {
    for group in groups {
        for script in &group.scripts {
            let wanted = host.lab.with(group.settings.clone());
            if let Some(why) = unsuited(&wanted, script, seed, args) {
                rows.push(skipped(&script.name, seed, &why));
                continue;
            }
            for time in 0..args.repeat {
                let seed = seed.wrapping_add(u64::from(time));
                host.prepare(&group.settings, cancel).await?;
                let row = one(args, script, seed, host, cancel).await?;
                let (over, bad) = (cancel.is_cancelled(), row.is_bad());
                rows.push(row);
                host.lab.journal().require_empty()?;
                if over || bad && args.fail_fast {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// Runs one drill on the lab that was made for it.
async fn one(
    args: &Args,
    script: &Script,
    seed: u64,
    host: &mut Host,
    cancel: &CancellationToken,
) -> anyhow::Result<Row> {
    let name = &script.name;
    let plan = script.plan(&host.lab.topology, host.lab.limits(), seed, args.length);
    let actions = plan.actions();
    let migrates = migrates(&actions);
    let to_migrate = migrates.then(|| host.lab.to_migrate());
    let lab = to_migrate.as_ref().unwrap_or(&host.lab);
    if let Some(why) = impossible(lab, &actions).await? {
        return Ok(skipped(name, seed, &why));
    }
    tell!("\n{name}: {}", script.purpose);
    if migrates {
        // Whatever becomes of the run.
        host.note(State::Migrated);
        tell!("the lab and its data are not kept after this: there is no way back for a cluster that has migrated");
    }
    let lab = to_migrate.as_ref().unwrap_or(&host.lab);
    let run = Run::start(lab, &plan.drill, &plan.limits, &plan.skip, cancel.clone()).await?;
    let ending = runner::run(&run.stage, &plan).await;
    let (exit, why) = match ending {
        Ending::Judge => (Exit::Passed, "done".to_owned()),
        Ending::NoEvidence(error) => (Exit::NoVerdict, error),
        Ending::Interrupted => (Exit::Interrupted, "interrupted".into()),
        Ending::Untouched(lacking) => (Exit::Environment, format!("untouched: {}", lacking.join("; "))),
        Ending::Broken { error, .. } => (Exit::Environment, error),
    };
    let folder = run.end(&why).await;
    let row = match exit {
        // Without ledgers and log, what the timeline tells is judged all the same.
        Exit::Passed | Exit::NoVerdict => judged(args, name, seed, &host.lab, &folder).await?,
        _ => {
            tell!("{name}: {why}");
            Row::not_judged(name, seed, Some(folder.name()), Status::Unknown, exit, &why)
        }
    };
    // One that was interrupted has healed all the same.
    if row.is_bad() && exit != Exit::Interrupted || script.is_tagged(NEGATIVE) {
        host.note(State::Spoilt);
    } else if actions.iter().any(|action| matches!(action, Action::Scale { .. })) {
        host.note(State::Changed);
    }
    Ok(row)
}

async fn judged(args: &Args, name: &str, seed: u64, lab: &Lab, run: &RunFolder) -> anyhow::Result<Row> {
    let judgement = Judgement::load(run)?;
    if let Some(board) = Board::of(lab) {
        board.judged(&judgement).await;
    }
    run.write(run.verdicts(), judgement.render(Format::Json, false)?.as_bytes())?;
    let folder = match &args.output {
        Some(output) => output.join(run.name()),
        None => run.path().to_owned(),
    };
    for format in &args.report {
        let path = folder.join(format.file_name());
        publish(&path, judgement.render(*format, false)?.as_bytes())
            .with_context(|| format!("the report of {name}"))?;
        tell!("report: {}", path.display());
    }
    for verdict in judgement
        .report
        .verdicts
        .iter()
        .filter(|verdict| verdict.status > Status::Skipped)
    {
        tell!("  {} {}: {}", verdict.id, verdict.status.word(), verdict.summary);
    }
    tell!(
        "{name} {}: {}",
        judgement.report.status.word(),
        judgement.report.sentence
    );
    Ok(Row::judged(name, seed, judgement.report))
}

/// The result of a drill that is not run, and why.
fn skipped(name: &str, seed: u64, why: &str) -> Row {
    tell!("{name} is skipped: {why}");
    Row::not_judged(name, seed, None, Status::Skipped, Exit::NoVerdict, why)
}

/// Whether a drill takes the cluster to another phase of its migration.
fn migrates(actions: &[&Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Migrate(_)))
}

/// Why a drill makes no sense on a lab that is as it wants it, if it does not: nothing is brought up for it then.
fn unsuited(lab: &Lab, script: &Script, seed: u64, args: &Args) -> Option<String> {
    if let Some(why) = script.unsuited(lab.topology.flavor) {
        return Some(why);
    }
    let plan = script.plan(&lab.topology, lab.limits(), seed, args.length);
    let actions = plan.actions();
    let to_migrate = migrates(&actions).then(|| lab.to_migrate());
    if to_migrate.is_some() {
        if lab.topology.flavor.is_kraft() {
            return Some("KRaft keeps the metadata already".into());
        }
        if lab.settings.data == Data::Keep {
            return Some("the lab's data is to be kept, and there is no way back for it".into());
        }
        let after = Settings {
            flavor: Flavor::KraftSeparate,
            ..lab.settings.clone()
        };
        if let Err(error) = check(&after) {
            return Some(format!(
                "the lab's settings do not go with controllers: {}",
                error.message
            ));
        }
    }
    let topology = &to_migrate.as_ref().unwrap_or(lab).topology;
    let targets = actions.iter().flat_map(|action| match action {
        Action::Fail(fail) => fail.targets.as_slice(),
        _ => &[],
    });
    let mut missing = targets.filter_map(|target| target.there(topology).err());
    missing.next().map(|why| why.message)
}

/// Why engine or kernel do not allow one of the drill's faults, if they do not.
async fn impossible(lab: &Lab, actions: &[&Action]) -> anyhow::Result<Option<String>> {
    let means = lab.means(lab.topology.expectation(lab.settings.session_timeout()));
    let mut asked = BTreeSet::new();
    for action in actions {
        if let Action::Fail(fail) = action
            && asked.insert(fail.how.name())
            && let Err(error) = fail.how.fault().possible(&means).await
        {
            let expected = error.downcast::<Expected>()?;
            return Ok(Some(format!("{}: {}", fail.how.name(), expected.message)));
        }
    }
    Ok(None)
}

/// A seed that is short enough to be typed again.
fn any_seed() -> u64 {
    RandomState::new().build_hasher().finish() % 1_000_000
}
