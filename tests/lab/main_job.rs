//! The main job: up, scale, fail, verify, down, and what stock tools say of the lab meanwhile.

use std::io::Write as _;
use std::process::{Command, Stdio};

use khd::timeline::event::{Event, Kind, Success};
use serde_json::Value;

use crate::schema;
use crate::support::{Lab, run, status};

#[test]
fn a_cluster_comes_up_is_scaled_loses_servers_one_by_one_and_keeps_every_acknowledged_message() {
    let lab = Lab::new("khdtest-main", 1);
    lab.run(&["up"], 0)
        .says("is ready: 3 ZooKeeper servers, 3 brokers, 30 partitions");
    stock_tools_see_the_lab(&lab);

    let again = lab.run(&["up"], 0);
    assert!(
        !again.stderr.contains("created"),
        "a second up changes nothing: {}",
        again.stderr
    );

    lab.run(&["scale", "producer=2"], 0)
        .says("2 producers and 1 consumers run");
    a_second_khd_is_told_who_works_on_the_lab(&lab);

    let stopped = lab.run(&["fail", "kafka2", "--json"], 0).json();
    assert_eq!(stopped["status"], "passed");
    assert_eq!(stopped["faults"][0]["targets"][0], "kafka2");
    for id in [
        "fault-effective",
        "leaders-moved",
        "isr-shrunk",
        "isr-restored",
        "leaders-balanced",
        "one-controller",
        "group-recovered",
        "progress",
        "gap",
        "lost-write",
        "duplicate",
        "reorder",
    ] {
        assert_eq!(status(&stopped, id), "passed", "{id}");
    }
    the_run_can_be_read_from_its_folder(&lab, &stopped);
    the_run_is_reported_in_every_format_and_without_an_engine(&lab, &stopped);

    lab.run(&["scale", "producer=1", "consumer=2"], 0)
        .says("1 producers and 2 consumers run");
    let killed = lab.run(&["fail", "kafka2", "--how", "kill", "--json"], 0).json();
    assert_eq!(killed["status"], "passed");
    the_timeline_tells_what_clients_went_through(&lab, &killed);
    let acknowledged = |report: &Value| {
        let verdicts = report["verdicts"].as_array().unwrap();
        let lost = verdicts.iter().find(|v| v["id"] == "lost-write").unwrap();
        lost["measured"]["acknowledged"].as_u64().unwrap()
    };
    assert!(
        acknowledged(&killed) > acknowledged(&stopped),
        "what the removed producer was told is still judged"
    );

    let zookeeper = lab.run(&["fail", "zookeeper1", "--for", "5s", "--json"], 0).json();
    assert_eq!(zookeeper["status"], "passed");
    assert_eq!(status(&zookeeper, "leaders-moved"), "skipped");

    let verified = lab.run(&["verify", "--json"], 0).json();
    assert_eq!(verified["status"], "passed");
    assert_eq!(status(&verified, "fault-effective"), "skipped");

    lab.run(&["down"], 0).says("is gone");
    assert_eq!(lab.left(), [""; 0]);
    lab.run(&["down"], 0).says("nothing to remove");

    data_outlives_the_lab_only_when_the_settings_say_so(&lab);
}

fn data_outlives_the_lab_only_when_the_settings_say_so(lab: &Lab) {
    let settings = "data: keep\nkafka: {servers: 1}\nzookeeper: {servers: 1}\ntopics: {names: [kept], partitions: 2}\n";
    std::fs::write(lab.folder().join("khd.yaml"), settings).unwrap();
    lab.run(&["up"], 0);
    lab.run(&["down"], 0).says("data is kept");
    assert!(!lab.left().is_empty());
    // Taken back with the old data: what was acknowledged before is still there.
    lab.run(&["up"], 0);
    lab.run(&["verify"], 0);
    lab.docker(&["compose", "-p", lab.project(), "down", "-v"]);
    assert_eq!(lab.left(), [""; 0]);
}

