//! `khd fail`.

mod dry;
mod list;
pub mod options;

use std::time::Duration;

use jiff::Timestamp;

use self::options::{Options, sets};
use crate::cli::expect::Expect;
use crate::cli::lab::{Lab, command_line, parse_duration};
use crate::cli::reports::Reports;
use crate::cli::run::{Run, conclude, withhold};
use crate::cli::{interrupt, settings};
use crate::drill::machine::Ending;
use crate::drill::plan::{Fail, Plan};
use crate::drill::runner;
use crate::error::{Exit, Expected};
use crate::faults::Target;
use crate::faults::selector::{self, Selector};
use crate::state::RunFolder;
use crate::timeline::view::View;
use crate::topology::Topology;

/// Do harm to a server, a client or the network, prove it, undo it, and give verdicts
///
/// The lab has to be healthy first; otherwise nothing is touched. The fault is journaled before it is injected, so
/// whatever happens to khd, `khd restore` or `khd down` puts things right. `khd faults` lists what can be done.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Targets: kafka2, zookeeper1, controller1, consumer-1, producer-1, consumer (all of them), controller, leader:TOPIC/PARTITION,
follower:TOPIC/PARTITION, coordinator:GROUP, zookeeper-leader, all-brokers, random, random:zookeeper, random:controller, random:consumer

Examples:
  khd fail kafka2                                    stop it (SIGTERM) for 20 s
  khd fail leader:test-1/0 --how kill --for 60s      kill whichever broker leads that partition
  khd fail controller --how pause                    freeze the controller
  khd fail kafka2 --how cpu --cpus 0.1               leave it a tenth of a core
  khd fail leader:test-1/0 --how block --traffic brokers,zookeeper
                                                     cut it off from all servers, but not from clients
  khd fail --partition kafka1,zookeeper1/kafka2,kafka3,zookeeper2,zookeeper3
                                                     split the lab in two
  khd fail all-brokers --how loss --percent 20       lose every fifth packet between them
  khd fail kafka2 --how move-leaders                 let others lead what it led
  khd fail all-brokers --how config --topic test-1 --setting min.insync.replicas=3
  khd fail consumer-1 --how stall                    let it poll no more
  khd fail kafka2 --how kill --expect 'gap<20s' --expect 'availability>=0.999'
  khd fail kafka2 --report junit,markdown --output reports
  khd fail kafka2 --leave                            leave it down; khd restore starts it again
  khd fail random --seed 7 --dry-run                 only say what would be done
  khd fail --list                                    what is in place now")]
pub struct Args {
    /// Whom to hit: by name, or by the role it has at that moment
    #[arg(value_name = "TARGET", required_unless_present_any = ["list", "partition"])]
    targets: Vec<Selector>,
    /// What to do to them; khd faults lists all
    #[arg(long, value_name = "FAULT", default_value = "stop")]
    how: String,
    /// Cut sets of servers and clients from each other: names with commas, sets with slashes
    #[arg(long, value_name = "SETS", value_parser = sets, conflicts_with_all = ["targets", "how"])]
    partition: Option<Sets>,
    /// How long it stays in place while the workload runs on; at least 3s
    ///
    /// [default: 20s]
    #[arg(long = "for", value_name = "TIME", value_parser = hold)]
    hold: Option<Duration>,
    /// Do not undo it after that
    #[arg(long)]
    leave: bool,
    /// Decides who is hit at random; without it the clock does
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// List the faults that are in place
    #[arg(long, conflicts_with_all = ["targets", "how", "partition", "leave", "dry_run"])]
    list: bool,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    expect: Expect,
    #[command(flatten)]
    reports: Reports,
}

/// How long a fault stays in place where nothing else is asked.
const HOLD: Duration = Duration::from_secs(20);

/// In less than three seconds nobody could tell a workload that goes on from one that hangs.
fn hold(text: &str) -> Result<Duration, String> {
    let hold = parse_duration(text)?;
    let least = Duration::from_secs(3);
    if hold < least {
        Err("3s is the least: the workload has to show that it goes on".into())
    } else {
        Ok(hold)
    }
}

/// Sets of names that are cut from each other. Named, so that clap takes them for one value of the flag.
type Sets = Vec<Vec<String>>;

