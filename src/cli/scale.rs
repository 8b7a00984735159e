//! `khd scale`.

use crate::cli::lab::{Lab, command_line, unless_interrupted};
use crate::cli::ready::settled;
use crate::cli::terminal::Steps;
use crate::cli::{interrupt, settings};
use crate::drill::machine::Outcome;
use crate::engine::converge;
use crate::error::{Exit, Expected, nearest};
use crate::settings::check::{MOST_REPLICAS, check};
use crate::topology::{CONSUMER, COPIER, PRODUCER, Topology};

/// Change how many producers, consumers or copiers run
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  khd scale producer=2\n  khd scale producer=2 consumer=3\n  khd scale consumer=0\n  khd scale copier=1"
)]
pub struct Args {
    /// producer=N, consumer=N or copier=N
    #[arg(required = true, value_name = "SERVICE=N", value_parser = settings::key_value, allow_hyphen_values = true)]
    replicas: Vec<(String, String)>,
}

pub async fn run(args: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    let mut wanted = Vec::new();
    let mut after = settings.of_lab(&settings.state()?)?.settings;
    let topology = Topology::of(&after);
    for (service, count) in &args.replicas {
        let count = replicas(&topology, service, count)?;
        if service == COPIER {
            after.copier.replicas = count;
        }
        wanted.push((service.as_str(), count));
    }
    // Copiers need topics and a group that nobody else has.
    check(&after)?;
    let lab = Lab::running(settings).await?;
    let _lock = lab.dir.lock(&command_line())?;
    let cancel = interrupt::on_signal("leaving the lab as it is", || "the lab is left as it is".into())?;
    let project = lab.project().await?;
    let journal = lab.journal();
    journal.forget_missing(&project)?;
    for (service, _) in &wanted {
        journal.require_not_added(service)?;
    }
    let steps = Steps::show();
    let scaled = unless_interrupted(&cancel, async {
        for (service, count) in &wanted {
            converge::scale(lab.engine.as_ref(), &lab.file, service, *count, steps.sender()).await?;
        }
        Ok(())
    })
    .await;
    steps.end().await;
    scaled?;
    let mut expected = lab.expectation(&lab.project().await?);
    for (service, count) in &wanted {
        match *service {
            PRODUCER => expected.workload.producers = *count,
            COPIER => expected.workload.copiers = *count,
            _ => expected.workload.consumers = *count,
        }
    }
    match settled(&lab, &expected, &cancel).await {
        Outcome::Done => {
            let group = match expected.workload.consumers {
                0 => String::new(),
                _ => format!(
                    "; group {} is stable, {} partitions assigned once each",
                    expected.workload.group,
                    expected.partitions().count()
                ),
            };
            let copiers = match expected.workload.copiers {
                0 => String::new(),
                count => format!(", {count} copiers"),
            };
            println!(
                "{} producers and {} consumers run{copiers}{group}",
                expected.workload.producers, expected.workload.consumers
            );
            Ok(Exit::Passed)
        }
        Outcome::Interrupted => Err(Expected::interrupted("interrupted while the group was settling").into()),
        Outcome::Failed(error) => anyhow::bail!(error),
        Outcome::Expired(lacking) => Err(Expected::no_verdict(format!("scaled, but: {}", lacking.join("; ")))
            .hint("look at it with khd status and khd logs")
            .into()),
    }
}

/// Checks one `service=number`.
fn replicas(topology: &Topology, service: &str, count: &str) -> Result<u16, Expected> {
    let scalable = [PRODUCER, CONSUMER, COPIER];
    if !scalable.contains(&service) {
        let kinds = ["kafka", "zookeeper", "controller"];
        let message = if topology.servers().any(|name| name == service) || kinds.contains(&service) {
            format!("`{service}` is part of the topology and cannot be scaled")
        } else {
            format!("there is no service `{service}` to scale")
        };
        return Err(Expected::usage(message).hint(match nearest(service, scalable) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "producer, consumer and copier can be scaled; brokers with --set kafka.servers=N and khd up".into(),
        }));
    }
    match count.parse::<u16>() {
        Ok(count) if count <= MOST_REPLICAS => Ok(count),
        _ => Err(Expected::usage(format!(
            "{service}={count} is not possible (0 to {MOST_REPLICAS})"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn what_cannot_be_scaled_is_refused_with_what_can() {
        let topology = Topology::of(&Settings::default());
        assert_eq!(replicas(&topology, "producer", "2").unwrap(), 2);
        for (service, count, said) in [
            ("kafka2", "2", "is part of the topology"),
            ("produccer", "2", "there is no service `produccer`"),
            ("producer", "-1", "producer=-1 is not possible (0 to 50)"),
            ("consumer", "100000", "consumer=100000 is not possible"),
            ("consumer", "many", "consumer=many is not possible"),
        ] {
            let error = replicas(&topology, service, count).unwrap_err();
            assert!(error.message.contains(said), "{}", error.message);
        }
    }
}
