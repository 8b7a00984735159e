//! migration: each phase of the way from ZooKeeper to KRaft was reached, and how long clients had to wait in each.

use serde_json::json;

use super::gap;
use crate::timeline::event::Kind;
use crate::topology::migration::Phase;
use crate::verdicts::checks::readable;
use crate::verdicts::evidence::{Evidence, wall_ms};
use crate::verdicts::{Check, Finding, Measure, Status};
use crate::workload::spans::Window;

/// Clients wrote and read on while the cluster was brought from one phase to another.
pub struct Migration;

impl Check for Migration {
    fn id(&self) -> &'static str {
        "migration"
    }

    fn meaning(&self) -> &'static str {
        "the cluster came to each phase on its way from ZooKeeper to KRaft; the longest time without an acknowledgement or a \
         delivery on any partition meanwhile stays within the limit"
    }

    fn source(&self) -> &'static str {
        "Kafka 3.9: ZooKeeper to KRaft migration"
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Time)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        let steps = steps(evidence);
        let Some(last) = steps.last() else {
            return Finding::skipped("the cluster did not migrate");
        };
        if let Some(short) = steps.iter().find(|step| step.ended.is_none()) {
            return Finding::of(false, format!("{} was not reached", short.phase));
        }
        let Some(ledgers) = evidence.ledgers() else {
            return Finding::new(Status::NoData, "the ledgers could not be collected");
        };
        let (acks, deliveries) = (ledgers.acks(), ledgers.deliveries());
        let longest = |activities, window| gap::gaps(evidence, activities, window).into_values().max();
        let workload = &evidence.expected.workload;
        let longest = |clients: u16, activities, window| match clients {
            0 => 0,
            _ => longest(activities, window).unwrap_or(0),
        };
        let mut worst = (0, last.phase);
        let mut by_step = Vec::new();
        let mut told = Vec::new();
        for step in &steps {
            let window = step.window(evidence);
            let write = longest(workload.producers, &acks, window);
            let read = longest(workload.consumers, &deliveries, window);
            by_step.push(format!("{} {}", step.phase, readable(write.max(read))));
            worst = worst.max((write.max(read), step.phase));
            told.push(json!({
                "phase": step.phase, "took_ms": window.to - window.from, "without_acknowledgement_ms": write,
                "without_delivery_ms": read,
            }));
        }
        let summary = format!(
            "longest without an acknowledgement or a delivery: {} on the way to {} (step by step: {})",
            readable(worst.0),
            worst.1,
            by_step.join(", ")
        );
        Finding::measured(self, evidence, None, worst.0 as f64, summary).with("steps", told)
    }
}

/// The way to a phase. Events are given by their place in [`Evidence::events`].
struct Step {
    phase: Phase,
    began: usize,
    ended: Option<usize>,
}

impl Step {
    fn window(&self, evidence: &Evidence) -> Window {
        let at = |place: usize| wall_ms(&evidence.events[place]);
        Window {
            from: at(self.began),
            to: at(self.ended.unwrap_or(self.began)),
        }
    }
}

fn steps(evidence: &Evidence) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (place, event) in evidence.events.iter().enumerate() {
        match event.kind {
            Kind::MigrationStarted { phase } => steps.push(Step {
                phase,
                began: place,
                ended: None,
            }),
            Kind::MigrationEnded { phase } => {
                if let Some(step) = steps.last_mut().filter(|step| step.phase == phase) {
                    step.ended = Some(place);
                }
            }
            _ => {}
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::limits::Bound;
    use crate::verdicts::checks::testing::Drill;

    fn found(drill: Drill) -> Finding {
        Migration.judge(&drill.evidence())
    }

    #[test]
    fn a_phase_that_is_not_reached_fails_and_a_cluster_that_stays_is_skipped() {
        assert_eq!(found(Drill::good()).status, Status::Skipped);
        let half = found(
            Drill::good()
                .migrates(1, Phase::Controllers, Some(3))
                .migrates(4, Phase::Hybrid, None),
        );
        assert_eq!(
            (half.status, half.summary.as_str()),
            (Status::Failed, "hybrid was not reached")
        );
        let blind = Drill::good().migrates(1, Phase::Controllers, Some(3)).without_ledgers();
        assert_eq!(found(blind).status, Status::NoData);
    }

    #[test]
    fn the_longest_gap_on_the_way_to_any_phase_counts() {
        let way = |drill: Drill| {
            drill
                .migrates(1, Phase::Controllers, Some(3))
                .migrates(5, Phase::Hybrid, Some(24))
        };
        let good = found(way(Drill::good()));
        assert_eq!(good.status, Status::Passed, "{}", good.summary);
        assert_eq!(good.measured["steps"][1]["took_ms"], 19_000);
        let silent =
            way(Drill::good().nothing_acknowledged_during_the_fault()).limit("migration", Bound::at_most(5_000.0));
        let bad = found(silent);
        assert_eq!(bad.status, Status::Failed, "{}", bad.summary);
        assert!(bad.summary.contains("on the way to hybrid"), "{}", bad.summary);
    }
}
