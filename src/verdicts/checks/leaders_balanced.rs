//! leaders-balanced: at the end every partition is led by its preferred replica.

use crate::timeline::conditions;
use crate::verdicts::evidence::Evidence;
use crate::verdicts::{Check, Finding, Status};

/// Leadership went back to where it was meant to be.
pub struct LeadersBalanced;

impl Check for LeadersBalanced {
    fn id(&self) -> &'static str {
        "leaders-balanced"
    }

    fn meaning(&self) -> &'static str {
        "every partition is led by its preferred replica at the end"
    }

    fn source(&self) -> &'static str {
        "Kafka: auto.leader.rebalance.enable moves leadership back to the first replica"
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        if let Some(fault) = evidence.faults.iter().find(|fault| fault.undone.is_none()) {
            return Finding::skipped(format!("{} was left in place", fault.words()));
        }
        let lacking = conditions::leaders_balanced(&evidence.after, &evidence.expected);
        if !lacking.is_empty() {
            return Finding::of(false, lacking.join("; "));
        }
        let mut leads = serde_json::Map::new();
        for service in evidence.expected.brokers.keys() {
            let id = evidence.expected.broker_id(service);
            let led = evidence
                .expected
                .partitions()
                .filter(|p| evidence.after.told(p).map(|fact| fact.leader) == id);
            leads.insert(service.clone(), led.count().into());
        }
        Finding::new(Status::Passed, "every partition is led by its preferred replica").with("leads", leads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn leaders_that_do_not_come_home_fail() {
        let good = LeadersBalanced.judge(&Drill::good().evidence());
        assert_eq!(good.status, Status::Passed, "{}", good.summary);
        assert_eq!(
            LeadersBalanced
                .judge(&Drill::good().leaders_stay_away().evidence())
                .status,
            Status::Failed
        );
    }

    #[test]
    fn any_fault_that_is_left_keeps_leaders_away() {
        let left = Drill::good().left_in_place().beside_fault(9, &["kafka3"], 21, Some(24));
        let finding = LeadersBalanced.judge(&left.evidence());
        assert_eq!(finding.status, Status::Skipped, "{}", finding.summary);
    }
}
