//! KRaft: the same lab without ZooKeeper, in both of its forms.

use khd::timeline::event::Kind;
use rustix::process::Signal;
use serde_json::Value;

use crate::browser::{Browser, Look};
use crate::monitoring::{all_fired, every_panel_had_data, seen_while};
use crate::page::{HEALTHY, all};
use crate::prometheus::Prometheus;
use crate::support::{Lab, status};

/// Parts of the names of panels that only a lab with ZooKeeper has data for.
const WITHOUT_ZOOKEEPER: [&str; 2] = ["zookeeper.json", "ZooKeeper sessions"];

#[test]
fn brokers_that_are_controllers_too_lose_one_and_the_leader_of_their_quorum_freezes() {
    let lab = Lab::new("khdtest-kraft", 18);
    lab.run(&["up", "--flavor", "kraft", "--set", "monitoring.ui=false"], 0)
        .says("is ready: 3 brokers that are controllers too, 30 partitions");

    let seen = seen_while(&lab, &Prometheus::of(&lab), &WITHOUT_ZOOKEEPER, || {
        let stopped = lab.run(&["fail", "kafka2", "--json"], 0).json();
        is_whole_again(&stopped);
        assert_eq!(status(&stopped, "leaders-moved"), "passed");

        let frozen = lab.run(&["fail", "controller", "--how", "pause", "--json"], 0).json();
        is_whole_again(&frozen);
        others_lead_the_quorum_while_its_leader_is_frozen(&lab, &frozen);
    });
    every_panel_had_data(&seen);

    lab.run(&["fail", "zookeeper1"], 3)
        .says("there is no zookeeper1 in this lab, whose metadata is kept by its brokers");
    what_came_with_kraft_is_shown_and_scaled(&lab);
    lab.run(&["down"], 0).says("is gone");
    assert_eq!(lab.left(), [""; 0]);
}

fn others_lead_the_quorum_while_its_leader_is_frozen(lab: &Lab, report: &Value) {
    let verdicts = report["verdicts"].as_array().unwrap();
    let verdict = verdicts.iter().find(|v| v["id"] == "one-controller").unwrap();
    let frozen = verdict["measured"]["controller_before"].as_i64().unwrap();
    assert_eq!(report["faults"][0]["targets"][0], format!("kafka{frozen}"));
    let run = lab.folder().join("khd/runs").join(report["run"].as_str().unwrap());
    let timeline = khd::timeline::record::read(&run.join("timeline.jsonl")).unwrap();
    let during = timeline
        .iter()
        .skip_while(|event| !matches!(event.kind, Kind::FaultInjected { .. }));
    let mut during = during.take_while(|event| !matches!(event.kind, Kind::FaultUndone { .. }));
    let elected = during.any(|event| {
        matches!(event.kind, Kind::ControllerElected { controller, .. } if controller >= 0 && i64::from(controller) != frozen)
    });
    assert!(elected, "nobody else led the quorum");
}

/// Members of the new group protocol, copiers, and the page and the commands with them.
fn what_came_with_kraft_is_shown_and_scaled(lab: &Lab) {
    let settings = [
        "monitoring.ui=false",
        "consumer.group-protocol=consumer",
        "copier.replicas=1",
    ];
    let set = settings.iter().flat_map(|setting| ["--set", setting]);
    let up: Vec<&str> = ["up", "--flavor", "kraft"].into_iter().chain(set).collect();
    lab.run(&up, 0).says("is ready: 3 brokers that are controllers too");
    lab.run(&["scale", "producer=2", "consumer=3"], 0)
        .says("2 producers and 3 consumers run");

    let mut serving = lab.start(&["serve"]);
    serving.until("showing lab khdtest-kraft");
    let desk = Look {
        width: 1280,
        height: 2000,
        dark: false,
    };
    let page = Browser::open(&format!("http://{}/", lab.published(8088)), &desk);
    page.wait_for("the lab is shown as healthy", HEALTHY);
    let members = "document.querySelectorAll('#group [data-member]').length === 3";
    page.wait_for("the members of the new protocol are shown", members);
    page.wait_for("each partition has a leader", &format!("{} === 30", all("leader")));

    let killed = lab.run(&["fail", "copier-1", "--how", "kill", "--json"], 0).json();
    for id in ["fault-effective", "exactly-once", "lost-write", "group-recovered"] {
        assert_eq!(status(&killed, id), "passed", "{id}");
    }

    page.wait_for("the lab is shown as healthy again", HEALTHY);
    assert_eq!(page.ask("document.documentElement.dataset.errors ?? null"), Value::Null);
    serving.signal(Signal::TERM);
    serving.ends(Some(0));
}

#[test]
fn controllers_of_their_own_lose_their_leader_and_brokers_go_on() {
    let lab = Lab::new("khdtest-kraft-separate", 19);
    let flavor = ["--flavor", "kraft-separate", "--set", "kafka.version=3.9.2"];
    let flavor = [&flavor[..], &["--set", "monitoring.ui=false"]].concat();
    lab.run(&[&["up"], &flavor[..]].concat(), 0)
        .says("is ready: 3 controllers, 3 brokers, 30 partitions");
    lab.run(&["status"], 0).says("controller2");

    let seen = seen_while(&lab, &Prometheus::of(&lab), &WITHOUT_ZOOKEEPER, || {
        lab.run(&[&["drill", "run", "controller-quorum-loss"], &flavor[..]].concat(), 0);
    });
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
