//! Negative controls: labs in which something really goes wrong, to show that khd sees it, and sees all of it.
//!
//! What khd counts is compared with what kcat reads of the topic, and with what a ledger says line by line.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use crate::prometheus::Prometheus;
use crate::support::{Lab, run, status, until, verdict};

/// The one topic of these labs. It has one partition: one leader, one order.
const TOPIC: &str = "orders";

/// Members commit what they were given, up to 100 records, and process it then; they keep up, and no more. Producers
/// have a send answered within a second, if need be with an error; a broker that gets it again does not know it.
const CARELESS: &str = "
zookeeper: {servers: 1}
topics: {names: [orders], partitions: 1}
producer: {delay: 20ms, idempotence: false, properties: {request.timeout.ms: 1000, linger.ms: 100}}
consumer: {commit: before-processing, processing-time: 12ms}
";

/// Whichever broker comes back first leads, whatever it lacks. (The last to stop has nobody to hand its partition over
/// to, and need not try for long.)
const UNCLEAN: &str = "
zookeeper: {servers: 1}
topics: {names: [orders], partitions: 1, min-insync-replicas: 1}
kafka: {properties: {unclean.leader.election.enable: true, controlled.shutdown.max.retries: 1}}
";

#[test]
fn careless_clients_skip_records_and_write_others_twice_and_khd_counts_every_one() {
    let lab = Lab::new("khdtest-careless", 9);
    std::fs::write(lab.folder().join("khd.yaml"), CARELESS).unwrap();
    lab.run(&["up"], 0);
    a_member_that_is_killed_takes_along_what_it_had_committed_and_not_processed(&lab);
    a_producer_without_idempotence_writes_again_what_was_not_acknowledged_in_time(&lab);
}

fn a_member_that_is_killed_takes_along_what_it_had_committed_and_not_processed(lab: &Lab) {
    // While it lives it commits too early as well, but gets to everything in the end.
    let alive = lab.run(&["verify", "--json"], 1).json();
    assert_eq!(failed_but_duplicate(&alive), ["committed-past-processed"]);
    assert!(measured(&alive, "committed-past-processed", "count") > 0);
    assert_eq!(measured(&alive, "committed-past-processed", "undelivered"), 0);

    let member = format!("{}-consumer-1", lab.project());
    // More than half a second's work, so that the signal comes before it is done.
    let has_much = || {
        let member = &members(lab)[0];
        member.committed >= member.processed + 50
    };
    until("the member has much to process that it has committed", || {
        lab.docker(&["pause", &member]);
        // So long records pile up, which it then takes in batches of 100; its session lasts 10 s.
        std::thread::sleep(Duration::from_secs(5));
        lab.docker(&["unpause", &member]);
        // It may have worked all of it off between two looks.
        (0..5).any(|_| has_much()).then_some(())
    });
    lab.docker(&["kill", "--signal", "KILL", &member]);
    let dead = members(lab).remove(0);
    assert!(dead.committed > dead.processed, "{dead:?}");

    lab.docker(&["start", &member]);
    // The session of the dead one has to end first.
    until("its successor goes on", || {
        let successor = members(lab).pop()?;
        (successor.first? >= dead.committed).then_some(())
    });
    let killed = lab.run(&["verify", "--json"], 1).json();
    assert_eq!(failed_but_duplicate(&killed), ["committed-past-processed"]);
    assert_eq!(
        measured(&killed, "committed-past-processed", "undelivered") as i64,
        dead.committed - dead.processed,
        "{dead:?}"
    );
}

fn a_producer_without_idempotence_writes_again_what_was_not_acknowledged_in_time(lab: &Lab) {
    let before = repeated(&read(lab));
    // The leader writes, and waits for them in vain. They are away for several time-outs of the producer, and too short
    // for their sessions (18 s) and for falling out of the ISR (30 s).
    let (_, followers) = leader_and_followers(lab);
    let followers = followers.map(|id| container(lab, id));
    lab.docker(&["pause", &followers[0], &followers[1]]);
    std::thread::sleep(Duration::from_secs(4));
    lab.docker(&["unpause", &followers[0], &followers[1]]);

    let verified = lab.run(&["verify", "--json"], 1).json();
    assert_eq!(failed(&verified), ["duplicate", "committed-past-processed"]);
    let twice = measured(&verified, "duplicate", "count");
    assert!(twice > before, "{twice} after {before}");
    assert_eq!(twice, repeated(&read(lab)));
}

/// Brokers that have just come up may keep the careless producer waiting for longer than the second that it has, too.
fn failed_but_duplicate(report: &Value) -> Vec<&str> {
    let mut failed = failed(report);
    failed.retain(|check| *check != "duplicate");
    failed
}

