//! Thousands of random drills, on an engine that fails at random, each in its own hours that pass at once.
//!
//! Whatever happens, a drill ends; what it did to the lab is then undone, left because the plan says so, or journaled, and
//! the khd that comes next can undo all of that. A seed decides everything, and names the drill that went wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chacha20::ChaCha8Rng;
use khd::compose::render::NETWORK;
use khd::drill::condition::Condition;
use khd::drill::machine::Ending;
use khd::drill::plan::{Action, Fail, Plan, Step};
use khd::engine::{Engine as _, ResourceLimits, labels};
use khd::faults::{How, Injection};
use khd::timeline::event::Kind;
use khd::timeline::limits::Limits;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::lab::{Lab, PROJECT, container, nowhere};

/// How many drills are simulated.
const DRILLS: u64 = 2_000;
/// Variable that names the seed of one drill, to look at it alone.
const SEED: &str = "KHDTEST_SEED";
/// Longer than all deadlines of a drill of these steps together.
const PATIENCE: Duration = Duration::from_secs(3_600);
const SERVERS: [&str; 6] = ["kafka1", "kafka2", "kafka3", "zookeeper1", "zookeeper2", "zookeeper3"];

#[test]
fn whatever_goes_wrong_every_fault_is_undone_or_named_as_left_and_the_next_khd_can_undo_it() {
    let only = std::env::var(SEED).ok().map(|seed| seed.parse::<u64>().unwrap());
    let next = AtomicU64::new(only.unwrap_or(0));
    let end = only.map_or(DRILLS, |seed| seed + 1);
    let threads = std::thread::available_parallelism().unwrap().get();
    let ways = std::thread::scope(|scope| {
        let simulate = || {
            let mut ways: BTreeMap<&str, u32> = BTreeMap::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= end {
                    return ways;
                }
                for way in simulated(seed) {
                    *ways.entry(way).or_default() += 1;
                }
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(simulate)).collect();
        let mut all: BTreeMap<&str, u32> = BTreeMap::new();
        for worker in workers {
            for (way, count) in worker.join().unwrap() {
                *all.entry(way).or_default() += count;
            }
        }
        all
    });
    println!("{ways:?}");
    if only.is_none() {
        // Or else the property above would hold for want of trouble.
        let expected = [
            "audited",
            "broken",
            "fault left",
            "interrupted",
            "killed",
            "left on purpose",
            "untouched",
        ];
        for way in expected {
            assert!(ways.get(way).is_some_and(|count| *count >= 20), "{way}: {ways:?}");
        }
    }
}

/// Runs one drill in hours of its own, and returns in which ways it went.
fn simulated(seed: u64) -> BTreeSet<&'static str> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(drill(seed))
}

async fn drill(seed: u64) -> BTreeSet<&'static str> {
    let mut lots = ChaCha8Rng::seed_from_u64(seed);
    let mut lab = Lab::up(nowhere()).await;
    lab.pace = Duration::from_millis(250);
    if lots.random_ratio(1, 25) {
        lab.engine.set_state(&container("kafka3"), "exited");
    }
    let plan = any_plan(&mut lots, seed);
    let what = format!("{SEED}={seed}: {:?}", plan.steps);
    let untouched = state(&lab).await;
    let troubles = trouble(&lab, &mut lots);
    // There is nobody to read the log from: what comes before the audit is what this is about.
    lab.engine.fail("copy_volume", "no audit");

    let mut ways = BTreeSet::new();
    let killed = lots.random_ratio(1, 6);
    let moment = if killed { any_time(&mut lots, 20) } else { PATIENCE };
    let ending = timeout(moment, lab.run(&plan)).await;
    drop(troubles);
    lab.engine.come_back();
    lab.engine.forget_failures();

    let entries = lab.journal_on_disk().entries().unwrap();
    let now = state(&lab).await;
    // What somebody else removed needs no undoing.
    let mut untouched = untouched;
    untouched.retain(|name, _| now.contains_key(name));
    let differ: Vec<&String> = now
        .iter()
        .filter(|(name, state)| untouched.get(*name) != Some(state))
        .map(|(name, _)| name)
        .collect();
    for container in &differ {
        let named = entries
            .iter()
            .any(|entry| entry.targets.iter().any(|target| target.container == **container));
        assert!(
            named,
            "{what}: {container} was {:?}, is {} and is not journaled",
            untouched.get(*container),
            now[*container]
        );
    }
    match &ending {
        Err(_) => {
            assert!(killed, "{what}: the drill did not end");
            ways.insert("killed");
        }
        Ok(ending) => {
            let way = match ending {
                Ending::Judge => panic!("{what}: judged without an audit"),
                Ending::Untouched(_) => "untouched",
                Ending::NoEvidence(_) => "audited",
                Ending::Interrupted => "interrupted",
                Ending::Broken { .. } => "broken",
            };
            ways.insert(way);
            let named = matches!(
                ending,
                Ending::Broken {
                    fault_in_place: true,
                    ..
                }
            );
            if named {
                ways.insert("fault left");
            }
            if !entries.is_empty() {
                let on_purpose = plan.leave && matches!(ending, Ending::NoEvidence(_) | Ending::Interrupted);
                assert!(named || on_purpose, "{what}: {ending:?}, and in place is {entries:?}");
                if on_purpose {
                    ways.insert("left on purpose");
                }
            }
            recorded(&lab, &entries, &what);
        }
    }

    lab.undo(|_| true)
        .await
        .unwrap_or_else(|error| panic!("{what}: {error:#}"));
    assert_eq!(lab.journaled(), [""; 0], "{what}");
    assert_eq!(
        state(&lab).await,
        untouched,
        "{what}: after the next khd has undone all"
    );
    ways
}

