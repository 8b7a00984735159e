//! What can be true of a lab: pure questions to a [`View`].
//!
//! Waits ask them live, checks ask them of a recorded run. Each answers with what is lacking, in words for the user;
//! an empty list means that it holds.

use std::collections::{BTreeMap, BTreeSet};

use crate::timeline::view::View;
use crate::topology::migration::Phase;
use crate::topology::{CONSUMER, COPIER, Expectation, PRODUCER};

/// What is lacking until a condition holds; empty when it does.
pub type Lacking = Vec<String>;

/// Those that keep the metadata and are not out do so, and one of them leads: ZooKeeper servers, KRaft's controllers, or
/// both while one migrates to the other.
pub fn quorum(view: &View, expected: &Expectation) -> Lacking {
    let mut lacking = Vec::new();
    if view.is_throughout(Phase::needs_zookeeper) {
        lacking.extend(zookeepers_serve(view, expected));
    }
    if view.is_throughout(Phase::has_controllers) {
        lacking.extend(nodes_take_part(view, expected));
    }
    lacking
}

/// KRaft's metadata quorum has a leader, and every controller and broker of KRaft that is not out has caught up with it.
fn nodes_take_part(view: &View, expected: &Expectation) -> Lacking {
    let lacking = controller_leads(view, expected);
    if !lacking.is_empty() {
        return lacking;
    }
    let brokers = expected
        .brokers
        .iter()
        .filter(|_| view.is_throughout(Phase::has_kraft_brokers));
    let nodes: BTreeMap<&String, &i32> = expected.controllers.iter().chain(brokers).collect();
    let late = nodes.into_iter().filter(|(service, id)| {
        let takes_part = view.quorum.as_ref().is_some_and(|quorum| quorum.has(**id));
        !takes_part && !view.is_out(service)
    });
    late.map(|(service, _)| format!("{service} has not caught up with the metadata log"))
        .collect()
}

/// KRaft's metadata quorum has a leader, and not one that is out.
fn controller_leads(view: &View, expected: &Expectation) -> Lacking {
    match &view.quorum {
        None => vec!["no controller has told of the metadata quorum".into()],
        Some(quorum) if quorum.leader < 0 => vec!["the metadata quorum has no leader".into()],
        Some(quorum) => {
            let leader = expected.node_service(quorum.leader);
            if view.is_out(&leader) {
                vec![format!("{leader} is out and still leads the metadata quorum")]
            } else {
                Vec::new()
            }
        }
    }
}

/// Every ZooKeeper server that is not out serves, and one of them leads.
fn zookeepers_serve(view: &View, expected: &Expectation) -> Lacking {
    let mut lacking = Vec::new();
    let mut leaders = 0;
    for server in expected.zookeepers.iter().filter(|name| !view.is_out(name)) {
        match view.zookeepers.get(server) {
            Some(Some(mode)) => leaders += usize::from(mode != "follower"),
            _ => lacking.push(format!("{server} does not serve")),
        }
    }
    if lacking.is_empty() && leaders != 1 {
        lacking.push(format!("{leaders} ZooKeeper servers lead"));
    }
    lacking
}

/// Whether enough ZooKeeper servers, or controllers, are left to decide anything.
pub fn has_quorum(view: &View, expected: &Expectation) -> bool {
    let majority = |servers: Vec<&String>| {
        let left = servers.iter().filter(|server| !view.is_out(server)).count();
        left * 2 > servers.len()
    };
    let needs = |what: fn(Phase) -> bool| view.is_throughout(what);
    (!needs(Phase::needs_zookeeper) || majority(expected.zookeepers.iter().collect()))
        && (!needs(Phase::is_controlled_by_kraft) || majority(expected.controllers.keys().collect()))
}

/// Whether enough servers are left to write to: a quorum, which lets ISRs shrink, and as many brokers as an ISR must have.
pub fn can_write(view: &View, expected: &Expectation) -> bool {
    has_quorum(view, expected) && survivors(view, expected).count() >= expected.workload.min_insync_replicas as usize
}

/// Every broker that is not out answers, and lists every one of them.
pub fn brokers_answer(view: &View, expected: &Expectation) -> Lacking {
    let wanted: BTreeSet<i32> = survivors(view, expected).collect();
    let mut lacking = Vec::new();
    for id in &wanted {
        let service = expected.node_service(*id);
        match view.brokers.get(id) {
            Some(broker) if broker.answers => {
                let missing: Vec<String> = wanted
                    .difference(&broker.lists)
                    .map(|other| expected.node_service(*other))
                    .collect();
                if !missing.is_empty() {
                    lacking.push(format!("{service} does not list {}", missing.join(", ")));
                }
            }
            Some(broker) => {
                let error = broker.error.as_deref().unwrap_or("no answer yet");
                lacking.push(format!("{service} does not answer ({error})"));
            }
            None => lacking.push(format!("{service} was not asked yet")),
        }
    }
    lacking
}