#[test]
fn an_unclean_election_loses_acknowledged_messages_and_khd_counts_every_one() {
    let lab = Lab::new("khdtest-unclean", 10);
    std::fs::write(lab.folder().join("khd.yaml"), UNCLEAN).unwrap();
    lab.run(&["up"], 0);
    a_member_that_processes_before_it_commits_takes_nothing_along(&lab);
    let lost = a_follower_that_leads_without_having_everything_loses_the_rest(&lab);
    what_is_written_in_the_place_of_lost_messages_is_judged_too(&lab, lost);
}

/// The other side of the control above.
fn a_member_that_processes_before_it_commits_takes_nothing_along(lab: &Lab) {
    let member = format!("{}-consumer-1", lab.project());
    lab.docker(&["kill", "--signal", "KILL", &member]);
    lab.docker(&["start", &member]);
    until("its successor goes on", || {
        let members = members(lab);
        (members.len() == 2 && members[1].first.is_some()).then_some(())
    });
    let verified = lab.run(&["verify", "--json"], 0).json();
    assert_eq!(measured(&verified, "committed-past-processed", "undelivered"), 0);

    let loss = ["report", "latest", "--json", "--expect", "lost-write>0"];
    let missed = lab.run(&loss, 1).json();
    assert_eq!(
        failed(&missed),
        ["lost-write"],
        "a loss that is expected and does not come"
    );
}

/// Returns how many messages were lost.
fn a_follower_that_leads_without_having_everything_loses_the_rest(lab: &Lab) -> u64 {
    let (leader, followers) = leader_and_followers(lab);
    let [leads, first, second] = [leader, followers[0], followers[1]].map(|id| container(lab, id));
    lab.docker(&["stop", &first, &second]);
    let alone = until("the leader is alone in the ISR", || {
        let (_, isr) = partition(lab, leader)?;
        (isr == BTreeSet::from([leader])).then(|| end(lab, leader))
    });
    until("the leader alone has acknowledged some hundred messages", || {
        (end(lab, leader) > alone + 300).then_some(())
    });
    // It flushes and closes its ledger, so that nothing is of unknown fate.
    lab.docker(&["stop", &format!("{}-producer-1", lab.project())]);
    lab.docker(&["stop", &leads]);
    lab.docker(&["start", &first]);
    until("a follower leads", || {
        let (leader, _) = partition(lab, followers[0])?;
        (leader == followers[0]).then_some(())
    });
    let prometheus = Prometheus::of(lab);
    until("that is told as an alert", || {
        prometheus.firing().contains("UncleanLeaderElection").then_some(())
    });
    lab.docker(&["start", &second, &leads]);
    lab.run(&["scale", "producer=0"], 0);
    lab.run(&["restore"], 0).says("the lab is whole");

    let verified = lab.run(&["verify", "--json"], 1).json();
    assert_eq!(failed(&verified), ["lost-write"]);
    assert_eq!(measured(&verified, "lost-write", "unknown"), 0);
    let acknowledged = measured(&verified, "lost-write", "acknowledged");
    let lost = measured(&verified, "lost-write", "lost");
    assert!(lost > 300);
    assert_eq!(lost, acknowledged - read(lab).len() as u64);

    let expected = lab.run(&["verify", "--json", "--expect", "lost-write>0"], 0).json();
    assert_eq!(status(&expected, "lost-write"), "passed");
    lab.run(&["report", "latest", "--expect", &format!("lost-write={lost}")], 0);
    lab.run(&["report", "latest", "--expect", &format!("lost-write>{lost}")], 1);
    lost
}

fn what_is_written_in_the_place_of_lost_messages_is_judged_too(lab: &Lab, lost: u64) {
    let (leader, _) = leader_and_followers(lab);
    let written_over = end(lab, leader) + lost;
    lab.run(&["scale", "producer=1"], 0);
    until("every offset of a lost message is taken", || {
        (end(lab, leader) > written_over).then_some(())
    });

    let verified = lab.run(&["verify", "--json"], 1).json();
    let mut consequences = vec!["lost-write", "inconsistent-offset", "offset-monotonicity"];
    // The group's coordinator was away too; a slow machine lets the member's session end, and a rebalance excuses it.
    if members(lab).iter().any(|member| member.went_back) {
        consequences.push("nonmonotonic-poll");
    }
    assert_eq!(failed(&verified), consequences);
    assert_eq!(measured(&verified, "lost-write", "lost"), lost, "it is the same loss");
    assert_eq!(measured(&verified, "inconsistent-offset", "count"), lost);

    let expectations: Vec<String> = consequences.iter().map(|id| format!("{id}>0")).collect();
    let mut arguments = vec!["verify"];
    arguments.extend(expectations.iter().flat_map(|expectation| ["--expect", expectation]));
    lab.run(&arguments, 0).says(&format!("{lost} of"));
    lab.run(&arguments[..3], 1);
}

/// The checks that failed, in the order of the registry; all others passed or were skipped.
#[track_caller]
fn failed(report: &Value) -> Vec<&str> {
    let verdicts = report["verdicts"].as_array().unwrap();
    let bad = verdicts
        .iter()
        .filter(|verdict| verdict["status"] != "passed" && verdict["status"] != "skipped");
    bad.map(|verdict| {
        assert_eq!(verdict["status"], "failed", "{verdict:#}");
        verdict["id"].as_str().unwrap()
    })
    .collect()
}

