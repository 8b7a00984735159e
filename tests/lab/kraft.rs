//! KRaft: the same lab without ZooKeeper, in both of its forms.

use serde_json::Value;

use crate::monitoring::{all_fired, every_panel_had_data, seen_while};
use crate::prometheus::Prometheus;
use crate::support::{Lab, status};

#[test]
fn brokers_that_are_controllers_too_lose_one_and_the_leader_of_their_quorum_freezes() {
    let lab = Lab::new("khdtest-kraft", 18);
    lab.run(&["up", "--flavor", "kraft", "--set", "monitoring.ui=false"], 0)
        .says("is ready: 3 brokers that are controllers too, 30 partitions");

    let stopped = lab.run(&["fail", "kafka2", "--json"], 0).json();
    is_whole_again(&stopped);
    assert_eq!(status(&stopped, "leaders-moved"), "passed");

    let before = lab.run(&["status", "--json"], 0).json();
    let frozen = lab.run(&["fail", "controller", "--how", "pause", "--json"], 0).json();
    is_whole_again(&frozen);
    let verdicts = frozen["verdicts"].as_array().unwrap();
    let controller = verdicts.iter().find(|v| v["id"] == "one-controller").unwrap();
    assert_eq!(controller["measured"]["controller_before"], before["controller"]);
    assert_ne!(controller["measured"]["controller"], before["controller"]);

    lab.run(&["fail", "zookeeper1"], 3)
        .says("there is no zookeeper1 in this lab, whose metadata is kept by its brokers");
    lab.run(&["down"], 0).says("is gone");
    assert_eq!(lab.left(), [""; 0]);
}

#[test]
fn controllers_of_their_own_lose_their_leader_and_brokers_go_on() {
    let lab = Lab::new("khdtest-kraft-separate", 19);
    let flavor = ["--flavor", "kraft-separate", "--set", "kafka.version=3.9.2"];
    let flavor = [&flavor[..], &["--set", "monitoring.ui=false"]].concat();
    lab.run(&[&["up"], &flavor[..]].concat(), 0)
        .says("is ready: 3 controllers, 3 brokers, 30 partitions");
    lab.run(&["status"], 0).says("controller2");

    let seen = seen_while(
        &lab,
        &Prometheus::of(&lab),
        &["zookeeper.json", "ZooKeeper sessions"],
        || {
            lab.run(&[&["drill", "run", "controller-quorum-loss"], &flavor[..]].concat(), 0);
        },
    );
    all_fired(&seen, &["ControllerDown", "ControllerQuorumLost"]);
    every_panel_had_data(&seen);

    let killed = lab.run(&["fail", "controller", "--how", "kill", "--json"], 0).json();
    is_whole_again(&killed);
    assert_eq!(status(&killed, "leaders-moved"), "skipped");

    // The controllers wait for a broker that is cut off from them, and other brokers lead then. Not for the one that
    // coordinates the group: its members may stay with it.
    let told = lab.run(&["status", "--json"], 0).json();
    let coordinator = told["group"]["coordinator"].as_i64().unwrap();
    let broker = format!("kafka{}", coordinator % 3 + 1);
    let cut = ["fail", &broker, "--how", "block", "--traffic", "controllers", "--json"];
    let cut = lab.run(&cut, 0).json();
    is_whole_again(&cut);
    assert_eq!(status(&cut, "leaders-moved"), "passed");
    lab.run(&["down"], 0).says("is gone");
}

#[track_caller]
fn is_whole_again(report: &Value) {
    assert_eq!(report["status"], "passed");
    for id in ["fault-effective", "one-controller", "quorum-restored", "lost-write"] {
        assert_eq!(status(report, id), "passed", "{id}");
    }
}
