//! What a lab tells Prometheus, while a drill breaks it in every way that there is an alert for.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::prometheus::{Prometheus, get};
use crate::support::{Lab, until};

/// Every alert, each fired by a step of this drill. The consumer is paused all the while.
const DRILL: &str = "
name: every-alert
purpose: Whatever there is an alert for happens.
steps:
  - fail: consumer-1
    how: pause
  # It goes on as the controller, since nobody can tell it that its session has ended and another one was elected.
  - fail: controller
    how: block
    traffic: [zookeeper]
  - wait: 30s
  - restore: block
  - wait-until: settled
    within: 60s
  - fail: [zookeeper1, zookeeper2]
    how: stop
  - wait: 10s
  - restore: stop
  - wait-until: settled
    within: 60s
  - fail: controller
    how: kill
  - fail: random
    how: pause
  - wait: 28s
expect:
  lost-write: '= 0'
  # Nobody can write for as long as sessions take to end, nobody reads at all, and none of it is what this is about.
  gap: '<= 150s'
  time-to-recover: '<= 60s'
  availability: '>= 0.5'
";

/// Alerts that the drill fires. UncleanLeaderElection is fired where one is made, in the negative controls.
const FIRED: [&str; 9] = [
    "BrokerDown",
    "ConsumerLagGrows",
    "ManyControllers",
    "NoController",
    "OfflinePartitions",
    "UnderMinIsr",
    "UnderReplicatedPartitions",
    "ZooKeeperQuorumLost",
    "ZooKeeperServerDown",
];

#[test]
fn every_alert_fires_and_resolves_no_scrape_waits_for_a_broker_and_every_panel_has_data() {
    let lab = Lab::new("khdtest-monitoring", 15);
    lab.run(&["up"], 0).says("Prometheus scrapes all of it");
    let prometheus = Prometheus::of(&lab);
    all_is_scraped(&prometheus);
    the_configuration_is_right_and_kafkas_tools_run_beside_the_exporter(&lab);

    std::fs::write(lab.folder().join("every-alert.yaml"), DRILL).unwrap();
    let seen = seen_while(&lab, &prometheus, &["quorum.json"], || {
        lab.run(&["drill", "run", "every-alert.yaml"], 0);
    });
    all_fired(&seen, &FIRED);
    every_panel_had_data(&seen);
    let mut scrapes = seen.scraped.took;
    scrapes.sort();
    // Had one waited for the broker that is paused, so had all while it was, and that is a fifth of the time.
    let slow = scrapes[scrapes.len() * 9 / 10];
    assert!(slow < Duration::from_secs(1), "a scrape of the exporter: {slow:?}");
    let missed = seen.scraped.missed.expect("a broker is missed while it is dead");
    assert!(
        missed < Duration::from_secs(5),
        "a dead broker was missed after {missed:?}"
    );

    until("no alert fires any more", || {
        prometheus.firing().is_empty().then_some(())
    });
    the_exporter_itself_is_missed(&lab, &prometheus);
    let verdicts = prometheus.query("count(khd_verdict)");
    assert_eq!(verdicts.len(), 1, "the verdicts of the run are told");
    assert_eq!(prometheus.query("khd_fault_in_place"), [] as [Value; 0]);
}

fn the_exporter_itself_is_missed(lab: &Lab, prometheus: &Prometheus) {
    let exporter = format!("{}-exporter-1", lab.project());
    lab.docker(&["pause", &exporter]);
    until("it is missed", || {
        prometheus.firing().contains("ExporterDown").then_some(())
    });
    lab.docker(&["unpause", &exporter]);
    until("it is back", || prometheus.firing().is_empty().then_some(()));
}

