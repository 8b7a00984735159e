//! Faults of processes: they end, they freeze, they get less than they need.

pub mod disk_full;
pub mod kill;
pub mod limits;
pub mod pause;
pub mod restart;
pub mod stop;

use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use crate::faults::{Injection, Means, Proof, Target};
use crate::timeline::conditions::Lacking;
use crate::timeline::view::View;
use crate::topology::Expectation;

/// How long after it was asked the engine may still be ending a container: the longest grace period, and time to act.
const ENDING: SignedDuration = SignedDuration::from_secs(60);
/// ZooKeeper expires sessions once per tick, and needs one to tell the quorum.
const EXPIRY: Duration = Duration::from_secs(4);

/// The targets that the engine still has: what is gone needs no healing.
async fn there<'a>(means: &Means, injection: &'a Injection) -> anyhow::Result<Vec<&'a Target>> {
    let project = means.engine.project(&means.topology.project).await?;
    let there = |target: &&Target| project.containers.iter().any(|found| found.name == target.container);
    Ok(injection.targets.iter().filter(there).collect())
}

/// Waits for work that is done at every target at the same time; all of it is tried before the first failure is told.
async fn together(work: Vec<impl Future<Output = anyhow::Result<()>>>) -> anyhow::Result<()> {
    join_all(work).await.into_iter().collect()
}

/// Starts the targets that the engine still has.
async fn start(means: &Means, injection: &Injection) -> anyhow::Result<()> {
    let targets = there(means, injection).await?;
    together(
        targets
            .iter()
            .map(|target| means.engine.start(&target.container))
            .collect(),
    )
    .await
}

/// Waits for the end of targets that a khd had asked the engine to end before it died: the engine goes on with that for as
/// long as the grace period, and until then a start changes nothing. Nothing tells whether it is at it, so it is asked again.
async fn await_ends(means: &Means, injection: &Injection) -> anyhow::Result<()> {
    if Timestamp::now().duration_since(injection.since) > ENDING {
        return Ok(());
    }
    let project = means.engine.project(&means.topology.project).await?;
    let runs = |target: &&Target| {
        let mut containers = project.containers.iter();
        containers.any(|found| found.name == target.container && found.state == "running")
    };
    let running = injection.targets.iter().filter(runs);
    together(
        running
            .map(|target| means.engine.stop(&target.container, None))
            .collect(),
    )
    .await
}

/// The moment from which targets that were ended can be started again.
async fn startable(means: &Means, injection: &Injection) -> anyhow::Result<Option<Timestamp>> {
    await_ends(means, injection).await?;
    registrations_expire(means, injection).await
}

/// Exit codes of a broker that took its registration in ZooKeeper away before it went: as by itself, or by SIGTERM.
const IN_ORDER: [i64; 2] = [0, 143];

/// The moment from which all brokers among the targets can be started again. One that starts while its former self is
/// still registered in ZooKeeper gives up (`NodeExists`), and khd's containers are not restarted by anybody else. In KRaft
/// it is refused as well, and asks again until it is not.
async fn registrations_expire(means: &Means, injection: &Injection) -> anyhow::Result<Option<Timestamp>> {
    if means.expected.flavor.is_kraft() {
        return Ok(None);
    }
    let expiry = Duration::from_millis(means.expected.session_timeout_ms) + EXPIRY;
    let mut last = None;
    for target in there(means, injection).await? {
        if means.expected.broker_id(&target.service).is_none() {
            continue;
        }
        let ended = means.engine.ended(&target.container).await?;
        if let Some(ended) = ended.filter(|ended| !IN_ORDER.contains(&ended.exit_code)) {
            last = last.max(Some(ended.at.saturating_add(expiry)?));
        }
    }
    Ok(last)
}

/// Proves that the targets' processes are gone: the engine says so, and nobody answers a server's port.
fn gone(injection: &Injection, expected: &Expectation, view: &View) -> Proof {
    let lacking: Lacking = injection
        .targets
        .iter()
        .flat_map(|target| {
            let (name, state) = (target.name(), state(target, view));
            let up = !matches!(state, Some("exited" | "dead"));
            let up = up.then(|| format!("the engine says that {name} is {}", state.unwrap_or("unknown")));
            let answers = (answers(target, expected, view) == Some(true)).then(|| format!("{name} still answers"));
            up.into_iter().chain(answers)
        })
        .collect();
    if !lacking.is_empty() {
        return Err(lacking);
    }
    let states: Vec<String> = injection
        .targets
        .iter()
        .map(|target| {
            format!(
                "the engine says that {} is {}{}",
                target.name(),
                state(target, view).unwrap_or("gone"),
                if !target.is_server(expected) {
                    ""
                } else if expected.controllers.contains_key(&target.service)
                    && expected.broker_id(&target.service).is_none()
                {
                    ", and the metadata quorum does without it"
                } else {
                    ", and nobody answers on its port"
                }
            )
        })
        .collect();
    Ok(states.join("; "))
}

/// Proves that the targets run again, and that servers answer.
fn back(means: &Means, injection: &Injection, view: &View) -> Proof {
    let lacking: Lacking = injection
        .targets
        .iter()
        .flat_map(|target| {
            let (name, state) = (target.name(), state(target, view));
            let down = (state != Some("running")).then(|| format!("{name} is {}", state.unwrap_or("gone")));
            let silent =
                (answers(target, &means.expected, view) == Some(false)).then(|| format!("{name} does not answer"));
            down.into_iter().chain(silent)
        })
        .collect();
    if lacking.is_empty() {
        Ok(format!("{} runs and answers", injection.names()))
    } else {
        Err(lacking)
    }
}

fn state<'a>(target: &Target, view: &'a View) -> Option<&'a str> {
    view.containers
        .get(&(target.service.clone(), target.number))
        .map(String::as_str)
}

/// Whether a server answers on its port, or takes part in the metadata quorum as a controller; nothing for what is no server.
fn answers(target: &Target, expected: &Expectation, view: &View) -> Option<bool> {
    if !target.is_server(expected) {
        return None;
    }
    Some(match expected.broker_id(&target.service) {
        // One that was not asked yet may be well.
        Some(id) => view.brokers.get(&id).is_none_or(|broker| broker.answers),
        None => match expected.controllers.get(&target.service) {
            // It takes part as far as it has the metadata log.
            Some(id) => view.quorum.as_ref().is_none_or(|quorum| quorum.has(*id)),
            None => view.zookeepers.get(&target.service).is_none_or(Option::is_some),
        },
    })
}
