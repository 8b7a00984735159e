use super::*;
use crate::verdicts::checks::testing::Drill;

fn lanes_of(drill: Drill) -> Lanes {
    Lanes::of(&drill.evidence())
}

fn led(lanes: &Lanes, partition: usize) -> Vec<(u64, u64, i32, usize)> {
    let led = lanes.partitions[partition].led.iter();
    led.map(|now| (now.from_ms, now.to_ms, now.what.leader, now.what.isr.len()))
        .collect()
}

#[test]
fn leaders_and_isr_are_told_by_the_stretches_in_which_they_did_not_change() {
    let lanes = lanes_of(Drill::good());
    assert_eq!(
        led(&lanes, 0),
        [(0, 4_000, 1, 3), (4_000, 25_000, 1, 2), (25_000, 31_000, 1, 3)]
    );
    assert_eq!(
        led(&lanes, 1),
        [
            (0, 3_000, 2, 3),
            (3_000, 4_000, 3, 3),
            (4_000, 25_000, 3, 2),
            (25_000, 31_000, 2, 3)
        ]
    );
}

#[test]
fn a_broker_under_a_fault_is_no_witness() {
    let truth = led(&lanes_of(Drill::good()), 1);
    let with_claim = |place: usize| {
        let mut evidence = Drill::good().evidence();
        let mut claim = evidence.events[place].clone();
        claim.source = "kafka2".into();
        claim.kind = Kind::Partition {
            topic: "t".into(),
            partition: 1,
            leader: -1,
            leader_epoch: 99,
            replicas: vec![2, 3, 1],
            isr: [2].into(),
        };
        evidence.events.insert(place + 1, claim);
        led(&Lanes::of(&evidence), 1)
    };
    let injected = Drill::good().evidence().faults[0].injected;
    assert_eq!(with_claim(injected), truth);
    // Before the fault it is one: the test can fail.
    assert_ne!(with_claim(injected - 1), truth);
}

#[test]
fn a_fault_is_told_with_its_proof_and_its_end() {
    let lanes = lanes_of(Drill::good());
    let [fault] = &lanes.faults[..] else {
        panic!("{:?}", lanes.faults)
    };
    assert_eq!(
        (fault.injected_ms, fault.effective_ms, fault.undone_ms),
        (1_000, Some(2_000), Some(20_000))
    );
    assert_eq!(fault.proof.as_deref(), Some("it is gone"));
    let left = lanes_of(Drill::good().without_proof().left_in_place());
    assert_eq!((left.faults[0].effective_ms, left.faults[0].undone_ms), (None, None));
}

#[test]
fn a_server_that_ceased_to_answer_is_silent_from_then_on() {
    let lanes = lanes_of(Drill::good());
    let server = lanes.servers.iter().find(|server| server.name == "kafka2").unwrap();
    let reach: Vec<(u64, u64, bool)> = server
        .reach
        .iter()
        .map(|reach| (reach.from_ms, reach.to_ms, reach.what.answers))
        .collect();
    assert_eq!(server.kind, ServerKind::Broker);
    assert_eq!(reach, [(0, 2_000, true), (2_000, 31_000, false)]);
    let names: Vec<&str> = lanes.servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(
        names,
        ["kafka1", "kafka2", "kafka3", "zookeeper1", "zookeeper2", "zookeeper3"]
    );
}

#[test]
fn a_controller_of_its_own_is_a_server_and_no_client() {
    let mut evidence = Drill::kraft().evidence();
    let expected = &mut evidence.expected;
    expected.flavor = crate::settings::Flavor::KraftSeparate;
    // Of the quorum of 1, 2 and 3 this one is the leader, 9 no part.
    expected.controllers = [("controller1".into(), 1), ("controller2".into(), 9)].into();
    let lanes = Lanes::of(&evidence);
    let of = |name: &str| lanes.servers.iter().find(|server| server.name == name).unwrap();
    let modes = |name: &str| {
        let reach = of(name).reach.iter();
        reach.map(|reach| reach.what.note.clone()).collect::<Vec<_>>()
    };
    assert_eq!(of("controller1").kind, ServerKind::Controller);
    assert_eq!(modes("controller1"), [Some("leader".to_owned())]);
    assert_eq!(modes("controller2"), [None]);
}