/// Every partition's ISR is just its replicas that are not out.
pub fn isr_is_survivors(view: &View, expected: &Expectation) -> Lacking {
    let survivors: BTreeSet<i32> = survivors(view, expected).collect();
    by_partition(view, expected, |fact, _| {
        let wanted: BTreeSet<i32> = fact
            .replicas
            .iter()
            .copied()
            .filter(|id| survivors.contains(id))
            .collect();
        let enough_replicas = fact.replicas.len() == expected.workload.replication_factor as usize;
        // Of a partition whose replicas are all out, Kafka keeps the last one in the ISR.
        (!wanted.is_empty() && fact.isr != wanted || !enough_replicas)
            .then(|| format!("ISR {:?} of {:?}", fact.isr, fact.replicas))
    })
}

/// Every partition with a replica left has a leader, and no broker that is to be believed names one that is out.
pub fn led_by_survivors(view: &View, expected: &Expectation) -> Lacking {
    let survivors: BTreeSet<i32> = survivors(view, expected).collect();
    let mut lacking = by_partition(view, expected, |fact, _| {
        let led_by_none = fact.leader < 0 && fact.replicas.iter().any(|id| survivors.contains(id));
        led_by_none.then(|| "no leader".to_owned())
    });
    for (id, broker) in view.witnesses() {
        let leaders = broker.partitions.values().map(|fact| fact.leader);
        let mut gone: BTreeMap<i32, u32> = BTreeMap::new();
        for leader in leaders.filter(|leader| *leader >= 0 && !survivors.contains(leader)) {
            *gone.entry(leader).or_default() += 1;
        }
        lacking.extend(gone.into_iter().map(|(leader, still)| {
            format!(
                "{} names {} as leader of {still} partitions",
                expected.node_service(id),
                expected.node_service(leader)
            )
        }));
    }
    lacking
}

/// Every partition is led by its preferred replica.
pub fn leaders_balanced(view: &View, expected: &Expectation) -> Lacking {
    by_partition(view, expected, |fact, _| {
        let preferred = fact.replicas.first().copied();
        (Some(fact.leader) != preferred).then(|| format!("led by {} instead of {:?}", fact.leader, fact.replicas))
    })
}

/// Every broker that is to be believed names the same controller, and that one is among them. In KRaft, where brokers name
/// anybody, the metadata quorum has a leader.
pub fn one_controller(view: &View, expected: &Expectation) -> Lacking {
    if view.is_throughout(Phase::is_controlled_by_kraft) {
        return controller_leads(view, expected);
    }
    if !view.is_throughout(|phase| !phase.is_controlled_by_kraft()) {
        // It goes over from one to the other at some moment, and until then, or from then on, brokers name anybody.
        return Vec::new();
    }
    brokers_name_one_controller(view, expected)
}

/// Every broker that is to be believed names the same controller, and that one is among them.
pub fn brokers_name_one_controller(view: &View, expected: &Expectation) -> Lacking {
    let named: BTreeMap<i32, Option<i32>> = view.witnesses().map(|(id, broker)| (id, broker.controller)).collect();
    let controllers: BTreeSet<Option<i32>> = named.values().copied().collect();
    match controllers.iter().next() {
        None => vec!["no broker answers".into()],
        Some(Some(controller)) if controllers.len() == 1 && named.contains_key(controller) => Vec::new(),
        Some(Some(controller)) if controllers.len() == 1 && *controller >= 0 => {
            vec![format!(
                "{} is controller and does not answer",
                expected.node_service(*controller)
            )]
        }
        _ => {
            let says = |(id, controller): (&i32, &Option<i32>)| match controller {
                Some(controller) if *controller >= 0 => {
                    format!(
                        "{} names {}",
                        expected.node_service(*id),
                        expected.node_service(*controller)
                    )
                }
                _ => format!("{} names none", expected.node_service(*id)),
            };
            vec![format!(
                "brokers differ on the controller: {}",
                named.iter().map(says).collect::<Vec<_>>().join(", ")
            )]
        }
    }
}

/// The group is stable, and every partition is assigned to exactly one of its members.
///
/// A lab without consumers has no group to speak of, and lacks nothing.
pub fn group_stable(view: &View, expected: &Expectation) -> Lacking {
    let name = &expected.workload.group;
    let all = view.scaled.get(CONSUMER).unwrap_or(&expected.workload.consumers);
    let out: BTreeSet<&str> = view.out().filter(|name| client(name, CONSUMER)).collect();
    let added = view.added().filter(|name| client(name, CONSUMER)).count();
    let wanted = (usize::from(*all) + added).saturating_sub(out.len());
    if wanted == 0 {
        return Vec::new();
    }
    let Some(group) = &view.group else {
        return vec![format!("no broker coordinates group {name}")];
    };
    if group.state != "Stable" {
        return vec![format!("group {name} is {}", group.state)];
    }
    let mut lacking = Vec::new();
    if group.members.len() != wanted {
        lacking.push(format!("group {name} has {} members of {wanted}", group.members.len()));
    }
    let mut owners: BTreeMap<(&str, i32), u32> = BTreeMap::new();
    for member in &group.members {
        for (topic, partitions) in &member.assigned {
            for partition in partitions {
                *owners.entry((topic, *partition)).or_default() += 1;
            }
        }
    }
    let count = |times: fn(u32) -> bool| {
        let of = |(topic, partition): &(String, i32)| owners.get(&(topic.as_str(), *partition)).copied();
        expected.partitions().filter(|p| times(of(p).unwrap_or(0))).count()
    };
    let (unassigned, twice) = (count(|n| n == 0), count(|n| n > 1));
    if unassigned > 0 {
        lacking.push(format!("{unassigned} partitions are assigned to nobody"));
    }
    if twice > 0 {
        lacking.push(format!("{twice} partitions are assigned more than once"));
    }
    lacking
}