/// What a check measured under a name.
#[track_caller]
fn measured(report: &Value, id: &str, name: &str) -> u64 {
    verdict(report, id)["measured"][name].as_u64().unwrap()
}

/// The container of a broker.
fn container(lab: &Lab, id: i64) -> String {
    format!("{}-kafka{id}-1", lab.project())
}

/// The address of a broker on the host.
fn address(lab: &Lab, id: i64) -> String {
    lab.published(u16::try_from(id).unwrap() * 10_000 + 9_092)
}

/// What a broker says of the partition, if it answers: the leader, and the ISR.
fn partition(lab: &Lab, id: i64) -> Option<(i64, BTreeSet<i64>)> {
    let kcat = std::process::Command::new("kcat")
        .args(["-b", &address(lab, id), "-L", "-J", "-m", "5", "-t", TOPIC])
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&kcat.stdout).ok()?;
    let partition = &metadata["topics"][0]["partitions"][0];
    let isr = partition["isrs"].as_array()?.iter();
    Some((
        partition["leader"].as_i64()?,
        isr.filter_map(|replica| replica["id"].as_i64()).collect(),
    ))
}

/// The broker that leads, and the other two, as the first broker says.
fn leader_and_followers(lab: &Lab) -> (i64, [i64; 2]) {
    match partition(lab, 1).unwrap().0 {
        1 => (1, [2, 3]),
        2 => (2, [1, 3]),
        3 => (3, [1, 2]),
        other => panic!("led by {other}"),
    }
}

/// The end of the partition's log.
fn end(lab: &Lab, leader: i64) -> u64 {
    let told = run(
        "kcat",
        &["-b", &address(lab, leader), "-Q", "-t", &format!("{TOPIC}:0:-1")],
    );
    told.split_whitespace().last().unwrap().parse().unwrap()
}

/// Reads the partition from its beginning to where it ends now: how often each value is there.
fn read(lab: &Lab) -> BTreeMap<String, u64> {
    let (leader, _) = leader_and_followers(lab);
    let (from, count) = (address(lab, leader), end(lab, leader).to_string());
    let values = run(
        "kcat",
        &[
            "-b",
            &from,
            "-C",
            "-t",
            TOPIC,
            "-p",
            "0",
            "-o",
            "beginning",
            "-c",
            &count,
            "-q",
        ],
    );
    let mut read = BTreeMap::new();
    for value in values.lines() {
        *read.entry(value.to_owned()).or_default() += 1;
    }
    assert_eq!(read.values().sum::<u64>().to_string(), count);
    read
}

/// How many values are there more than once.
fn repeated(read: &BTreeMap<String, u64>) -> u64 {
    read.values().filter(|times| **times > 1).count() as u64
}

/// What a member's ledger says of the partition.
#[derive(Debug, Default)]
struct Member {
    started: i64,
    /// The first offset that it delivered.
    first: Option<i64>,
    /// The offset after the last that it delivered.
    processed: i64,
    committed: i64,
    /// It went back in the partition, and no rebalance had given it anew.
    went_back: bool,
}

/// What the ledgers of the group's members say, those that started first before the others.
fn members(lab: &Lab) -> Vec<Member> {
    let copy = tempfile::tempdir().unwrap();
    let ledgers = format!("{}-consumer-1:/var/lib/khd/.", lab.project());
    lab.docker(&["cp", &ledgers, copy.path().to_str().unwrap()]);
    let mut members = Vec::new();
    for entry in std::fs::read_dir(copy.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("consumer-") {
            members.push(Member::read(&std::fs::read_to_string(path).unwrap()));
        }
    }
    members.sort_by_key(|member| member.started);
    members
}

impl Member {
    fn read(ledger: &str) -> Self {
        let mut member = Self::default();
        let mut position = None;
        // The last line of one that is alive may not be whole.
        for line in ledger
            .lines()
            .map_while(|line| serde_json::from_str::<Value>(line).ok())
        {
            match line["line"].as_str().unwrap() {
                "assigned" => position = None,
                "consumer" => member.started = line["started"].as_i64().unwrap(),
                "delivered" => {
                    let partitions = line["partitions"].as_array().into_iter().flatten();
                    for run in partitions.flat_map(|partition| partition["runs"].as_array().unwrap()) {
                        let [first, last] = [&run[0], &run[1]].map(|offset| offset.as_i64().unwrap());
                        member.first.get_or_insert(first);
                        member.went_back |= position.is_some_and(|position| first < position);
                        member.processed = last + 1;
                        position = Some(last + 1);
                    }
                }
                "committed" => member.committed = line["offsets"][0]["offset"].as_i64().unwrap(),
                _ => {}
            }
        }
        member
    }
}