fn all_is_scraped(prometheus: &Prometheus) {
    until("all of it answers its scrapes", || {
        (prometheus.query("up == 1").len() == 10).then_some(())
    });
    assert_eq!(prometheus.query("up").len(), 10);
    // Everything was scraped, but perhaps before all of it was ready: the next scrape tells. Besides the topics' 30 partitions
    // there are the 6 of __consumer_offsets.
    for (query, value) in [
        ("sum(kafka_controller_kafkacontroller_activecontrollercount)", "1"),
        ("sum(kafka_server_replicamanager_leadercount)", "36"),
        ("sum(kafka_consumergroup_members)", "1"),
    ] {
        until(query, || {
            let result = prometheus.query(query);
            (result.len() == 1 && result[0]["value"][1] == value).then_some(())
        });
    }
    until("a scrape of a server takes less than half a second", || {
        let scrape = prometheus.number(r#"quantile(0.5, scrape_duration_seconds{job=~"brokers|zookeeper"})"#);
        (scrape < 0.5).then_some(())
    });
    // A server that took its time to start may have been missed meanwhile.
    until("every alert has resolved", || {
        prometheus.firing().is_empty().then_some(())
    });
}

fn the_configuration_is_right_and_kafkas_tools_run_beside_the_exporter(lab: &Lab) {
    let container = |service: &str| format!("{}-{service}-1", lab.project());
    let check = [
        "exec",
        &container("prometheus"),
        "/bin/promtool",
        "check",
        "config",
        "/etc/prometheus/prometheus.yml",
    ];
    let said = lab.docker(&check);
    assert!(said.contains("is valid prometheus config file syntax"), "{said}");
    let kafka1 = container("kafka1");
    let topics = [
        "exec",
        &kafka1,
        "kafka-topics",
        "--bootstrap-server",
        "kafka1:19092",
        "--list",
    ];
    assert!(lab.docker(&topics).contains("test-1"));
}

#[track_caller]
pub fn all_fired(seen: &Seen, alerts: &[&str]) {
    let missing: Vec<&&str> = alerts.iter().filter(|name| !seen.fired.contains(**name)).collect();
    assert_eq!(missing, [&""; 0], "fired: {:?}", seen.fired);
}

#[track_caller]
pub fn every_panel_had_data(seen: &Seen) {
    let empty = seen.panels.iter().filter(|(_, data)| !**data);
    let empty: Vec<&String> = empty.map(|(panel, _)| panel).collect();
    assert_eq!(empty, [""; 0], "panels without data");
}

/// What was seen while the drill went on.
pub struct Seen {
    fired: BTreeSet<String>,
    scraped: Scraped,
    /// Whether a query of a panel ever gave data.
    panels: BTreeMap<String, bool>,
}

/// What was seen of the exporter.
#[derive(Default)]
struct Scraped {
    /// How long each scrape took.
    took: Vec<Duration>,
    /// How long after the kill a broker was missed.
    missed: Option<Duration>,
}

/// Looks at alerts, scrapes and dashboards, without what the lab does not have, until the work is done.
pub fn seen_while(lab: &Lab, prometheus: &Prometheus, without: &[&str], work: impl FnOnce()) -> Seen {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let scraping = scope.spawn(|| scrape(lab, &over));
        let asking = scope.spawn(|| ask(prometheus, without, &over));
        // Whatever becomes of the work, the others shall end.
        let done = std::panic::catch_unwind(AssertUnwindSafe(work));
        over.store(true, Ordering::SeqCst);
        let (scraped, (fired, panels)) = (scraping.join().unwrap(), asking.join().unwrap());
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Seen { fired, scraped, panels }
    })
}

/// Looks at the exporter.
fn scrape(lab: &Lab, over: &AtomicBool) -> Scraped {
    let exporter = lab.published(9308);
    let mut scraped = Scraped::default();
    let mut killed: Option<Instant> = None;
    while !over.load(Ordering::SeqCst) {
        let begun = Instant::now();
        let told = get(&exporter, "/metrics");
        scraped.took.push(begun.elapsed());
        if killed.is_none() && told.contains(r#"khd_fault_in_place{fault="kill""#) {
            killed = Some(Instant::now());
        }
        if let Some(killed) = killed
            && !told.contains("kafka_brokers 3")
        {
            scraped.missed.get_or_insert(killed.elapsed());
        }
        // Between two looks; the drill's end ends them.
        std::thread::sleep(Duration::from_millis(500));
    }
    scraped
}

/// Looks at alerts, and at the panels that have had no data yet.
fn ask(prometheus: &Prometheus, without: &[&str], over: &AtomicBool) -> (BTreeSet<String>, BTreeMap<String, bool>) {
    let panels = panels(without);
    let (mut fired, mut with_data) = (BTreeSet::new(), BTreeMap::new());
    while !over.load(Ordering::SeqCst) {
        fired.extend(prometheus.firing());
        for (name, query) in &panels {
            let data: &mut bool = with_data.entry(name.clone()).or_default();
            // One that has had data is not asked again.
            *data = *data || !prometheus.query(query).is_empty();
        }
        // Between two looks; the drill's end ends them.
        std::thread::sleep(Duration::from_millis(500));
    }
    (fired, with_data)
}

/// Every query of every panel of the dashboards, by dashboard and panel, with what Grafana would put in its variables;
/// without those that are named.
fn panels(without: &[&str]) -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for entry in std::fs::read_dir("grafana/dashboards").unwrap() {
        let path = entry.unwrap().path();
        let dashboard: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                let query = target["expr"].as_str().unwrap();
                let query = query.replace("$__rate_interval", "30s").replace("$server", ".*");
                assert!(!query.contains('$'), "{file}: a variable that nobody fills: {query}");
                let name = format!("{file}: {}: {query}", panel["title"].as_str().unwrap());
                if without.iter().any(|part| name.contains(part)) {
                    continue;
                }
                queries.push((name, query));
            }
        }
    }
    assert!(queries.len() > 100, "{}", queries.len());
    queries
}