/// As many containers of a service run as are wanted.
pub fn replicas_run(view: &View, service: &str, wanted: u16) -> Lacking {
    let containers = view.containers.iter().filter(|((name, _), _)| name == service);
    let running = containers.filter(|(_, state)| *state == "running").count();
    if running == usize::from(wanted) {
        return Vec::new();
    }
    vec![format!("{running} {service} containers run, of {wanted}")]
}

/// Whether there were copiers when the run began, or shall be since.
pub fn has_had_copiers(view: &View, expected: &Expectation) -> bool {
    expected.workload.copiers > 0 || view.scaled.contains_key(COPIER)
}

/// How many copiers there shall be.
pub fn copiers(view: &View, expected: &Expectation) -> u16 {
    let scaled = view.scaled.get(COPIER).copied();
    scaled.unwrap_or(expected.workload.copiers)
}

/// No client that is not out has ended: nobody starts them again.
pub fn clients_run(view: &View) -> Lacking {
    let clients = view
        .containers
        .iter()
        .filter(|((service, _), _)| [PRODUCER, CONSUMER, COPIER].contains(&service.as_str()));
    let ended = clients.filter(|(_, state)| *state != "running");
    ended
        .map(|((service, number), state)| (format!("{service}-{number}"), state))
        .filter(|(name, _)| !view.is_out(name))
        .map(|(name, state)| format!("{name} is {state}"))
        .collect()
}

/// All that makes a lab healthy, but for what the faults in place have put out.
pub fn healthy(view: &View, expected: &Expectation) -> Lacking {
    let mut lacking = servers_healthy(view, expected);
    lacking.extend(clients_run(view));
    // Without every broker's word the rest would only repeat the same in other words.
    if lacking.is_empty() {
        lacking.extend(group_stable(view, expected));
    }
    lacking
}

/// What of that is true of the servers, whatever their clients do.
pub fn servers_healthy(view: &View, expected: &Expectation) -> Lacking {
    let mut lacking = quorum(view, expected);
    lacking.extend(brokers_answer(view, expected));
    if lacking.is_empty() {
        lacking.extend(led_by_survivors(view, expected));
        lacking.extend(isr_is_survivors(view, expected));
        lacking.extend(one_controller(view, expected));
    }
    lacking
}

/// All that makes a lab whole: it is healthy, without a fault, and every partition is led by its preferred replica.
pub fn whole(view: &View, expected: &Expectation) -> Lacking {
    let faults = view.faults.values();
    let mut lacking: Lacking = faults
        .map(|fault| format!("{} of {} is in place", fault.fault, fault.targets.join(", ")))
        .collect();
    lacking.extend(healthy(view, expected));
    if lacking.is_empty() {
        lacking.extend(leaders_balanced(view, expected));
    }
    lacking
}

/// Whether the name is that of a container of a service of clients: `consumer-1`.
fn client(name: &str, service: &str) -> bool {
    name.strip_prefix(service).is_some_and(|rest| rest.starts_with('-'))
}

/// Brokers that are not out.
fn survivors<'a>(view: &'a View, expected: &'a Expectation) -> impl Iterator<Item = i32> + 'a {
    let of = expected.brokers.iter();
    of.filter(|(service, _)| !view.is_out(service)).map(|(_, id)| *id)
}

/// Asks a question of every partition, and sums the answers up: one line for all that lack something.
fn by_partition(
    view: &View,
    expected: &Expectation,
    question: impl Fn(&crate::timeline::view::PartitionView, &(String, i32)) -> Option<String>,
) -> Lacking {
    let mut first: Option<String> = None;
    let mut count = 0;
    for partition in expected.partitions() {
        let answer = match view.told(&partition) {
            Some(fact) => question(fact, &partition),
            None => Some("not known to any broker".into()),
        };
        if let Some(answer) = answer {
            count += 1;
            first.get_or_insert_with(|| format!("{}/{}: {answer}", partition.0, partition.1));
        }
    }
    match (first, count) {
        (None, _) => Vec::new(),
        (Some(first), 1) => vec![first],
        (Some(first), more) => vec![format!("{first}, and {} more partitions", more - 1)],
    }
}
