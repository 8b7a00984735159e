//! Who watches the lab: khd's exporter, and a Prometheus that collects what all the others serve.

use std::time::Duration;

use include_dir::{Dir, include_dir};

use super::images::{self, PROMETHEUS_IMAGE, References};
use super::{base, flag, port, volume};
use crate::compose::model::{ComposeFile, Config, ConfigMount, Service};
use crate::settings::Settings;
use crate::topology::{EXPORTER, EXPORTER_PORT, JMX_EXPORTER_PORT, PROMETHEUS, PROMETHEUS_PORT, Topology};

/// What Prometheus reads.
static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/compose/monitoring");
/// The exporter's name in the demo.
const KFKMON: &str = "kfkmon";
/// Where the exporter finds what khd tells it of the lab.
pub const NOTICE_PATH: &str = "/var/lib/khd/notice.json";
/// How long a scrape may take at most, as Prometheus has it by itself.
const LONGEST_SCRAPE: Duration = Duration::from_secs(10);
/// Where Prometheus looks for its configuration.
const ETC: &str = "/etc/prometheus";

/// Adds the services that watch the lab, where it shall have them.
pub(super) fn add(file: &mut ComposeFile, settings: &Settings, topology: &Topology, images: &References) {
    let Some(published) = &topology.monitoring else { return };
    super::add(file, EXPORTER, exporter(topology, images, published.exporter.port()));
    let configs = configs(settings, topology, images);
    let mounts = configs.iter().map(|(path, _)| ConfigMount {
        source: key(path),
        target: format!("{ETC}/{path}"),
    });
    let service = prometheus(topology, published.prometheus.port(), mounts.collect());
    super::add(file, PROMETHEUS, service);
    let configs = configs
        .into_iter()
        .map(|(path, content)| (key(&path), Config { content }));
    file.configs.extend(configs);
}

fn exporter(topology: &Topology, images: &References, published: u16) -> Service {
    let brokers = topology.brokers.iter();
    let brokers: Vec<String> = brokers
        .map(|broker| format!("{}@{}:{}", broker.id, broker.service, broker.internal_port))
        .collect();
    let mut service = Service {
        command: vec![
            "exporter".into(),
            flag("brokers", brokers.join(",")),
            flag("listen", format!("0.0.0.0:{EXPORTER_PORT}")),
            flag("notice", NOTICE_PATH.into()),
            flag("log-format", "json".into()),
        ],
        ports: vec![port(topology, EXPORTER_PORT, published)],
        stop_grace_period: "5s".into(),
        ..base(&images.khd, "128m")
    };
    if !topology.zookeepers.is_empty() {
        service.command.push(flag("zookeepers", topology.zookeeper_connect()));
    }
    if !topology.controllers.is_empty() {
        service.command.push(flag("controllers", topology.quorum_voters()));
    }
    if !beside_kafka_exporter(topology) {
        as_kfkmon(&mut service);
    }
    service
}

/// Lets others find it by the name that the exporter has in the demo.
pub(super) fn as_kfkmon(service: &mut Service) {
    for attachment in service.networks.values_mut() {
        attachment.aliases.push(KFKMON.into());
    }
}

/// Whether danielqsj/kafka-exporter runs too, which then has the demo's name and port.
fn beside_kafka_exporter(topology: &Topology) -> bool {
    let monitoring = topology.monitoring.as_ref();
    monitoring.is_some_and(|monitoring| monitoring.kafka_exporter.is_some())
}

fn prometheus(topology: &Topology, published: u16, configs: Vec<ConfigMount>) -> Service {
    Service {
        command: vec![
            flag("config.file", format!("{ETC}/prometheus.yml")),
            flag("storage.tsdb.path", "/prometheus".into()),
            // A lab of days stays small.
            flag("storage.tsdb.retention.size", "1GB".into()),
        ],
        ports: vec![port(topology, PROMETHEUS_PORT, published)],
        volumes: vec![volume("prometheus-data", "/prometheus")],
        configs,
        stop_grace_period: "10s".into(),
        ..base(PROMETHEUS_IMAGE, "512m")
    }
}

/// Key of the config that holds a file.
fn key(path: &str) -> String {
    path.replace(['/', '.'], "-")
}

/// The files that Prometheus reads, by path, filled with what the lab is.
fn configs(settings: &Settings, topology: &Topology, images: &References) -> Vec<(String, String)> {
    let serving = |image: &str, services: &mut dyn Iterator<Item = &String>| {
        let targets = services.map(|service| format!("{service}:{JMX_EXPORTER_PORT}"));
        // Images of others have no such exporter.
        let targets: Vec<String> = targets.filter(|_| images::is_own(image)).collect();
        targets.join(", ")
    };
    let mut brokers = topology.brokers.iter().map(|broker| &broker.service);
    let mut zookeepers = topology.zookeepers.iter().map(|server| &server.service);
    // Those in combined mode are scraped as brokers.
    let mut controllers = topology.separate_controllers().map(|controller| &controller.service);
    // A scrape that hangs must be over before the next one.
    let interval = settings.monitoring.interval;
    let timeout = interval.mul_f64(0.75).min(LONGEST_SCRAPE);
    let kfkmon = format!("{KFKMON}:{EXPORTER_PORT}");
    let (exporter, kafka_exporter) = if beside_kafka_exporter(topology) {
        (format!("{EXPORTER}:{EXPORTER_PORT}"), kfkmon)
    } else {
        (kfkmon, String::new())
    };
    let values = [
        ("${EXPORTER}", exporter),
        ("${KAFKA_EXPORTER}", kafka_exporter),
        ("${INTERVAL}", format!("{}ms", interval.as_millis())),
        ("${TIMEOUT}", format!("{}ms", timeout.as_millis())),
        ("${BROKERS}", serving(&images.kafka, &mut brokers)),
        ("${CONTROLLERS}", serving(&images.kafka, &mut controllers)),
        ("${ZOOKEEPERS}", serving(&images.zookeeper, &mut zookeepers)),
    ];
    let files = ["prometheus.yml", "rules/recording.yml", "rules/alerts.yml"];
    let filled = files.into_iter().filter_map(|path| {
        let text = FILES.get_file(path)?.contents_utf8()?.to_owned();
        let text = values
            .iter()
            .fold(text, |text, (name, value)| text.replace(name, value));
        Some((path.to_owned(), text))
    });
    filled.collect()
}
