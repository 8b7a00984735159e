//! `khd status`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::cli::lab::Lab;
use crate::cli::settings;
use crate::cli::terminal::{Output, table};
use crate::cli::ui::{self, Missing};
use crate::drill::wait::until;
use crate::error::Exit;
use crate::faults::Injection;
use crate::faults::journal::Journal;
use crate::timeline::conditions;
use crate::timeline::record::Timeline;
use crate::timeline::view::View;
use crate::topology::Expectation;

/// Show controller, leaders, replicas, group and offsets
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  khd status\n  khd status --json | jq .controller")]
pub struct Args {
    #[command(flatten)]
    output: Output,
}

pub async fn run(args: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    let lab = Lab::running(settings).await?;
    let project = lab.project().await?;
    let expected = lab.expectation(&project);
    let missing = ui::missing(&lab, &project).await?;
    let timeline = Timeline::unrecorded();
    lab.start(&timeline, &expected, &lab.limits(), &BTreeMap::new());
    let _observers = lab.observe(&timeline);
    // A healthy lab shows itself within a second; of another one, what is known after three has to do.
    let _ = until(
        timeline.view(),
        Duration::from_secs(3),
        &CancellationToken::new(),
        |view| {
            let mut lacking = conditions::healthy(view, &expected);
            if view.offsets.is_none() || view.controller.is_none() {
                lacking.push("not all is known".into());
            }
            lacking
        },
    )
    .await;
    let view = timeline.view().borrow().clone();
    let faults = Journal::at(lab.dir.journal()).entries()?;
    let text = if args.output.json() {
        let mut summary = summary(&view, &expected, &faults);
        summary["missing"] = serde_json::to_value(&missing)?;
        serde_json::to_string_pretty(&summary)? + "\n"
    } else {
        readable(&view, &expected, &faults, &missing)
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(Exit::Passed)
}

/// How many partitions a broker leads, and in how many ISRs it is.
fn shares(view: &View, expected: &Expectation, id: i32) -> (usize, usize) {
    let facts = || expected.partitions().filter_map(|p| view.told(&p).cloned());
    (
        facts().filter(|fact| fact.leader == id).count(),
        facts().filter(|fact| fact.isr.contains(&id)).count(),
    )
}

/// Partitions with fewer replicas in sync than they have.
fn under_replicated(view: &View, expected: &Expectation) -> usize {
    let short = |fact: &crate::timeline::view::PartitionView| fact.isr.len() < fact.replicas.len();
    expected
        .partitions()
        .filter(|p| view.told(p).is_some_and(short))
        .count()
}

fn summary(view: &View, expected: &Expectation, faults: &[Injection]) -> Value {
    let brokers: Vec<Value> = expected
        .brokers
        .iter()
        .map(|(service, id)| {
            let (leads, in_sync) = shares(view, expected, *id);
            let answers = view.brokers.get(id).is_some_and(|broker| broker.answers);
            json!({"service": service, "id": id, "answers": answers, "leads": leads, "in_sync": in_sync})
        })
        .collect();
    json!({
        "healthy": conditions::healthy(view, expected).is_empty(),
        "lacking": conditions::healthy(view, expected),
        "controller": view.controller.map(|(id, _)| id),
        "controller_epoch": view.controller.map(|(_, epoch)| epoch),
        "zookeepers": view.zookeepers,
        "quorum": view.quorum.as_ref().map(|quorum| json!({
            "leader": quorum.leader,
            "leader_epoch": quorum.leader_epoch,
            "voters": quorum.voters,
            "observers": quorum.observers,
            "lagging": quorum.lagging,
        })),
        "brokers": brokers,
        "partitions": expected.partitions().count(),
        "under_replicated": under_replicated(view, expected),
        "group": view.group.as_ref().map(|group| json!({
            "name": expected.workload.group,
            "state": group.state,
            "coordinator": group.coordinator,
            "members": group.members,
        })),
        "produced": view.offsets.map(|offsets| offsets.end),
        "consumed": view.offsets.map(|offsets| offsets.committed),
        "faults": faults,
    })
}

fn readable(view: &View, expected: &Expectation, faults: &[Injection], missing: &[Missing]) -> String {
    let mut rows = Vec::new();
    for service in expected.keepers() {
        let mode = view
            .keeper(service, expected)
            .unwrap_or_else(|| "does not serve".into());
        rows.push(vec![service.clone(), mode, String::new(), String::new()]);
    }
    for (service, id) in &expected.brokers {
        let (leads, in_sync) = shares(view, expected, *id);
        let state = match view.brokers.get(id) {
            Some(broker) if !broker.answers => "does not answer".to_owned(),
            None => "was not asked".into(),
            Some(_) if view.controller.is_some_and(|(controller, _)| controller == *id) => "controller".into(),
            Some(_) => "answers".into(),
        };
        rows.push(vec![service.clone(), state, leads.to_string(), in_sync.to_string()]);
    }
    let mut text = table(&["SERVER", "STATE", "LEADS", "IN SYNC"], rows);
    text += &format!(
        "\npartitions  {}, {} under-replicated\n",
        expected.partitions().count(),
        under_replicated(view, expected)
    );
    if let Some((controller, epoch)) = view.controller.filter(|(controller, _)| *controller >= 0) {
        text += &format!("controller  {}, epoch {epoch}\n", expected.node_service(controller));
    }
    if let Some(quorum) = &view.quorum {
        let lagging: Vec<String> = quorum.lagging.iter().map(|id| expected.node_service(*id)).collect();
        text += &format!(
            "quorum      {} voters, {} observers, {}\n",
            quorum.voters.len(),
            quorum.observers.len(),
            match lagging.as_slice() {
                [] => "all caught up".to_owned(),
                late => format!("{} lagging", late.join(", ")),
            }
        );
    }
    if let Some(group) = &view.group {
        let assigned: Vec<String> = group
            .members
            .iter()
            .map(|member| {
                member
                    .assigned
                    .values()
                    .map(std::collections::BTreeSet::len)
                    .sum::<usize>()
                    .to_string()
            })
            .collect();
        text += &format!(
            "group       {} is {}, {} members with {} partitions, coordinator {}\n",
            expected.workload.group,
            group.state,
            group.members.len(),
            if assigned.is_empty() {
                "0".into()
            } else {
                assigned.join(" + ")
            },
            expected.node_service(group.coordinator)
        );
    }
    if let Some(offsets) = view.offsets {
        text += &format!("messages    {} produced, {} consumed\n", offsets.end, offsets.committed);
    }
    for entry in faults {
        text += &format!("fault       {} since {}\n", entry.words(), entry.since);
    }
    for missing in missing {
        text += &format!(
            "missing     {}: {}\n            {}\n",
            missing.service, missing.why, missing.hint
        );
    }
    match conditions::healthy(view, expected).as_slice() {
        [] => text += "\nthe lab is healthy\n",
        lacking => text += &format!("\nthe lab is not healthy:\n  {}\n", lacking.join("\n  ")),
    }
    text
}