fn stock_tools_see_the_lab(lab: &Lab) {
    let metadata: Value = serde_json::from_str(&run("kcat", &["-b", &lab.published(19092), "-L", "-J"])).unwrap();
    assert_eq!(metadata["brokers"].as_array().unwrap().len(), 3);
    let topics: Vec<&Value> = metadata["topics"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|topic| topic["topic"].as_str().unwrap().starts_with("test-"))
        .collect();
    assert_eq!(topics.len(), 5);
    for topic in topics {
        let partitions = topic["partitions"].as_array().unwrap();
        assert_eq!(partitions.len(), 6);
        assert!(
            partitions
                .iter()
                .all(|partition| partition["isrs"].as_array().unwrap().len() == 3)
        );
    }

    let rendered = lab.run(&["render"], 0).stdout;
    let mut compose = Command::new("docker")
        .args(["compose", "-f", "-", "config", "-q"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    compose.stdin.take().unwrap().write_all(rendered.as_bytes()).unwrap();
    assert!(compose.wait().unwrap().success(), "Compose refuses what khd renders");

    let listed = lab.docker(&["compose", "-p", lab.project(), "ps", "-a", "--format", "{{.Service}}"]);
    let mut services: Vec<&str> = listed.lines().collect();
    services.sort_unstable();
    let expected = [
        "consumer",
        "exporter",
        "kafka1",
        "kafka2",
        "kafka3",
        "producer",
        "prometheus",
        "zookeeper1",
        "zookeeper2",
        "zookeeper3",
    ];
    assert_eq!(services, expected);

    let logs = lab.docker(&["compose", "-p", lab.project(), "logs", "--tail", "1", "kafka1"]);
    assert!(logs.contains("kafka1-1"), "{logs}");
    for (action, state) in [("stop", "exited"), ("start", "running")] {
        lab.docker(&["compose", "-p", lab.project(), action, "kafka3"]);
        assert_eq!(lab.state_of("kafka3"), state);
    }
    lab.run(&["restore"], 0)
        .says("no fault was in place")
        .says("the lab is whole");

    let status = lab.run(&["status", "--json"], 0).json();
    assert_eq!(status["healthy"], true);
    assert_eq!(status["partitions"], 30);
    lab.run(&["ps"], 0).says("khdtest-main-kafka2-1");
    lab.run(&["logs", "--tail", "3", "producer"], 0).says("producer-1");
}

fn a_second_khd_is_told_who_works_on_the_lab(lab: &Lab) {
    let mut first = lab.start(&["fail", "zookeeper2", "--for", "3s"]);
    first.until("check that the lab is healthy");
    lab.run(&["scale", "producer=1"], 3)
        .says("another khd is working on this lab: `khd fail zookeeper2 --for 3s`");
    first.ends(Some(0));
}

fn the_timeline_tells_what_clients_went_through(lab: &Lab, report: &Value) {
    let run = lab.folder().join("khd/runs").join(report["run"].as_str().unwrap());
    let timeline = khd::timeline::record::read(&run.join("timeline.jsonl")).unwrap();
    assert_eq!(schema::holds_run(&run), timeline.len());
    let seen = |source: &str, what: &str, is: &dyn Fn(&Kind) -> bool| {
        let found = timeline.iter().any(|event| event.source == source && is(&event.kind));
        assert!(found, "{source} tells of no {what}");
    };
    // What kafka2 led has no leader until its session has expired.
    let long = |kind: &Kind| matches!(kind, Kind::GapClosed { from, to, .. } if to - from > 5_000);
    seen("producer-1", "long gap", &long);
    seen("producer-1", "gap that opens", &|kind| {
        matches!(kind, Kind::GapOpened { .. })
    });
    seen("producer-1", "error", &|kind| matches!(kind, Kind::ClientError { .. }));
    for consumer in ["consumer-1", "consumer-2"] {
        a_gap_of_deliveries_opens_and_ends(&timeline, consumer);
    }
    for service in ["zookeeper1", "kafka1", "producer", "consumer"] {
        seen(
            "engine",
            service,
            &|kind| matches!(kind, Kind::Resources { service: of, memory, .. } if of == service && *memory > 0),
        );
    }
}

fn a_gap_of_deliveries_opens_and_ends(timeline: &[Event], consumer: &str) {
    let mut told = timeline
        .iter()
        .filter(|event| event.source == consumer)
        .map(|event| &event.kind);
    let opened = told.find_map(|kind| match kind {
        Kind::GapOpened {
            of: Success::Delivery,
            topic,
            partition,
            ..
        } => Some((topic.clone(), *partition)),
        _ => None,
    });
    let opened = opened.unwrap_or_else(|| panic!("{consumer} tells of no gap of deliveries"));
    let ended = told.any(|kind| match kind {
        Kind::GapClosed {
            of: Success::Delivery,
            topic,
            partition,
            ..
        } => (topic, partition) == (&opened.0, &opened.1),
        // With the group's coordinator gone, a consumer loses its partitions before anything is delivered on them again.
        Kind::PartitionsRevoked { partitions, .. } => partitions.contains(&opened),
        _ => false,
    });
    assert!(ended, "{consumer}: the gap on {opened:?} has no end");
}

fn the_run_can_be_read_from_its_folder(lab: &Lab, report: &Value) {
    let run = lab.folder().join("khd/runs").join(report["run"].as_str().unwrap());
    let timeline = khd::timeline::record::read(&run.join("timeline.jsonl")).unwrap();
    assert!(timeline.len() > 100);
    assert_eq!(schema::holds_run(&run), timeline.len());
    let recorded: Value = serde_json::from_slice(&std::fs::read(run.join("verdicts.json")).unwrap()).unwrap();
    assert_eq!(recorded, *report);
    for file in ["compose.yaml", "log.json", "logs/kafka2-1.log"] {
        assert!(std::fs::metadata(run.join(file)).unwrap().len() > 0, "{file}");
    }
    let ledgers: Vec<String> = std::fs::read_dir(run.join("ledgers"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        ledgers.iter().filter(|name| name.starts_with("producer-")).count(),
        2,
        "{ledgers:?}"
    );
}

fn the_run_is_reported_in_every_format_and_without_an_engine(lab: &Lab, report: &Value) {
    let latest = |format: &str| lab.run(&["report", "latest", "--format", format], 0).stdout;
    let xml = latest("junit");
    let document = roxmltree::Document::parse(&xml).unwrap();
    let cases = document.descendants().filter(|node| node.has_tag_name("testcase"));
    let cases: Vec<&str> = cases.map(|case| case.attribute("name").unwrap()).collect();
    let checks = lab.run(&["checks", "--json"], 0).json();
    let checks = checks.as_array().unwrap();
    let ids: Vec<&str> = checks.iter().map(|check| check["id"].as_str().unwrap()).collect();
    assert_eq!(cases, ids);

    let (markdown, html) = (latest("markdown"), latest("html"));
    for id in ids {
        assert!(markdown.contains(id), "{id}: {markdown}");
        assert!(html.contains(id), "{id}");
    }
    assert!(html.starts_with("<!") && html.trim_end().ends_with("</html>"));
    let json: Value = serde_json::from_str(&latest("json")).unwrap();
    assert_eq!(json, *report);
    assert_eq!(lab.run(&["runs", "--json"], 0).json()[0]["run"], report["run"]);

    let mut nowhere = lab.khd(&["report", "latest", "--json"]);
    let judged = nowhere.env("DOCKER_HOST", "unix:///nonexistent").output().unwrap();
    assert!(judged.status.success(), "{judged:?}");
    let run = lab.folder().join("khd/runs").join(report["run"].as_str().unwrap());
    assert_eq!(judged.stdout, std::fs::read(run.join("verdicts.json")).unwrap());
}
