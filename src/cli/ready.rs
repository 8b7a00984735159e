//! Waits until a lab is proven ready, or has settled again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::join3;
use tokio_util::sync::CancellationToken;

use crate::cli::lab::Lab;
use crate::cli::notice::Board;
use crate::cli::terminal::watched;
use crate::compose::model::ComposeFile;
use crate::compose::render::JMX_EXPORTER_VARIABLE;
use crate::drill::machine::Outcome;
use crate::drill::wait::{once, until};
use crate::engine::LogOptions;
use crate::error::Expected;
use crate::faults::Injection;
use crate::prometheus::{self, Target};
use crate::settings::Flavor;
use crate::timeline::conditions::{self, Lacking};
use crate::timeline::record::Timeline;
use crate::timeline::view::View;
use crate::topology::{CONSUMER, COPIER, Expectation, PRODUCER};
use crate::workload::logs::readable;

/// Waits until the lab is proven ready, and says what was proven.
///
/// # Errors
/// A lab that is not ready in time, or has a container that is dead; or an interruption.
pub async fn ready(lab: &Lab, within: Duration, cancel: &CancellationToken) -> anyhow::Result<String> {
    let deadline = Instant::now() + within;
    let timeline = Timeline::unrecorded();
    let expected = lab.expectation(&lab.project().await?);
    lab.start(&timeline, &expected, &lab.limits(), &BTreeMap::new());
    let observers = lab.observe(&timeline);

    let journal = lab.journal();
    if !journal.entries()?.is_empty() {
        let answer = |view: &View| conditions::brokers_answer(view, &expected);
        let outcome = alive(lab, &timeline, answer, deadline, cancel).await;
        require(lab, outcome, within).await?;
        journal
            .undo(&lab.means(expected.clone()), Injection::in_kafka, |_| {})
            .await?;
    }
    let healthy = |view: &View| conditions::healthy(view, &expected);
    // What had been sent when every server was healthy for the first time.
    let sent = OnceLock::new();
    let flows = |view: &View| gone_through(view, &expected, &sent);
    let scraped = async {
        match &lab.topology.monitoring {
            Some(monitoring) => scraped(monitoring.prometheus, &lab.file, &expected, deadline, cancel).await,
            None => Outcome::Done,
        }
    };
    // At once, because each takes its time. What has once gone through, or was scraped, need not hold for a while.
    let left = deadline.saturating_duration_since(Instant::now());
    let all = join3(
        until(timeline.view(), left, cancel, healthy),
        once(timeline.view(), left, cancel, flows),
        scraped,
    );
    let lacking = |view: &View| {
        let lacking = healthy(view);
        if lacking.is_empty() { flows(view) } else { lacking }
    };
    let all = watched(timeline.view(), lacking, all);
    let outcomes = unless_dead(lab, &timeline, cancel, async {
        let (healthy, flows, scraped) = all.await;
        let failed = [healthy, flows, scraped]
            .into_iter()
            .find(|outcome| *outcome != Outcome::Done);
        failed.unwrap_or(Outcome::Done)
    });
    require(lab, outcomes.await, within).await?;

    let mut proven = format!(
        "{} is ready: {}, {} partitions with every replica in sync, {}",
        lab.settings.project,
        servers(&expected),
        expected.partitions().count(),
        match expected.flavor {
            Flavor::ZooKeeper => "one controller",
            Flavor::Kraft | Flavor::KraftSeparate => "one controller leads and all nodes follow",
        },
    );
    if has_workload(&expected) {
        proven += &format!(
            ", group {} stable, messages go all the way through",
            expected.workload.group
        );
    }
    if let Some(monitoring) = &lab.topology.monitoring {
        proven += &format!(", Prometheus scrapes all of it (http://{})", monitoring.prometheus);
    }
    for observer in observers {
        observer.stop().await;
    }
    if let Some(board) = Board::of(lab) {
        board.at_rest().await;
    }
    Ok(proven)
}

/// How many servers there are, of each kind.
fn servers(expected: &Expectation) -> String {
    let (brokers, controllers) = (expected.brokers.len(), expected.controllers.len());
    match expected.flavor {
        Flavor::ZooKeeper => format!("{} ZooKeeper servers, {brokers} brokers", expected.zookeepers.len()),
        Flavor::Kraft => format!("{brokers} brokers that are controllers too"),
        Flavor::KraftSeparate => format!("{controllers} controllers, {brokers} brokers"),
    }
}

