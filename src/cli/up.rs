//! `khd up`.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::cli::lab::{Lab, command_line, parse_duration, require_no_migration, unless_interrupted};
use crate::cli::notice::Board;
use crate::cli::ready::ready;
use crate::cli::terminal::Steps;
use crate::cli::ui::{self, Missing};
use crate::cli::{interrupt, settings};
use crate::engine::{Project, converge, images, preflight};
use crate::error::{Exit, Expected};
use crate::settings::Flavor;

/// Bring the lab up, and return when it is proven ready
///
/// Creates what is missing, recreates what changed, and leaves the rest alone. The lab is ready when every broker
/// answers, every partition has its full ISR, there is one controller, the group is stable with every partition
/// assigned once, and a message has gone all the way through; with monitoring, when Prometheus has scraped all of it.
/// Then Grafana and the manager are started, where their images can be had.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  khd up
  khd up --flavor kraft
  khd up --set kafka.servers=5 --set zookeeper.servers=5
  khd up --project second --port-offset 100 --subnet 172.26.0.0/24")]
pub struct Args {
    /// How long the started lab may take until it is ready
    #[arg(long, value_name = "TIME", default_value = "180s", value_parser = parse_duration)]
    timeout: Duration,
}

pub async fn run(args: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    let lab = Lab::wanted(settings).await?;
    let _lock = lab.dir.lock(&command_line())?;
    let cancel = interrupt::on_signal(
        "a lab that was not there before, and is not ready yet, is removed again",
        || "containers may be left: khd up goes on from there, khd down removes them".into(),
    )?;
    let before = lab.engine.project(&lab.settings.project).await?;
    let fresh = before.containers.is_empty() && before.volumes.is_empty();
    let result = bring_up(&lab, args.timeout, &cancel).await;
    if result.is_err() && cancel.is_cancelled() && fresh {
        // What this khd began and did not end is nobody's: a lab that was there before stays.
        lab.remove(false).await?;
    }
    println!("{}", result?);
    ui::start(&lab, &cancel).await?.iter().for_each(Missing::tell);
    Ok(Exit::Passed)
}

/// Makes the lab what its settings say, and waits until it is proven ready; says what was proven.
///
/// # Errors
/// Those of the engine; a lab that is not ready in time, or an interruption.
pub async fn bring_up(lab: &Lab, timeout: Duration, cancel: &CancellationToken) -> anyhow::Result<String> {
    let began = Instant::now();
    let engine = lab.engine.as_ref();
    require_flavor(lab.settings.flavor, &engine.project(&lab.settings.project).await?)?;
    for warning in preflight::check(engine, &lab.file.without_profiles()).await? {
        tell!("khd: warning: {}\n     {}", warning.message, warning.hint);
    }
    let steps = Steps::show();
    let converged = unless_interrupted(cancel, converge_lab(lab, &steps)).await;
    steps.end().await;
    converged?;
    let ready = ready(lab, timeout, cancel).await?;
    Ok(format!("{ready}, after {:.1} s", began.elapsed().as_secs_f64()))
}

/// Refuses a lab whose servers, or the data that they left, are of another flavor: none can read what another wrote.
fn require_flavor(wanted: Flavor, project: &Project) -> Result<(), Expected> {
    require_no_migration(project)?;
    let has = |server: &str| project.volumes.keys().any(|key| key.starts_with(server));
    let found = match (has("zookeeper"), has("controller"), has("kafka")) {
        (true, ..) => Flavor::ZooKeeper,
        (_, true, _) => Flavor::KraftSeparate,
        (_, _, true) => Flavor::Kraft,
        (false, false, false) => return Ok(()),
    };
    if found == wanted {
        return Ok(());
    }
    let message = format!("there is data of a lab of flavor {found}, which a lab of flavor {wanted} cannot read");
    Err(Expected::usage(message).hint("remove it with khd down --volumes, or name another lab with --project"))
}

async fn converge_lab(lab: &Lab, steps: &Steps) -> anyhow::Result<()> {
    let engine = lab.engine.as_ref();
    let images = images::obtain(
        engine,
        images::needed(&lab.file.without_profiles()).into_keys(),
        steps.sender(),
    )
    .await?;
    lab.dir.save_settings(&lab.settings)?;
    // A lab that is brought up has no faults: those that an earlier khd left are undone.
    let journal = lab.journal();
    let project = engine.project(&lab.settings.project).await?;
    lab.remove_helpers(&project).await?;
    journal.forget_missing(&project)?;
    // Those in Kafka's own state are undone once brokers answer.
    let means = lab.means(lab.expectation(&project));
    journal.undo(&means, |fault| !fault.in_kafka(), |_| {}).await?;
    converge::converge(engine, &lab.file, &images, steps.sender()).await?;
    if let Some(board) = Board::of(lab) {
        board.at_rest().await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_of_another_flavor_is_left_alone() {
        let lab = |volumes: &[&str]| Project {
            volumes: volumes
                .iter()
                .map(|key| ((*key).to_owned(), format!("khd_{key}")))
                .collect(),
            ..Project::default()
        };
        let zookeeper = lab(&["kafka1-data", "ledgers", "zookeeper1-data"]);
        require_flavor(Flavor::ZooKeeper, &zookeeper).unwrap();
        assert_eq!(
            require_flavor(Flavor::Kraft, &zookeeper).unwrap_err().message,
            "there is data of a lab of flavor zookeeper, which a lab of flavor kraft cannot read"
        );
        require_flavor(Flavor::Kraft, &lab(&["kafka1-data"])).unwrap();
        require_flavor(Flavor::KraftSeparate, &lab(&["ledgers"])).unwrap();
        assert!(require_flavor(Flavor::Kraft, &lab(&["controller1-data", "kafka1-data"])).is_err());
    }
}
