//! Whole drills without Docker: an engine in memory, servers that a script speaks for, and librdkafka's mock cluster
//! for the audit. What the drill did is read from what outlives it: the run's folder, the journal, the engine's calls.
//!
//! Where nothing but Tokio's clock passes the time, the clock is paused, and deadlines of minutes take none.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic, as tests do")]

mod cluster;
mod lab;
mod reports;
#[path = "../schema/mod.rs"]
mod schema;
mod simulation;
mod workload;

use std::collections::BTreeMap;
use std::time::Duration;

use khd::drill::machine::Ending;
use khd::timeline::event::{Event, Kind};
use khd::verdicts::evidence::Evidence;
use khd::verdicts::{Status, Verdict, judge, overall};
use tokio::time::Instant;

use lab::{Lab, container, nowhere};
use workload::{Workload, boasting, honest, in_flight, mock, produced};

const HOLD: Duration = Duration::from_secs(5);
const STOP: &str = "stop khd-kafka2-1";
const START: &str = "start khd-kafka2-1";
/// The course of a drill on kafka2 that nothing disturbs.
const COURSE: [&str; 12] = [
    "healthy ok",
    "stop kafka2",
    "effective",
    "fail ok",
    "wait ok",
    "until ok",
    "undone kafka2",
    "healed",
    "restore ok",
    "recover ok",
    "cut",
    "audit ok",
];

/// The course of one that leaves its fault in place, which is held once the lab has settled.
const LEFT: [&str; 8] = [
    "healthy ok",
    "stop kafka2",
    "effective",
    "fail ok",
    "until ok",
    "wait ok",
    "cut",
    "audit ok",
];

/// What the consumer's container prints while the fault is held.
const SAID: [&str; 3] = [
    r#"{"level":"INFO","message":"assigned t","event":"partitions-assigned","group":"test","generation":7,"partitions":"[[\"test-1\",0]]"}"#,
    r#"{"level":"WARN","message":"nothing","event":"gap-opened","of":"delivery","topic":"test-1","partition":0,"since":5}"#,
    r#"{"level":"WARN","message":"no broker answers","event":"client-error","suppressed":3}"#,
];

fn verdicts(lab: &Lab) -> BTreeMap<String, Verdict> {
    let evidence = Evidence::load(&lab.stage.run).unwrap();
    let verdicts = judge(&evidence);
    verdicts
        .into_iter()
        .map(|verdict| (verdict.id.clone(), verdict))
        .collect()
}

fn worst(verdicts: &BTreeMap<String, Verdict>) -> Status {
    overall(&verdicts.values().cloned().collect::<Vec<_>>())
}

/// Runs a drill of 1.5 s beside a producer and a consumer, whose ledgers may be tampered with.
async fn drill_beside_a_workload(tamper: workload::Tamper) -> (Lab, BTreeMap<String, Verdict>) {
    let mock = mock();
    let mut lab = Lab::up(mock.bootstrap_servers()).await;
    let workload = Workload::start(&mock, &lab.engine, tamper).await;
    let engine = lab.engine.clone();
    lab.when("wait", move || {
        for line in SAID {
            engine.print(&container("consumer"), line);
        }
    });
    let plan = lab.plan("stop", "kafka2", Duration::from_millis(1500), false);
    let ending = lab.run(&plan).await;
    workload.end().await;
    assert_eq!(ending, Ending::Judge, "{:?}", lab.course());
    assert_eq!(lab.course(), COURSE);
    assert_eq!(lab.engine.calls(), [STOP, START]);
    assert!(lab.journaled().is_empty());
    assert_eq!(lab.state("kafka2").await, "running");
    let verdicts = verdicts(&lab);
    (lab, verdicts)
}