pub async fn run(args: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    if args.list {
        return list::run(settings, args.reports.for_machines());
    }
    if args.options.one_way && args.partition.is_none() {
        let hint = "name the sets: khd fail --partition kafka1/kafka2,kafka3 --one-way";
        return Err(Expected::usage("--one-way goes with --partition").hint(hint).into());
    }
    let how = match &args.partition {
        Some(sets) => args.options.how("partition", Some(sets))?,
        None => args.options.how(&args.how, None)?,
    };
    if !how.fault().stays() && (args.leave || args.hold.is_some()) {
        let message = format!(
            "{} does not stay in place: there is nothing to hold or to leave",
            how.name()
        );
        return Err(Expected::usage(message).hint("leave out --for and --leave").into());
    }
    let targets = how.implied_targets().unwrap_or_else(|| args.targets.clone());
    let state = settings.state()?;
    let topology = Topology::of(&settings.of_lab(&state)?.settings);
    for target in &targets {
        target.check(&topology)?;
        target.there(&topology)?;
    }
    let lab = Lab::running(settings).await?;
    let _lock = lab.dir.lock(&command_line())?;
    let project = lab.project().await?;
    let expected = lab.expectation(&project);
    let named: Vec<Selector> = targets.iter().filter(|target| !target.is_role()).cloned().collect();
    selector::resolve(&named, &project, &expected, &View::default(), 0)?;
    let examples: Vec<Target> = targets
        .iter()
        .filter_map(|target| target.example(&lab.topology))
        .collect();
    how.fault().check(&lab.topology, &examples)?;
    how.fault().possible(&lab.means(expected)).await?;
    lab.require_no_fault(&project)?;
    let journal = lab.journal();
    let seed = args
        .seed
        .unwrap_or_else(|| Timestamp::now().as_millisecond().unsigned_abs());
    let label = how.name().to_owned();
    let fail = Fail { label, targets, how };
    if args.dry_run {
        return dry::run(&lab, &fail, seed).await;
    }
    let left = journal.clone();
    let cancel = interrupt::on_signal("undoing the fault", move || interrupt::faults_in_place(&left))?;
    let words = fail.to_string();
    let plan = Plan::of_one(
        fail,
        args.hold.unwrap_or(HOLD),
        args.leave,
        args.expect.over(lab.limits()),
        seed,
    );
    args.reports.prepare()?;
    let run = Run::start(&lab, &plan.drill, &plan.limits, &plan.skip, cancel).await?;
    let ending = runner::run(&run.stage, &plan).await;
    let outcome = match &ending {
        Ending::Judge => "done".to_owned(),
        Ending::Interrupted => "interrupted".into(),
        Ending::Untouched(lacking) => format!("untouched: {}", lacking.join("; ")),
        Ending::Broken { error, .. } | Ending::NoEvidence(error) => error.clone(),
    };
    let folder = run.end(&outcome).await;
    if matches!(ending, Ending::Judge | Ending::NoEvidence(_)) {
        // Without ledgers and log, what the timeline tells is judged all the same.
        return conclude(&lab, &folder, &args.reports).await;
    }
    let left = !journal.entries()?.is_empty();
    let failure = failure(&words, &folder, ending, left);
    if let Err(error) = withhold(&folder, &args.reports, &failure.message) {
        tell!("warning: {error:#}");
    }
    Err(failure.into())
}

/// What a fault that could not be judged ended with; `what` names it, as `kill kafka2`.
pub fn failure(what: &str, run: &RunFolder, ending: Ending, left: bool) -> Expected {
    match ending {
        Ending::Untouched(lacking) => Expected::environment(format!(
            "the lab is not healthy, so it was left untouched:\n  {}",
            lacking.join("\n  ")
        ))
        .hint("look at it with khd status; khd restore and khd up put things right"),
        Ending::Broken {
            error,
            fault_in_place: true,
        } => Expected::environment(format!("{what} could not be undone and is still in place: {error}"))
            .hint("once the engine is well again: khd restore, or khd down"),
        Ending::Broken { error, .. } => {
            Expected::environment(error).hint(format!("no fault is left in place; evidence: {}", run.path().display()))
        }
        _ if left => Expected::interrupted(format!("interrupted; {what} is still in place, as was asked"))
            .hint("undo it: khd restore"),
        Ending::Interrupted | Ending::Judge | Ending::NoEvidence(_) => {
            Expected::interrupted("interrupted; no fault is left in place")
        }
    }
}