/// What was injected was undone later, or is in place.
fn recorded(lab: &Lab, entries: &[Injection], what: &str) {
    let mut in_place = BTreeSet::new();
    for event in lab.events() {
        match event.kind {
            Kind::FaultEffective { id, .. } => assert!(in_place.insert(id), "{what}: fault {id} took effect twice"),
            Kind::FaultUndone { id } => {
                in_place.remove(&id);
            }
            Kind::FaultHealed { id, .. } => assert!(!in_place.contains(&id), "{what}: fault {id} healed in place"),
            _ => {}
        }
    }
    for id in in_place {
        assert!(
            entries.iter().any(|entry| entry.id == id),
            "{what}: fault {id} is recorded as in place, and is not"
        );
    }
}

/// All that faults of processes and of the network change, for each container.
async fn state(lab: &Lab) -> BTreeMap<String, String> {
    let project = lab.engine.project(PROJECT).await.unwrap();
    let network = labels::object_name(PROJECT, NETWORK);
    let put = lab.engine.put_by_helpers();
    let mut all = BTreeMap::new();
    for container in project.containers {
        let name = container.name;
        let ResourceLimits { cpus, memory } = lab.engine.limits(&name).await.unwrap();
        let attached = lab.engine.attachment(&name, &network).await.unwrap().is_some();
        let put = put.get(&name);
        let state = format!(
            "{} cpus={cpus:?} memory={memory:?} attached={attached} {put:?}",
            container.state
        );
        all.insert(name, state);
    }
    all
}

/// Lets calls fail, before or after they have done something, the engine die, signals come and containers go, at random.
fn trouble(lab: &Lab, lots: &mut ChaCha8Rng) -> JoinSet<()> {
    const CALLS: [&str; 14] = [
        "stop",
        "start",
        "kill",
        "pause",
        "unpause",
        "limit ",
        "connect",
        "disconnect",
        "run_helper apply",
        "run_helper remove",
        "project",
        "run_helper",
        "create_container",
        "remove_container",
    ];
    let mut troubles = JoinSet::new();
    for _ in 0..lots.random_range(0..5) {
        let (engine, cancel) = (lab.engine.clone(), lab.stage.cancel.clone());
        let (at, length) = (any_time(lots, 20), any_time(lots, 10));
        let (call, times) = (*CALLS.choose(lots).unwrap(), lots.random_range(1..6));
        let victim = container(SERVERS.choose(lots).unwrap());
        match lots.random_range(0..20) {
            0..8 => troubles.spawn(async move {
                sleep(at).await;
                (0..times).for_each(|_| engine.fail(call, "by lot"));
            }),
            8..12 => troubles.spawn(async move {
                sleep(at).await;
                (0..times).for_each(|_| engine.fail_late(call, "by lot, and done all the same"));
            }),
            12..17 => troubles.spawn(async move {
                sleep(at).await;
                engine.die();
                sleep(length).await;
                engine.come_back();
            }),
            17..19 => troubles.spawn(async move {
                sleep(at).await;
                cancel.cancel();
            }),
            _ => troubles.spawn(async move {
                sleep(at).await;
                // Somebody else does; an engine that is gone does not.
                let _ = engine.remove_container(&victim).await;
            }),
        };
    }
    troubles
}

