//! What happened in a run, in words: one line for what belongs together.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{Partition, Rebalance};
use crate::timeline::event::{Event, Kind};
use crate::topology::Expectation;
use crate::verdicts::evidence::Evidence;

/// Changes of partitions that are at most so many milliseconds apart are told in one line.
const TOGETHER_MS: u64 = 1000;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// When.
    pub at_ms: u64,
    /// What it is about.
    pub subject: Subject,
    /// What happened.
    pub text: String,
}

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The run and its steps.
    Run,
    /// A fault.
    Fault,
    /// A server or a container.
    Server,
    /// The controller.
    Controller,
    /// Leaders of partitions.
    Leaders,
    /// In-sync replicas.
    Isr,
    /// The consumer group.
    Group,
    /// Something that went wrong without ending the run.
    Warning,
}

/// Tells what happened, in order.
pub(super) fn tell(evidence: &Evidence, partitions: &[Partition], rebalances: &[Rebalance]) -> Vec<Told> {
    let mut told = Vec::new();
    let mut known = Known::default();
    for event in &evidence.events {
        let words = known.words(event, &evidence.expected);
        told.extend(words.map(|(subject, text)| Told {
            at_ms: event.elapsed_ms,
            subject,
            text,
        }));
    }
    told.extend(partition_changes(partitions, &evidence.expected));
    told.extend(rebalances.iter().map(|rebalance| Told {
        at_ms: rebalance.at_ms,
        subject: Subject::Group,
        text: format!(
            "{} {} {}{}",
            rebalance.member,
            match (rebalance.assigned, rebalance.lost) {
                (true, _) => "is assigned",
                (false, false) => "gives up",
                (false, true) => "has lost",
            },
            many(rebalance.partitions, "partition"),
            rebalance
                .generation
                .map_or_else(String::new, |generation| format!(" in generation {generation}")),
        ),
    }));
    told.sort_by_key(|told| told.at_ms);
    told
}

/// What was already told: a first sight of something well is no news.
#[derive(Default)]
struct Known {
    servers: HashMap<String, bool>,
    containers: HashMap<(String, u32), String>,
    group: Option<(String, usize, String)>,
    faults: HashMap<u32, String>,
}

impl Known {
    fn fault(&self, id: u32) -> &str {
        self.faults.get(&id).map_or("the fault", String::as_str)
    }

    fn words(&mut self, event: &Event, expected: &Expectation) -> Option<(Subject, String)> {
        let source = &event.source;
        Some(match &event.kind {
            Kind::RunStarted { command, .. } => (Subject::Run, format!("run starts: {command}")),
            Kind::StepStarted { words, .. } => (Subject::Run, format!("step begins: {words}")),
            Kind::StepEnded {
                step,
                ok: false,
                lacking,
            } => {
                let lacking = lacking.join("; ");
                (
                    Subject::Warning,
                    format!("step {step} did not come true, lacking: {lacking}"),
                )
            }
            Kind::FaultInjected { id, fault, targets, .. } => {
                let words = format!("{fault} of {}", targets.join(", "));
                self.faults.insert(*id, words.clone());
                (Subject::Fault, format!("{words} is injected"))
            }
            Kind::FaultEffective { id, proof } => (Subject::Fault, format!("{} is proven: {proof}", self.fault(*id))),
            Kind::FaultUndone { id } => (Subject::Fault, format!("{} is undone", self.fault(*id))),
            Kind::FaultHealed { id, proof } => (Subject::Fault, format!("{} is healed: {proof}", self.fault(*id))),
            Kind::Scaled { service, replicas } => (Subject::Run, format!("{service} is scaled to {replicas}")),
            Kind::MigrationStarted { phase } => (Subject::Run, format!("the cluster migrates to {phase}")),
            Kind::MigrationEnded { phase } => (Subject::Run, format!("the cluster has migrated to {phase}")),
            Kind::Note { text } => (Subject::Run, text.clone()),
            Kind::BrokerAnswers => self.server(source, true, "answers again".into())?,
            Kind::BrokerSilent { error } => self.server(source, false, format!("ceases to answer: {error}"))?,
            Kind::ZooKeeper { mode: Some(mode), .. } => self.server(source, true, format!("serves again as {mode}"))?,
            Kind::ZooKeeper { error, .. } => {
                let error = error
                    .as_ref()
                    .map_or_else(String::new, |error| format!(" any more: {error}"));
                self.server(source, false, format!("does not serve{error}"))?
            }
            Kind::ControllerElected { controller: ..0, .. } => (Subject::Controller, "there is no controller".into()),
            Kind::ControllerElected { controller, epoch } => {
                let service = expected.node_service(*controller);
                (Subject::Controller, format!("{service} is controller, epoch {epoch}"))
            }
            Kind::Container {
                service,
                number,
                state,
                exit_code,
            } => {
                let before = self.containers.insert((service.clone(), *number), state.clone());
                let news = before.as_ref() != Some(state) && (before.is_some() || state != "running");
                let code = exit_code.map_or_else(String::new, |code| format!(" with {code}"));
                news.then(|| {
                    (
                        Subject::Server,
                        format!("container {service}-{number} is {state}{code}"),
                    )
                })?
            }
            Kind::Group { group, state, members } => {
                let now = (state.clone(), members.len(), source.clone());
                let news = self.group.as_ref() != Some(&now);
                self.group = Some(now);
                let members = many(members.len(), "member");
                news.then(|| {
                    (
                        Subject::Group,
                        format!("group {group} is {state} with {members}, says its coordinator {source}"),
                    )
                })?
            }
            Kind::CoordinatorLost { group } => {
                (Subject::Group, format!("{source} no longer coordinates group {group}"))
            }
            Kind::Cut => (Subject::Run, "cut: sends begun before this are judged".into()),
            Kind::Warning { message } => (Subject::Warning, message.clone()),
            Kind::RunEnded { outcome } => (Subject::Run, format!("run ends: {outcome}")),
            _ => return None,
        })
    }

