//! Pages that others made: what runs where an image is here, what is said where it is not, and what is registered.
//!
//! No registry with these images is reached where this is developed, so an image that is here stands in for Grafana's:
//! what is tested is what khd does around the page, and not the page.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;
use zookeeper_client::Client;

use crate::support::{Lab, run};

const SETTINGS: &str = "
kafka: {servers: 1}
zookeeper: {servers: 1}
topics: {names: [orders], partitions: 2}
images: {grafana: 'khdtest/grafana:1', manager: 'khd.invalid/kafka-manager:1', kafka-exporter: 'khd.invalid/exporter:1'}
monitoring: {manager: kafka-manager, kafka-exporter: true, interval: 5s}
";

#[test]
fn a_page_runs_where_its_image_is_here_and_what_is_missing_is_named_and_stops_nothing() {
    let _stand_in = StandIn::make();
    let lab = Lab::new("khdtest-ui", 16);
    std::fs::write(lab.folder().join("khd.yaml"), SETTINGS).unwrap();
    let up = lab
        .run(&["up"], 0)
        .says("is ready")
        .says("Prometheus scrapes all of it");
    for missing in ["kafka-manager", "kafka-exporter"] {
        let told = up.stderr.matches(&format!("{missing} does not run: ")).count();
        assert_eq!(told, 1, "{missing} is told once: {}", up.stderr);
    }
    let up = up
        .says("cannot pull image khd.invalid/kafka-manager:1")
        .says("docker pull khd.invalid/kafka-manager:1")
        .says("images: {manager: …}")
        .says("monitoring: {kafka-exporter: false}");
    assert!(!up.stderr.contains("grafana does not run"));

    grafana_has_its_files(&lab);
    let registered = registration(&lab);
    what_is_missing_goes_on_to_be_told(&lab);
    pages_have_addresses(&lab);
    stock_compose_leaves_the_profile_out(&lab);

    let again = lab.run(&["up"], 0);
    assert!(!again.stderr.contains("created"), "{}", again.stderr);
    assert_eq!(registration(&lab), registered, "nothing was written again");
}

/// An image in the place of Grafana's, which does nothing for as long as it is let.
struct StandIn;

impl StandIn {
    const IMAGE: &str = "khdtest/grafana:1";

    fn make() -> Self {
        let docker = |arguments: &[&str]| run("docker", arguments);
        let container = docker(&["create", "khd/nethelper:1"]);
        docker(&["commit", "--change", r#"CMD ["hold"]"#, container.trim(), Self::IMAGE]);
        docker(&["rm", container.trim()]);
        Self
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let removed = Command::new("docker").args(["rmi", "--force", Self::IMAGE]).output();
        assert!(removed.is_ok() || std::thread::panicking());
    }
}

fn grafana_has_its_files(lab: &Lab) {
    let container = format!("{}-grafana-1", lab.project());
    assert_eq!(lab.state_of("grafana"), "running");
    let copy = tempfile::tempdir().unwrap();
    let read = |path: &str| {
        let (from, to) = (format!("{container}:{path}"), copy.path().join("file"));
        lab.docker(&["cp", &from, to.to_str().unwrap()]);
        std::fs::read_to_string(to).unwrap()
    };
    let data_source = read("/etc/grafana/provisioning/datasources/prometheus.yaml");
    assert!(data_source.contains("timeInterval: 5s"), "{data_source}");
    let provider = read("/etc/grafana/provisioning/dashboards/khd.yaml");
    assert!(provider.contains("path: /var/lib/grafana/dashboards"), "{provider}");
    for dashboard in ["ha-overview", "broker", "clients", "zookeeper"] {
        let text = read(&format!("/var/lib/grafana/dashboards/{dashboard}.json"));
        let dashboard: Value = serde_json::from_str(&text).unwrap();
        assert!(dashboard["uid"].is_string());
    }
}

/// What Kafka Manager finds of the cluster in ZooKeeper, and the transaction that wrote it last.
fn registration(lab: &Lab) -> (Value, i64) {
    let address: SocketAddr = lab.published(12181).parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (data, stat) = runtime.block_on(async {
        let client = Client::connect(&address.to_string()).await.unwrap();
        let path = format!("/kafka-manager/configs/{}", lab.project());
        client.get_data(&path).await.unwrap()
    });
    let config: Value = serde_json::from_slice(&data).unwrap();
    // The fields that `ClusterConfig.deserialize` of CMAK demands, and the types that it demands of the others.
    assert_eq!(config["name"], lab.project());
    assert_eq!(config["enabled"], true);
    let curator = &config["curatorConfig"];
    assert_eq!(curator["zkConnect"], "zookeeper1:12181");
    for number in ["zkMaxRetry", "baseSleepTimeMs", "maxSleepTimeMs"] {
        assert!(curator[number].is_u64(), "{curator:#}");
    }
    assert_eq!(config["kafkaVersion"], "0.9.0.1");
    for flag in [
        "jmxEnabled",
        "pollConsumers",
        "activeOffsetCacheEnabled",
        "displaySizeEnabled",
    ] {
        assert!(config[flag].is_boolean(), "{config:#}");
    }
    (config, stat.mzxid)
}

fn what_is_missing_goes_on_to_be_told(lab: &Lab) {
    lab.run(&["status"], 0)
        .says("kafka-manager: image khd.invalid/kafka-manager:1 is not here")
        .says("the lab is healthy");
    let status = lab.run(&["status", "--json"], 0).json();
    let missing = status["missing"].as_array().unwrap().iter();
    let services: Vec<&str> = missing.map(|missing| missing["service"].as_str().unwrap()).collect();
    assert_eq!(services, ["kafka-manager", "kafka-exporter"]);
}

fn pages_have_addresses(lab: &Lab) {
    let address = format!("http://{}/", lab.published(9090));
    assert_eq!(lab.run(&["open", "prometheus"], 0).stdout.trim(), address);
    let address = format!("http://{}/", lab.published(3000));
    assert_eq!(lab.run(&["open", "grafana"], 0).stdout.trim(), address);
    lab.run(&["open", "manager"], 3).says("kafka-manager does not run");
    let list = lab.run(&["open"], 0).stdout;
    for page in ["prometheus", "exporter", "grafana", "kafka-manager", "kafka-exporter"] {
        assert!(list.contains(page), "{list}");
    }
}

fn stock_compose_leaves_the_profile_out(lab: &Lab) {
    std::fs::write(lab.folder().join("compose.yaml"), lab.run(&["render"], 0).stdout).unwrap();
    let file = lab.folder().join("compose.yaml");
    let services = |profile: &[&str]| {
        let mut arguments = vec!["compose", "-f", file.to_str().unwrap()];
        arguments.extend(profile);
        arguments.extend(["config", "--services"]);
        lab.docker(&arguments)
    };
    assert!(!services(&[]).contains("grafana"));
    assert!(services(&["--profile", "ui"]).contains("grafana"));
}