#[test]
fn the_controller_is_the_one_zookeeper_holds_or_else_the_one_all_name() {
    let lanes = lanes_of(Drill::good());
    let controllers = |lanes: &Lanes| -> Vec<(i32, Option<i32>)> {
        let all = lanes.controller.iter();
        all.map(|now| (now.what.controller, now.what.epoch)).collect()
    };
    assert_eq!(controllers(&lanes), [(1, Some(4))]);
    assert_eq!(controllers(&lanes_of(Drill::good().without_epoch())), [(1, None)]);
    let differing = lanes_of(Drill::good().without_epoch().two_controllers());
    // Once the third is asked they differ, and after the second is stopped the other two still do.
    assert_eq!(controllers(&differing), []);
}

#[test]
fn pauses_are_told_to_the_millisecond_and_the_worst_is_named() {
    let lanes = lanes_of(Drill::good().nothing_acknowledged_during_the_fault());
    let pauses = lanes.pauses.unwrap();
    assert_eq!((pauses.from_ms, pauses.to_ms), (1_000, 30_000));
    // The last success before the fault took effect was at 1.9 s, the first after it at 20 s.
    assert_eq!(lanes.partitions[0].unacknowledged, [Pause(1_900, 18_100)]);
    assert_eq!(lanes.partitions[1].undelivered, [Pause(1_900, 18_100)]);
    assert_eq!(pauses.unacknowledged, [Pause(1_900, 18_100)]);
    let worst = pauses.worst_unacknowledged.unwrap();
    assert_eq!((worst.topic.as_str(), worst.pause), ("t", Pause(1_900, 18_100)));
}

#[test]
fn where_nothing_paused_there_is_no_worst() {
    let pauses = lanes_of(Drill::good()).pauses.unwrap();
    assert_eq!((pauses.worst_unacknowledged, pauses.worst_undelivered), (None, None));
}

#[test]
fn rates_sum_all_partitions_and_end_with_the_ledgers() {
    let lanes = lanes_of(Drill::good().nothing_acknowledged_during_the_fault());
    let rates = lanes.rates.unwrap();
    assert_eq!(rates.acknowledged.to_ms, 30_000);
    assert_eq!(rates.acknowledged.per_second.len(), 30);
    assert_eq!(rates.acknowledged.per_second[1..3], [40.0, 0.0]);
}

#[test]
fn without_ledgers_what_the_events_tell_is_there_all_the_same() {
    let lanes = lanes_of(Drill::good().without_ledgers());
    assert_eq!((&lanes.rates, &lanes.pauses), (&None, &None));
    assert_eq!(led(&lanes, 1).len(), 4);
}

#[test]
fn the_feed_tells_in_one_line_what_belongs_together() {
    let lanes = lanes_of(Drill::good());
    let told: Vec<(u64, &str)> = lanes.feed.iter().map(|told| (told.at_ms, told.text.as_str())).collect();
    assert_eq!(
        told,
        [
            (0, "run starts: khd fail"),
            (0, "group test is Stable with 1 member, says its coordinator kafka1"),
            (0, "kafka1 is controller, epoch 4"),
            (1_000, "stop of kafka2 is injected"),
            (2_000, "kafka2 ceases to answer: refused"),
            (2_000, "stop of kafka2 is proven: it is gone"),
            (2_000, "step begins: wait until settled, for at most 53s"),
            (3_000, "leadership: 1 partition to kafka3"),
            (4_000, "in-sync replicas: 2 of 3 on 2 partitions"),
            (20_000, "step begins: undo it"),
            (20_000, "stop of kafka2 is undone"),
            (22_000, "stop of kafka2 is healed: kafka2 runs and answers"),
            (25_000, "leadership: 1 partition to kafka2"),
            (25_000, "in-sync replicas: 3 of 3 on 2 partitions"),
            (30_000, "cut: sends begun before this are judged"),
            (31_000, "run ends: done"),
        ]
    );
}

#[test]
fn faults_and_steps_that_overlap_have_rows_of_their_own() {
    let drill = Drill::good()
        .beside_fault(8, &["kafka3"], 10, Some(15))
        .beside_fault(9, &["kafka1"], 21, Some(24))
        .beside_wait(8, 3, 4);
    let lanes = lanes_of(drill);
    let rows: Vec<usize> = lanes.faults.iter().map(|fault| fault.row).collect();
    assert_eq!(rows, [0, 1, 0]);
    let rows: Vec<(u32, usize)> = lanes.steps.iter().map(|step| (step.what.step, step.what.row)).collect();
    assert_eq!(rows, [(2, 0), (8, 1), (4, 0)]);
}