    fn server(&mut self, server: &str, well: bool, what: String) -> Option<(Subject, String)> {
        let before = self.servers.insert(server.to_owned(), well);
        let news = before.map_or(!well, |before| before != well);
        news.then(|| (Subject::Server, format!("{server} {what}")))
    }
}

/// Changes of partitions by when they came, and how many changed to the same.
fn together<K: Ord>(mut changes: Vec<(u64, K)>) -> Vec<(u64, BTreeMap<K, usize>)> {
    changes.sort_by_key(|(at, _)| *at);
    let mut lines: Vec<(u64, BTreeMap<K, usize>)> = Vec::new();
    for (at, what) in changes {
        match lines.last_mut() {
            Some((since, counts)) if at - *since <= TOGETHER_MS => *counts.entry(what).or_default() += 1,
            _ => lines.push((at, BTreeMap::from([(what, 1)]))),
        }
    }
    lines
}

fn partition_changes(partitions: &[Partition], expected: &Expectation) -> Vec<Told> {
    let (mut leaders, mut isrs) = (Vec::new(), Vec::new());
    for partition in partitions {
        for pair in partition.led.windows(2) {
            let (before, now) = (&pair[0].what, &pair[1]);
            if before.leader != now.what.leader {
                leaders.push((now.from_ms, now.what.leader));
            }
            if before.isr != now.what.isr {
                isrs.push((now.from_ms, (now.what.isr.len(), partition.replicas.len())));
            }
        }
    }
    let leaders = together(leaders).into_iter().map(|(at_ms, counts)| {
        let parts: Vec<String> = counts
            .into_iter()
            .map(|(leader, count)| match leader {
                ..0 => format!("{} without a leader", many(count, "partition")),
                _ => format!("{} to {}", many(count, "partition"), expected.node_service(leader)),
            })
            .collect();
        Told {
            at_ms,
            subject: Subject::Leaders,
            text: format!("leadership: {}", parts.join(", ")),
        }
    });
    let isrs = together(isrs).into_iter().map(|(at_ms, counts)| {
        let parts: Vec<String> = counts
            .into_iter()
            .map(|((isr, replicas), count)| format!("{isr} of {replicas} on {}", many(count, "partition")))
            .collect();
        Told {
            at_ms,
            subject: Subject::Isr,
            text: format!("in-sync replicas: {}", parts.join(", ")),
        }
    });
    leaders.chain(isrs).collect()
}

fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