/// Waits until Prometheus has scraped everything that there is.
async fn scraped(
    prometheus: SocketAddr,
    file: &ComposeFile,
    expected: &Expectation,
    deadline: Instant,
    cancel: &CancellationToken,
) -> Outcome {
    let workload = &expected.workload;
    // Servers of other images serve no metrics.
    let serve =
        |services: &mut dyn Iterator<Item = &String>| services.filter(|service| serves_metrics(file, service)).count();
    let jobs = [
        ("prometheus", 1),
        ("kafka", 1),
        ("brokers", serve(&mut expected.brokers.keys())),
        (
            "controllers",
            serve(&mut expected.keepers().filter(|_| expected.flavor.is_kraft())),
        ),
        ("zookeeper", serve(&mut expected.zookeepers.iter())),
        ("producers", workload.producers.into()),
        ("consumers", workload.consumers.into()),
    ];
    loop {
        let lacking = match prometheus::targets(prometheus).await {
            Ok(targets) => unscraped(&targets, &jobs),
            Err(error) => vec![format!("{error:#}")],
        };
        if lacking.is_empty() {
            return Outcome::Done;
        }
        if Instant::now() >= deadline {
            return Outcome::Expired(lacking);
        }
        // Until the next look; nothing tells when Prometheus has scraped.
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
            () = cancel.cancelled() => return Outcome::Interrupted,
        }
    }
}

/// Whether a server runs khd's own recipe, which serves metrics.
fn serves_metrics(file: &ComposeFile, service: &str) -> bool {
    let service = file.services.get(service);
    service.is_some_and(|service| service.environment.contains_key(JMX_EXPORTER_VARIABLE))
}

/// What Prometheus has not scraped yet, of so many targets of each job.
fn unscraped(targets: &[Target], jobs: &[(&str, usize)]) -> Lacking {
    let missing = jobs.iter().filter_map(|(job, wanted)| {
        let found = targets.iter().filter(|target| target.scrape_pool == *job).count();
        (found < *wanted).then(|| format!("prometheus has {found} of {wanted} targets of job {job}"))
    });
    // Other jobs are of services that may be missing.
    let required = targets
        .iter()
        .filter(|target| jobs.iter().any(|(job, _)| *job == target.scrape_pool));
    let down = required.filter(|target| target.health != "up");
    let down = down.map(|target| match target.last_error.as_str() {
        "" => format!("prometheus has not scraped {} yet", target.scrape_url),
        error => format!("prometheus cannot scrape {}: {error}", target.scrape_url),
    });
    missing.chain(down).collect()
}

/// Waits for a condition, but not for containers that are dead: khd restarts none.
async fn alive(
    lab: &Lab,
    timeline: &Timeline,
    condition: impl Fn(&View) -> Lacking + Clone,
    deadline: Instant,
    cancel: &CancellationToken,
) -> Outcome {
    let left = deadline.saturating_duration_since(Instant::now());
    let ready = watched(
        timeline.view(),
        condition.clone(),
        until(timeline.view(), left, cancel, condition),
    );
    unless_dead(lab, timeline, cancel, ready).await
}

/// Waits for work, but not once a container is dead.
async fn unless_dead(
    lab: &Lab,
    timeline: &Timeline,
    cancel: &CancellationToken,
    ready: impl Future<Output = Outcome>,
) -> Outcome {
    let dead = until(timeline.view(), Duration::MAX / 4, cancel, |view| {
        match exited(lab, view) {
            None => vec!["nothing has exited".into()],
            Some(_) => Vec::new(),
        }
    });
    tokio::select! {
        outcome = ready => outcome,
        _ = dead => match exited(lab, &timeline.view().borrow()) {
            Some(service) => Outcome::Expired(vec![format!("{service} has exited")]),
            None => Outcome::Interrupted,
        },
    }
}

/// A service that is dead, of those without which there is no lab.
fn exited(lab: &Lab, view: &View) -> Option<String> {
    let gone = |state: &String| state == "exited" || state == "dead";
    let mut dead = view.containers.iter().filter(|(_, state)| gone(state));
    let required = |service: &String| lab.file.services.get(service).is_none_or(|s| s.profiles.is_empty());
    let found = dead.find(|((service, _), _)| required(service));
    found.map(|((service, _), _)| service.clone())
}

/// Whether messages flow in the lab: it has who sends and who reads them.
fn has_workload(expected: &Expectation) -> bool {
    expected.workload.producers > 0 && expected.workload.consumers > 0
}

/// A message that was sent when every server was healthy has been consumed and committed; `sent` is where it keeps what had
/// been sent until then.
fn gone_through(view: &View, expected: &Expectation, sent: &OnceLock<i64>) -> Lacking {
    if !has_workload(expected) {
        return Vec::new();
    }
    let lacking = match sent.get() {
        None => conditions::servers_healthy(view, expected),
        Some(_) => Vec::new(),
    };
    if !lacking.is_empty() {
        return lacking;
    }
    let Some(offsets) = view.offsets else {
        return vec!["no offsets are known".into()];
    };
    if offsets.committed > *sent.get_or_init(|| offsets.end) {
        return Vec::new();
    }
    vec![format!(
        "no message has gone from a producer to a committed offset (sent {}, committed {})",
        offsets.end, offsets.committed
    )]
}