/// Verdicts but for those of what this lab does not have: KRaft, a way there, copiers.
fn of_this_lab(verdicts: &BTreeMap<String, Verdict>) -> impl Iterator<Item = &Verdict> {
    let others = ["quorum-restored", "migration", "exactly-once"];
    verdicts
        .values()
        .filter(move |verdict| !others.contains(&verdict.id.as_str()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_nothing_goes_wrong_in_is_judged_as_passed_from_its_folder_alone() {
    let (lab, verdicts) = drill_beside_a_workload(honest).await;
    for verdict in of_this_lab(&verdicts) {
        assert_eq!(verdict.status, Status::Passed, "{}: {}", verdict.id, verdict.summary);
    }
    assert_eq!(worst(&verdicts), Status::Passed);
    assert_eq!(verdicts["one-controller"].measured["controller_before"], 2);
    assert_eq!(verdicts["one-controller"].measured["epoch"], 8);
    assert!(verdicts["lost-write"].measured["acknowledged"].as_u64().unwrap() > 100);

    let run = lab.stage.run.path();
    assert!(schema::holds_run(run) > 50);
    let events = lab.events();
    let of_consumer: Vec<&Kind> = events
        .iter()
        .filter(|event| event.source == "consumer-1")
        .map(|event| &event.kind)
        .collect();
    assert!(
        matches!(
            of_consumer[..],
            [
                Kind::PartitionsAssigned {
                    generation: Some(7),
                    ..
                },
                Kind::GapOpened { .. },
                Kind::ClientError { suppressed: 3, .. },
            ]
        ),
        "{of_consumer:?}"
    );
    let used = |event: &Event| matches!(&event.kind, Kind::Resources { service, .. } if service == "kafka1");
    assert!(events.iter().any(used));
    let printed = std::fs::read_to_string(run.join("logs/kafka2-1.log")).unwrap();
    assert_eq!(printed, "kafka2 says hello\n");
    let ledgers = std::fs::read_dir(lab.stage.run.ledgers()).unwrap();
    assert_eq!(ledgers.count(), 2);
    // The fault was held for as long as was asked, counted from its proof.
    let at = |is: fn(&Kind) -> bool| {
        let events = lab.events();
        events.iter().find(|event| is(&event.kind)).unwrap().elapsed_ms
    };
    let proven = at(|kind| matches!(kind, Kind::FaultEffective { .. }));
    let undone = at(|kind| matches!(kind, Kind::FaultUndone { .. }));
    assert!((1_500..5_000).contains(&(undone - proven)), "{} ms", undone - proven);
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_messages_that_the_log_does_not_hold_fail_an_otherwise_perfect_drill() {
    let (_, verdicts) = drill_beside_a_workload(boasting).await;
    let lost = &verdicts["lost-write"];
    assert_eq!(lost.status, Status::Failed, "{}", lost.summary);
    assert_eq!(lost.measured["lost"], 3);
    assert_eq!(lost.measured["examples"][0]["topic"], "test-1");
    assert_eq!(worst(&verdicts), Status::Failed);
    let others = of_this_lab(&verdicts).filter(|verdict| verdict.id != "lost-write");
    for verdict in others {
        assert_eq!(verdict.status, Status::Passed, "{}: {}", verdict.id, verdict.summary);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unhealthy_lab_is_left_untouched() {
    for (service, says) in [
        ("kafka3", "kafka3 does not answer"),
        ("zookeeper2", "zookeeper2 does not serve"),
        // Without it, what the workload noticed of the fault could not be judged.
        ("producer", "producer-1 is exited"),
    ] {
        let mut lab = Lab::up(nowhere()).await;
        lab.engine.set_state(&container(service), "exited");
        let ending = lab.run(&lab.plan("stop", "kafka2", HOLD, false)).await;
        let Ending::Untouched(lacking) = ending else {
            panic!("{ending:?}");
        };
        assert!(lacking.iter().any(|one| one.contains(says)), "{lacking:?}");
        assert_eq!(lab.engine.calls(), [] as [&str; 0]);
        assert!(lab.journaled().is_empty());
        assert_eq!(lab.course(), [format!("healthy: {}", lacking.join("; "))]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_the_lab_does_not_run_is_said_so_and_nothing_is_touched() {
    let mut lab = Lab::up(nowhere()).await;
    let ending = lab.run(&lab.plan("stop", "kafka5", HOLD, false)).await;
    let error = "the lab has no container for kafka5".to_owned();
    let fault_in_place = false;
    assert_eq!(ending, Ending::Broken { error, fault_in_place });
    assert_eq!(lab.engine.calls(), [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_gone_from_the_start_is_no_fault_in_place() {
    let mut lab = Lab::up(nowhere()).await;
    lab.engine.die();
    let ending = lab.run(&lab.plan("stop", "kafka2", HOLD, false)).await;
    let Ending::Broken { error, fault_in_place } = ending else {
        panic!("{ending:?}");
    };
    assert!(
        !fault_in_place && error.contains("no connection to the engine"),
        "{error}"
    );
    assert_eq!(lab.engine.calls(), [] as [&str; 0]);
    assert!(lab.journaled().is_empty());
}

#[tokio::test]
async fn a_fault_without_effect_is_undone_and_judged_as_unknown_even_where_it_should_be_left() {
    for leave in [false, true] {
        let mock = mock();
        let mut lab = Lab::up(mock.bootstrap_servers()).await;
        produced(&mock, &lab.engine, honest).await;
        tokio::time::pause();
        // The container is stopped, and still something answers on its port.
        lab.observe(Some("kafka2"));
        let plan = lab.plan("stop", "kafka2", HOLD, leave);
        let ending = lab.run(&plan).await;
        tokio::time::resume();
        assert_eq!(ending, Ending::Judge);
        let course = [
            "healthy ok",
            "stop kafka2",
            "fail: kafka2 still answers",
            "undone kafka2",
            "healed",
            "undo ok",
            "recover ok",
            "cut",
            "audit ok",
        ];
        assert_eq!(lab.course(), course);
        assert_eq!(lab.engine.calls(), [STOP, START]);
        assert!(lab.journaled().is_empty());
        let verdicts = verdicts(&lab);
        assert_eq!(verdicts["fault-effective"].status, Status::Unknown);
        assert_eq!(verdicts["lost-write"].status, Status::Passed);
        assert_eq!(worst(&verdicts), Status::Unknown, "{verdicts:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_dies_under_a_fault_leaves_it_journaled_for_whoever_comes_next() {
    let mut lab = Lab::up(nowhere()).await;
    let engine = lab.engine.clone();
    lab.when("wait", move || engine.die());
    let ending = lab.run(&lab.plan("stop", "kafka2", HOLD, false)).await;
    let Ending::Broken { error, fault_in_place } = ending else {
        panic!("{ending:?}");
    };
    assert!(fault_in_place, "{error}");
    assert!(error.contains("cannot undo stop of kafka2"), "{error}");
    assert!(error.contains("no connection to the engine"), "{error}");
    assert_eq!(lab.journaled(), [format!("{} stop kafka2", lab.stage.run.name())]);
    assert_eq!(lab.engine.calls(), [STOP]);
    assert_eq!(lab.course().last(), Some(&format!("undo: {error}")));
    let told = |kind: &Kind| matches!(kind, Kind::Warning { message } if message.contains("the engine cannot tell"));
    assert!(lab.events().iter().any(|event| told(&event.kind)));

    // As long as the engine is gone, so is the way back; what is not undone stays journaled.
    lab.undo(|_| true).await.unwrap_err();
    assert_eq!(lab.journaled().len(), 1);
    lab.engine.come_back();
    assert_eq!(lab.state("kafka2").await, "exited");
    let undone = lab.undo(|_| true).await.unwrap();
    assert_eq!(undone.len(), 1);
    assert_eq!(lab.state("kafka2").await, "running");
    assert_eq!(lab.engine.calls(), [STOP, START]);
    assert!(lab.journaled().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_dies_before_the_effect_shows_leaves_the_fault_journaled_too() {
    let mut lab = Lab::up(nowhere()).await;
    let engine = lab.engine.clone();
    lab.when("fail", move || engine.die());
    let ending = lab.run(&lab.plan("stop", "kafka2", HOLD, false)).await;
    assert!(
        matches!(
            ending,
            Ending::Broken {
                fault_in_place: true,
                ..
            }
        ),
        "{ending:?}"
    );
    assert_eq!(lab.journaled().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_the_engine_says_failed_may_have_worked_and_is_undone() {
    let mut lab = Lab::up(nowhere()).await;
    lab.engine.fail(STOP, "it took too long");
    let ending = lab.run(&lab.plan("stop", "kafka2", HOLD, false)).await;
    let Ending::Broken { error, fault_in_place } = ending else {
        panic!("{ending:?}");
    };
    assert!(!fault_in_place && error.contains("it took too long"), "{error}");
    // It may still be at it, so it is asked again: a container that ends after its start would stay down.
    assert_eq!(lab.engine.calls(), [STOP, START]);
    assert!(lab.journaled().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_journaled_before_the_engine_is_told() {
    let mut lab = Lab::up(nowhere()).await;
    // The engine refused to stop it, so whatever is journaled was journaled before.
    lab.engine.fail(STOP, "it took too long");
    // Undoing is tried again.
    for _ in 0..4 {
        lab.engine.fail(START, "not now");
    }
    let ending = lab.run(&lab.plan("stop", "kafka2", HOLD, false)).await;
    assert!(
        matches!(&ending, Ending::Broken { error, fault_in_place: true } if error.contains("not now")),
        "{ending:?}"
    );
    assert_eq!(lab.journaled(), [format!("{} stop kafka2", lab.stage.run.name())]);
}

/// Interrupts a drill as soon as a phase begins, and returns the lab as it is left.
async fn interrupted(phase: &'static str, leave: bool) -> Lab {
    let mut lab = Lab::up(nowhere()).await;
    // The audit has to wait for this one; nobody is asked for a log.
    lab.put_ledger("producer-busy.jsonl", in_flight());
    lab.cancel_when(phase);
    let plan = lab.plan("stop", "kafka2", HOLD, leave);
    assert_eq!(lab.run(&plan).await, Ending::Interrupted, "in {phase}");
    lab
}

#[tokio::test(start_paused = true)]
async fn an_interruption_before_the_fault_touches_nothing() {
    let lab = interrupted("healthy", false).await;
    assert_eq!(lab.course(), ["healthy: interrupted"]);
    assert_eq!(lab.engine.calls(), [] as [&str; 0]);
    assert!(lab.journaled().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_interruption_in_any_later_phase_ends_with_the_target_started() {
    // How far each gets, and what follows then.
    let undone = ["undone kafka2", "undo ok"];
    for (phase, whole, then) in [
        ("fail", 2, &[&["fail: interrupted"], &undone[..]].concat()[..]),
        ("wait", 4, &[&["wait: interrupted"], &undone[..]].concat()),
        ("until", 5, &[&["until: interrupted"], &undone[..]].concat()),
        // The way back is not to be interrupted.
        ("restore", 7, &["restore: interrupted", "undo ok"]),
        ("recover", 9, &["recover: interrupted"]),
        ("audit", 11, &["audit: interrupted"]),
    ] {
        let lab = interrupted(phase, false).await;
        assert_eq!(lab.course(), [&COURSE[..whole], then].concat(), "in {phase}");
        assert_eq!(lab.engine.calls(), [STOP, START], "in {phase}");
        assert_eq!(lab.state("kafka2").await, "running", "in {phase}");
        assert!(lab.journaled().is_empty(), "in {phase}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_should_be_left_is_undone_on_interruption_until_it_was_held_as_asked() {
    for (phase, whole, then) in [
        ("fail", 2, ["fail: interrupted", "undone kafka2", "undo ok"]),
        ("until", 4, ["until: interrupted", "undone kafka2", "undo ok"]),
        ("wait", 5, ["wait: interrupted", "undone kafka2", "undo ok"]),
    ] {
        let lab = interrupted(phase, true).await;
        assert_eq!(lab.course(), [&LEFT[..whole], &then].concat(), "in {phase}");
        assert_eq!(lab.engine.calls(), [STOP, START], "in {phase}");
        assert!(lab.journaled().is_empty(), "in {phase}");
    }
    let lab = interrupted("audit", true).await;
    assert_eq!(lab.course(), [&LEFT[..7], &["audit: interrupted"]].concat());
    assert_eq!(lab.engine.calls(), [STOP]);
    assert_eq!(lab.state("kafka2").await, "exited");
    assert_eq!(lab.journaled(), [format!("{} stop kafka2", lab.stage.run.name())]);
}

#[tokio::test(start_paused = true)]
async fn a_drill_whose_evidence_cannot_be_collected_is_not_judged_and_leaves_what_should_be_left() {
    for (leave, left) in [(false, 0), (true, 1)] {
        let mut lab = Lab::up(nowhere()).await;
        lab.put_ledger("producer-busy.jsonl", in_flight());
        let engine = lab.engine.clone();
        lab.when("audit", move || engine.die());
        let plan = lab.plan("stop", "kafka2", HOLD, leave);
        let ending = lab.run(&plan).await;
        let Ending::NoEvidence(error) = ending else {
            panic!("{ending:?}");
        };
        assert!(error.contains("cannot collect the ledgers"), "{error}");
        assert_eq!(lab.course().last(), Some(&format!("audit: {error}")));
        assert_eq!(lab.journaled().len(), left);
    }
}

#[tokio::test]
async fn a_fault_that_is_left_stays_in_place_and_journaled_until_somebody_undoes_it() {
    let mock = mock();
    let mut lab = Lab::up(mock.bootstrap_servers()).await;
    produced(&mock, &lab.engine, honest).await;
    tokio::time::pause();
    let plan = lab.plan("stop", "kafka2", HOLD, true);
    assert_eq!(lab.run(&plan).await, Ending::Judge);
    tokio::time::resume();
    assert_eq!(lab.course(), LEFT);
    assert_eq!(lab.engine.calls(), [STOP]);
    assert_eq!(lab.state("kafka2").await, "exited");
    assert_eq!(lab.journaled(), [format!("{} stop kafka2", lab.stage.run.name())]);

    let verdicts = verdicts(&lab);
    for (id, status) in [
        ("fault-effective", Status::Passed),
        ("leaders-moved", Status::Passed),
        ("isr-shrunk", Status::Passed),
        ("isr-restored", Status::Skipped),
        ("leaders-balanced", Status::Skipped),
        ("group-recovered", Status::Passed),
        ("lost-write", Status::Passed),
        // By the wall clock, which is not paused, it was held for no time at all.
        ("progress", Status::Skipped),
    ] {
        assert_eq!(verdicts[id].status, status, "{id}: {}", verdicts[id].summary);
    }

    // Another service's fault is not this one.
    let none = lab.undo(|injection| injection.hits("kafka1")).await.unwrap();
    assert_eq!((none.len(), lab.journaled().len()), (0, 1));
    lab.undo(|injection| injection.hits("kafka2")).await.unwrap();
    assert_eq!(lab.engine.calls(), [STOP, START]);
    assert!(lab.journaled().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_killed_broker_is_not_started_before_its_session_has_expired_even_on_interruption() {
    let mut lab = Lab::up(nowhere()).await;
    lab.cancel_when("wait");
    let begun = Instant::now();
    let ending = lab.run(&lab.plan("kill", "kafka2", HOLD, false)).await;
    assert_eq!(ending, Ending::Interrupted);
    assert_eq!(lab.engine.calls(), ["kill khd-kafka2-1", START]);
    assert!(lab.journaled().is_empty());
    // 18 s of session and 4 s of ZooKeeper's own. The journal goes by the wall clock, which is not paused.
    let took = begun.elapsed();
    assert!(
        (Duration::from_secs(15)..Duration::from_secs(40)).contains(&took),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_zookeeper_server_is_hit_and_comes_back_as_a_broker_does() {
    let mut lab = Lab::up(nowhere()).await;
    lab.put_ledger("producer-busy.jsonl", in_flight());
    lab.cancel_when("audit");
    let ending = lab.run(&lab.plan("stop", "zookeeper1", HOLD, false)).await;
    assert_eq!(ending, Ending::Interrupted);
    let course = COURSE[..11].iter().map(|step| step.replace("kafka2", "zookeeper1"));
    let course: Vec<String> = course.chain(["audit: interrupted".into()]).collect();
    assert_eq!(lab.course(), course);
    assert_eq!(lab.engine.calls(), ["stop khd-zookeeper1-1", "start khd-zookeeper1-1"]);
}