fn any_time(lots: &mut ChaCha8Rng, below: u64) -> Duration {
    Duration::from_millis(lots.random_range(0..below * 1000))
}

fn any_plan(lots: &mut ChaCha8Rng, seed: u64) -> Plan {
    let mut steps = any_steps(lots, 6);
    if lots.random_ratio(1, 3) {
        let rows = (0..lots.random_range(2..4)).map(|_| any_steps(lots, 3)).collect();
        let at = lots.random_range(0..=steps.len());
        steps.insert(at, Step::Parallel(rows));
    }
    Plan {
        drill: "simulated".into(),
        steps,
        leave: lots.random_ratio(1, 5),
        seed,
        limits: Limits::new(),
        skip: BTreeMap::new(),
    }
}

fn any_steps(lots: &mut ChaCha8Rng, most: usize) -> Vec<Step> {
    let count = lots.random_range(1..=most);
    (0..count).map(|_| Step::Do(any_action(lots))).collect()
}

fn any_action(lots: &mut ChaCha8Rng) -> Action {
    const LABELS: [&str; 3] = ["a", "b", "c"];
    let label = || LABELS.map(str::to_owned);
    match lots.random_range(0..10) {
        0..5 => {
            let (how, targets) = any_fault(lots);
            let targets = targets.iter().map(|target| target.parse().unwrap()).collect();
            Action::Fail(Fail {
                label: label().choose(lots).unwrap().clone(),
                targets,
                how,
            })
        }
        5 => Action::Restore(None),
        6 | 7 => Action::Restore(label().choose(lots).cloned()),
        8 => Action::Wait(any_time(lots, 10)),
        _ => {
            let (condition, ..) = *Condition::ALL.choose(lots).unwrap();
            Action::Until {
                condition,
                within: any_time(lots, 20),
            }
        }
    }
}

/// A fault that an engine in memory can play, and whom it hits.
fn any_fault(lots: &mut ChaCha8Rng) -> (How, Vec<&'static str>) {
    const TARGETS: [&str; 13] = [
        "kafka1",
        "kafka2",
        "kafka3",
        "zookeeper1",
        "zookeeper2",
        "consumer-1",
        "producer-1",
        "controller",
        "leader:test-1/0",
        "follower:test-2/1",
        "zookeeper-leader",
        "all-brokers",
        "random",
    ];
    let how = match lots.random_range(0..13) {
        0 => json!({ "how": "stop" }),
        1 => json!({ "how": "kill" }),
        2 => json!({ "how": "pause" }),
        3 => json!({ "how": "restart" }),
        4 => json!({ "how": "cpu", "cpus": 0.2 }),
        5 => json!({ "how": "cpu", "cpus": 0.1 }),
        6 => json!({ "how": "memory", "memory": "600m" }),
        7 => json!({ "how": "disconnect" }),
        8 => json!({ "how": "block", "traffic": ["brokers", "zookeeper"] }),
        9 => json!({ "how": "block", "traffic": ["clients"] }),
        10 => json!({ "how": "loss", "percent": 30 }),
        11 => {
            let how = json!({ "how": "add", "replicas": lots.random_range(1..3) });
            return (serde_json::from_value(how).unwrap(), vec!["consumer", "producer-1"]);
        }
        _ => {
            let place = lots.random_range(1..SERVERS.len());
            let (one, other) = SERVERS.split_at(place);
            let how = json!({ "how": "partition", "sets": [one, other], "one-way": lots.random_ratio(1, 2) });
            return (serde_json::from_value(how).unwrap(), SERVERS.to_vec());
        }
    };
    let count = lots.random_range(1..3);
    let targets = TARGETS.sample(lots, count).copied().collect();
    (serde_json::from_value(how).unwrap(), targets)
}