async fn require(lab: &Lab, outcome: Outcome, within: Duration) -> anyhow::Result<()> {
    let lacking = match outcome {
        Outcome::Done => return Ok(()),
        Outcome::Interrupted => return Err(Expected::interrupted("interrupted before the lab was ready").into()),
        Outcome::Failed(error) => anyhow::bail!(error),
        Outcome::Expired(lacking) => lacking,
    };
    let text = lacking.join("\n  ");
    if let Some((container, lines)) = last_lines(lab, &text).await {
        tell!("last lines of {container}:\n  {}", lines.join("\n  "));
    }
    let message = if text.contains("has exited") {
        format!("the lab cannot become ready: {text}")
    } else {
        format!(
            "the lab is not ready within {} s; it still lacks:\n  {text}",
            within.as_secs()
        )
    };
    Err(Expected::no_verdict(message)
        .hint("look at it with khd status and khd logs; remove it with khd down")
        .into())
}

/// The last log lines of the first service that a text speaks of.
async fn last_lines(lab: &Lab, text: &str) -> Option<(String, Vec<String>)> {
    let project = lab.engine.project(&lab.settings.project).await.ok()?;
    let named = lab
        .file
        .services
        .keys()
        .map(String::as_str)
        .find(|service| text.contains(service));
    let service = match named {
        Some(service) => service,
        // Topics are made by producers, and the group is its consumers.
        None if text.contains("not known to any broker") => PRODUCER,
        None if text.contains("group") || text.contains("committed") => CONSUMER,
        None => return None,
    };
    let mut containers: Vec<_> = project
        .containers
        .into_iter()
        .filter(|c| c.service == service)
        .collect();
    containers.sort_by_key(|container| container.state == "running");
    let container = containers.into_iter().next()?;
    let options = LogOptions {
        tail: Some(15),
        ..LogOptions::default()
    };
    let lines: Vec<_> = lab.engine.logs(&container.name, options).collect().await;
    let texts = lines
        .into_iter()
        .flatten()
        .map(|line| readable(&line.text).unwrap_or(line.text))
        .collect();
    Some((container.name, texts))
}

/// Waits until every partition is assigned once again, after containers of clients came or went.
pub async fn settled(lab: &Lab, expected: &Expectation, cancel: &CancellationToken) -> Outcome {
    let timeline = Timeline::unrecorded();
    lab.start(&timeline, expected, &lab.limits(), &BTreeMap::new());
    let _observers = lab.observe(&timeline);
    let condition = |view: &View| {
        let workload = &expected.workload;
        let mut lacking = conditions::replicas_run(view, PRODUCER, workload.producers);
        lacking.extend(conditions::replicas_run(view, CONSUMER, workload.consumers));
        lacking.extend(conditions::replicas_run(view, COPIER, workload.copiers));
        lacking.extend(conditions::group_stable(view, expected));
        lacking
    };
    let wait = until(timeline.view(), Duration::from_secs(90), cancel, condition);
    watched(timeline.view(), condition, wait).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::view::OffsetsView;

    #[test]
    fn a_message_has_gone_through_when_more_is_committed_than_had_been_sent() {
        let expected = crate::topology::Topology::of(&Default::default()).expectation(Duration::ZERO);
        let view = |end, committed| {
            let mut view = View::default();
            view.offsets = Some(OffsetsView {
                end,
                committed,
                partitions: 30,
            });
            view
        };
        // Of servers that do not answer, nothing is taken for sent.
        let sent = OnceLock::new();
        assert!(gone_through(&view(5, 9), &expected, &sent)[0].contains("does not serve"));
        assert_eq!(sent.get(), None);
        let sent = OnceLock::from(10);
        assert_eq!(
            gone_through(&View::default(), &expected, &sent),
            ["no offsets are known"]
        );
        assert!(gone_through(&view(20, 10), &expected, &sent)[0].contains("committed 10"));
        assert_eq!(gone_through(&view(20, 11), &expected, &sent), [""; 0]);
        let mut nobody = expected;
        nobody.workload.consumers = 0;
        assert_eq!(gone_through(&View::default(), &nobody, &OnceLock::new()), [""; 0]);
    }

    #[test]
    fn nothing_is_scraped_before_every_target_of_every_job_was() {
        let target = |job: &str, health: &str| Target {
            scrape_pool: job.into(),
            scrape_url: format!("http://{job}:1/metrics"),
            health: health.into(),
            last_error: String::new(),
        };
        let jobs = [("kafka", 1), ("brokers", 2), ("producers", 0)];
        assert_eq!(unscraped(&[], &jobs).len(), 2);
        let some = [
            target("kafka", "up"),
            target("brokers", "up"),
            target("brokers", "unknown"),
        ];
        assert_eq!(
            unscraped(&some, &jobs),
            ["prometheus has not scraped http://brokers:1/metrics yet"]
        );
        let all = [
            target("kafka", "up"),
            target("brokers", "up"),
            target("brokers", "up"),
            target("kafka-exporter", "down"),
        ];
        assert_eq!(unscraped(&all, &jobs), [""; 0]);
    }
}
