//! What the members of a history's group were given, and what they committed.

use std::collections::BTreeMap;

use crate::history::clock::Clock;
use crate::history::operations::{Id, Operations, Place, What};
use crate::workload::ledger::history::{ConsumerHistory, Deliveries, Jump, Overcommit, Tenure};
use crate::workload::ledger::{self, ConsumerHeader};

/// The history of each member.
pub(super) fn consumers(operations: &Operations, clock: &Clock) -> Vec<ConsumerHistory> {
    let mut members: BTreeMap<Id, Member> = BTreeMap::new();
    // By partition, the offset after the last that any member had by then.
    let mut processed: BTreeMap<Place, i64> = BTreeMap::new();
    for (at, index) in clock.members.iter().copied() {
        let event = &operations.events[index].2;
        let member = members.entry(event.process).or_default();
        member.rebalances += u32::from(matches!(event.what, What::Assigned(_) | What::Revoked(_)));
        match &event.what {
            What::Assigned(places) => places.iter().for_each(|place| member.assigned(*place, at)),
            What::Revoked(places) => places.iter().for_each(|place| {
                member.positions.remove(place);
            }),
            What::Delivered(records) => {
                for (place, offset) in records {
                    member.delivered(*place, *offset, at);
                    let last = processed.entry(*place).or_default();
                    *last = (*last).max(offset + 1);
                }
            }
            What::Committed(offsets) => {
                for (place, offset) in offsets {
                    let processed = processed.get(place).copied().unwrap_or(0);
                    member.committed(*place, *offset, processed, at);
                }
            }
        }
    }
    let history = |(process, member): (Id, Member)| ConsumerHistory {
        header: ConsumerHeader {
            schema: ledger::SCHEMA,
            consumer: operations.names.text(process).to_owned(),
            host: String::new(),
            started: 0,
            group: String::new(),
            instance: None,
            group_protocol: Default::default(),
            assignment: String::new(),
            topics: Vec::new(),
        },
        partitions: member
            .partitions
            .into_iter()
            .map(|(place, deliveries)| (operations.names.partition(place), deliveries))
            .collect(),
        rebalances: Vec::new(),
        latency: BTreeMap::new(),
        last: 0,
        closed: false,
        notes: Vec::new(),
    };
    members.into_iter().map(history).collect()
}

/// One member's deliveries in the making.
#[derive(Debug, Default)]
struct Member {
    // The last offset of each partition, since it was assigned, and how many rebalances there had been by then.
    positions: BTreeMap<Place, (i64, u32)>,
    rebalances: u32,
    partitions: BTreeMap<Place, Deliveries>,
}

impl Member {
    fn assigned(&mut self, place: Place, at: i64) {
        self.positions.remove(&place);
        let deliveries = self.partitions.entry(place).or_default();
        deliveries.tenures.push(Tenure {
            since: at,
            until: at,
            ..Tenure::default()
        });
    }

    fn delivered(&mut self, place: Place, offset: i64, at: i64) {
        let deliveries = self.partitions.entry(place).or_default();
        if let Some((from, rebalances)) = self.positions.insert(place, (offset, self.rebalances)) {
            // As in ledgers: a rebalance may give a member again what it has had, of partitions that it keeps as well.
            let uncommitted = deliveries.committed.is_none_or(|committed| committed <= offset);
            let again = rebalances != self.rebalances && offset <= from && uncommitted;
            if from + 1 != offset && !again {
                deliveries.jumps.push(Jump { from, to: offset, at });
            }
        }
        if deliveries.tenures.is_empty() {
            deliveries.tenures.push(Tenure {
                since: at,
                ..Tenure::default()
            });
        }
        if let Some(tenure) = deliveries.tenures.last_mut() {
            tenure.offsets.insert(offset as u64);
            tenure.count += 1;
            tenure.until = at;
        }
    }

    fn committed(&mut self, place: Place, offset: i64, processed: i64, at: i64) {
        let deliveries = self.partitions.entry(place).or_default();
        deliveries.committed = Some(offset);
        if offset > processed {
            deliveries.overcommits.push(Overcommit { at, offset, processed });
        }
    }
}
