//! Services of the profile `ui`: pages and an exporter that others made, of which khd has no recipe.
//!
//! Stock Compose leaves them out unless it is asked for the profile; khd starts them where their images can be had.

use include_dir::{Dir, include_dir};

use super::images::References;
use super::monitoring::as_kfkmon;
use super::{base, environment, flag, healthy, port};
use crate::compose::model::{ComposeFile, Config, ConfigMount, Service};
use crate::settings::{Manager, Settings, duration};
use crate::topology::{EXPORTER_PORT, GRAFANA, GRAFANA_PORT, KAFKA_EXPORTER, MANAGER_PORT, Topology, Ui};

/// Image of Grafana: the version whose types the dashboards are checked against.
pub(super) const GRAFANA_IMAGE: &str = "grafana/grafana:12.4.11";
/// Image of danielqsj/kafka-exporter.
pub(super) const KAFKA_EXPORTER_IMAGE: &str = "danielqsj/kafka-exporter:v1.9.0";
/// The profile.
const PROFILE: &str = "ui";
/// Port of kafka-ui in its container.
const KAFKA_UI_PORT: u16 = 8080;
/// Where Grafana looks for its provisioning.
const PROVISIONING: &str = "/etc/grafana/provisioning";
/// Where the provisioning says that dashboards are.
const DASHBOARDS: &str = "/var/lib/grafana/dashboards";
/// Data source and dashboards.
static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/grafana");

/// The image of a manager.
pub(super) fn manager_image(manager: Manager) -> &'static str {
    match manager {
        Manager::KafkaUi => "ghcr.io/kafbat/kafka-ui:v1.5.0",
        Manager::KafkaManager => "sheepkiller/kafka-manager:latest",
    }
}

/// Adds the services of the profile, where the lab shall have them.
pub(super) fn add(file: &mut ComposeFile, settings: &Settings, topology: &Topology, images: &References) {
    let Some(monitoring) = &topology.monitoring else { return };
    if let Some(ui) = &monitoring.ui {
        let files = files(settings, topology);
        let service = Service {
            environment: grafana_environment(),
            ports: vec![port(topology, GRAFANA_PORT, ui.grafana.port())],
            configs: files.iter().map(|(mount, _)| mount.clone()).collect(),
            ..in_profile(&images.grafana)
        };
        super::add(file, GRAFANA, service);
        let configs = files.into_iter().map(|(mount, config)| (mount.source, config));
        file.configs.extend(configs);
        super::add(file, ui.manager.service(), manager(topology, ui, images));
    }
    if let Some(published) = monitoring.kafka_exporter {
        let brokers = topology.brokers.iter();
        let servers =
            brokers.map(|broker| flag("kafka.server", format!("{}:{}", broker.service, broker.internal_port)));
        let mut service = Service {
            command: servers.collect(),
            ports: vec![port(topology, EXPORTER_PORT, published.port())],
            // It exits when it finds no broker at its start.
            depends_on: topology.brokers.iter().map(|broker| healthy(&broker.service)).collect(),
            mem_limit: "128m".into(),
            ..in_profile(&images.kafka_exporter)
        };
        as_kfkmon(&mut service);
        super::add(file, KAFKA_EXPORTER, service);
    }
}

fn in_profile(image: &str) -> Service {
    Service {
        profiles: vec![PROFILE.into()],
        stop_grace_period: "5s".into(),
        ..base(image, "512m")
    }
}

/// Anyone who reaches the page may look, and nobody can log in: there is not even an administrator. Nothing is asked of,
/// or told to, the outside.
fn grafana_environment() -> indexmap::IndexMap<String, String> {
    let home = format!("{DASHBOARDS}/ha-overview.json");
    environment(
        [
            ("GF_AUTH_ANONYMOUS_ENABLED", "true"),
            ("GF_AUTH_ANONYMOUS_ORG_ROLE", "Viewer"),
            ("GF_AUTH_DISABLE_LOGIN_FORM", "true"),
            ("GF_AUTH_BASIC_ENABLED", "false"),
            ("GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION", "true"),
            ("GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH", &home),
            // Dashboards of a lab that is scraped every 2 s ask every 2 s.
            ("GF_DASHBOARDS_MIN_REFRESH_INTERVAL", "1s"),
            ("GF_ANALYTICS_REPORTING_ENABLED", "false"),
            ("GF_ANALYTICS_CHECK_FOR_UPDATES", "false"),
            ("GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES", "false"),
            ("GF_PLUGINS_PREINSTALL_DISABLED", "true"),
            ("GF_SNAPSHOTS_EXTERNAL_ENABLED", "false"),
        ]
        .map(|(name, value)| (name, value.to_owned())),
    )
}

/// Grafana's files, and where each is mounted. There is no dashboard of what the lab does not have.
fn files(settings: &Settings, topology: &Topology) -> Vec<(ConfigMount, Config)> {
    let has = |name: &str| match name {
        "zookeeper.json" => !topology.zookeepers.is_empty(),
        "quorum.json" => !topology.controllers.is_empty(),
        _ => true,
    };
    let interval = format!("timeInterval: {}", duration::format(settings.monitoring.interval));
    let mut files = Vec::new();
    for (folder, target) in [
        ("provisioning/datasources", PROVISIONING),
        ("provisioning/dashboards", PROVISIONING),
        ("dashboards", DASHBOARDS),
    ] {
        for file in FILES.get_dir(folder).into_iter().flat_map(Dir::files) {
            let (Some(text), Some(name)) = (file.contents_utf8(), file.path().file_name()) else {
                continue;
            };
            let name = name.to_string_lossy();
            if !has(&name) {
                continue;
            }
            let target = match folder.strip_prefix("provisioning/") {
                Some(kind) => format!("{target}/{kind}/{name}"),
                None => format!("{target}/{name}"),
            };
            let mount = ConfigMount {
                source: format!("grafana-{}", name.replace('.', "-")),
                target,
            };
            let content = text.replace("timeInterval: 2s", &interval);
            files.push((
                mount,
                Config {
                    content: compact(content),
                },
            ));
        }
    }
    files
}

/// JSON without white space, so that a rendered lab can still be read; what is none, as it is.
fn compact(text: String) -> String {
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(value) => value.to_string(),
        Err(_) => text,
    }
}

fn manager(topology: &Topology, ui: &Ui, images: &References) -> Service {
    let (environment, target) = match ui.manager {
        Manager::KafkaUi => (
            environment([
                ("KAFKA_CLUSTERS_0_NAME", topology.project.clone()),
                ("KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS", topology.internal_bootstrap()),
                ("JAVA_OPTS", "-Xmx256m".into()),
            ]),
            KAFKA_UI_PORT,
        ),
        Manager::KafkaManager => (
            environment([
                ("ZK_HOSTS", topology.zookeeper_connect()),
                ("JAVA_OPTS", "-Xmx256m".into()),
            ]),
            MANAGER_PORT,
        ),
    };
    Service {
        environment,
        ports: vec![port(topology, target, ui.managed.port())],
        ..in_profile(&images.manager)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::compose::render::render;
    use crate::settings::Flavor;
    use crate::topology::{PROMETHEUS, PROMETHEUS_PORT};

    fn rendered(change: impl FnOnce(&mut Settings)) -> ComposeFile {
        let mut settings = Settings::default();
        change(&mut settings);
        render(&settings, &Topology::of(&settings))
    }

    #[test]
    fn only_what_khd_has_no_recipe_for_is_in_a_profile() {
        let file = rendered(|s| s.monitoring.kafka_exporter = true);
        let names: Vec<&str> = file.with_profile().collect();
        assert_eq!(names, ["grafana", "kafka-ui", "kafka-exporter"]);
        assert!(
            file.without_profiles()
                .services
                .values()
                .all(|s| s.image.starts_with("khd/"))
        );
        let without = rendered(|s| s.monitoring.ui = false);
        assert_eq!(without.with_profile().count(), 0);
        assert!(!without.configs.keys().any(|key| key.starts_with("grafana")));
    }

    #[test]
    fn grafana_finds_its_data_source_and_every_dashboard_where_its_provisioning_says() {
        let file = rendered(|s| s.monitoring.interval = Duration::from_secs(15));
        let mounts = &file.services["grafana"].configs;
        let targets =
            |mounts: &[ConfigMount]| -> BTreeSet<String> { mounts.iter().map(|mount| mount.target.clone()).collect() };
        let on = |keeper: &str| {
            [
                "/etc/grafana/provisioning/dashboards/khd.yaml",
                "/etc/grafana/provisioning/datasources/prometheus.yaml",
                "/var/lib/grafana/dashboards/broker.json",
                "/var/lib/grafana/dashboards/clients.json",
                "/var/lib/grafana/dashboards/ha-overview.json",
                keeper,
            ]
            .map(str::to_owned)
            .into()
        };
        assert_eq!(targets(mounts), on("/var/lib/grafana/dashboards/zookeeper.json"));
        for flavor in [Flavor::Kraft, Flavor::KraftSeparate] {
            let file = rendered(|s| s.flavor = flavor);
            let mounts = &file.services["grafana"].configs;
            assert_eq!(targets(mounts), on("/var/lib/grafana/dashboards/quorum.json"));
        }
        let content = |target: &str| {
            let mount = mounts.iter().find(|mount| mount.target.ends_with(target)).unwrap();
            &file.configs[&mount.source].content
        };
        assert!(content("khd.yaml").contains(&format!("path: {DASHBOARDS}\n")));
        assert!(content("prometheus.yaml").contains("timeInterval: 15s\n"));
        assert!(content("ha-overview.json").starts_with('{') && !content("ha-overview.json").contains('\n'));
    }

    /// Fields of a data source and of a dashboard provider, with their types, as Grafana's documentation of provisioning has
    /// them ("Provision Grafana": Data sources, Example data source configuration file; Dashboards). A field that it does not
    /// have is one that Grafana does not read.
    mod documented {
        use serde::Deserialize;

        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "camelCase")]
        pub struct DataSources {
            pub api_version: u32,
            pub datasources: Vec<DataSource>,
        }

        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "camelCase")]
        pub struct DataSource {
            pub name: String,
            pub uid: String,
            pub r#type: String,
            pub access: String,
            pub url: String,
            pub is_default: bool,
            pub editable: bool,
            pub json_data: JsonData,
        }

        /// Those of Prometheus.
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "camelCase")]
        pub struct JsonData {
            pub http_method: String,
            pub time_interval: String,
        }

        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "camelCase")]
        pub struct Providers {
            pub api_version: u32,
            pub providers: Vec<Provider>,
        }

        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "camelCase")]
        pub struct Provider {
            pub name: String,
            pub r#type: String,
            pub folder: String,
            pub allow_ui_updates: bool,
            pub disable_deletion: bool,
            pub update_interval_seconds: u32,
            pub options: Options,
        }

        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Options {
            pub path: String,
        }
    }

    #[test]
    fn the_provisioning_has_the_documented_fields_and_names_what_the_lab_has() {
        let file = rendered(|_| {});
        let content = |key: &str| file.configs[key].content.as_str();
        let sources: documented::DataSources = serde_yaml::from_str(content("grafana-prometheus-yaml")).unwrap();
        let [source] = &sources.datasources[..] else {
            panic!("{sources:?}")
        };
        assert_eq!(sources.api_version, 1);
        assert_eq!(
            (source.r#type.as_str(), source.access.as_str()),
            ("prometheus", "proxy")
        );
        assert_eq!(
            (source.name.as_str(), source.uid.as_str()),
            ("Prometheus", "khd-prometheus")
        );
        assert_eq!(source.url, format!("http://{PROMETHEUS}:{PROMETHEUS_PORT}"));
        assert!(source.is_default && !source.editable);
        assert!(["GET", "POST"].contains(&source.json_data.http_method.as_str()));
        assert_eq!(source.json_data.time_interval, "2s");

        let providers: documented::Providers = serde_yaml::from_str(content("grafana-khd-yaml")).unwrap();
        let [provider] = &providers.providers[..] else {
            panic!("{providers:?}")
        };
        assert_eq!(providers.api_version, 1);
        assert_eq!((provider.name.as_str(), provider.folder.as_str()), ("khd", "khd"));
        assert_eq!(
            (provider.r#type.as_str(), provider.options.path.as_str()),
            ("file", DASHBOARDS)
        );
        assert!(provider.disable_deletion && !provider.allow_ui_updates);
        assert!(provider.update_interval_seconds > 0);
        for dashboard in FILES.get_dir("dashboards").unwrap().files() {
            let name = dashboard.path().display();
            let dashboard: serde_json::Value = serde_json::from_slice(dashboard.contents()).unwrap();
            assert!(dashboard["id"].is_null() && dashboard["uid"].is_string(), "{name}");
            assert!(dashboard.get("__inputs").is_none(), "{name}");
            assert!(
                dashboard.to_string().contains(&source.uid),
                "{name} asks the data source"
            );
        }
    }

    #[test]
    fn the_manager_is_a_setting_and_knows_the_cluster() {
        let default = rendered(|_| {});
        let kafka_ui = &default.services["kafka-ui"];
        assert_eq!(
            kafka_ui.environment["KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS"],
            "kafka1:19092,kafka2:29092,kafka3:39092"
        );
        let file = rendered(|s| s.monitoring.manager = Manager::KafkaManager);
        let manager = &file.services["kafka-manager"];
        assert_eq!(
            manager.environment["ZK_HOSTS"],
            "zookeeper1:12181,zookeeper2:22181,zookeeper3:32181"
        );
        for service in [kafka_ui, manager] {
            assert_eq!(service.ports[0].published, "9000");
        }
    }

    #[test]
    fn danielqsjs_exporter_has_its_name_and_alias_and_a_job_of_its_own() {
        let file = rendered(|s| s.monitoring.kafka_exporter = true);
        let aliases = |service: &str| file.services[service].networks["kafka-net"].aliases.clone();
        assert_eq!(aliases("kafka-exporter"), ["kfkmon"]);
        assert!(aliases("exporter").is_empty());
        let prometheus = &file.configs["prometheus-yml"].content;
        assert!(prometheus.contains("targets: [exporter:9308]") && prometheus.contains("targets: [kfkmon:9308]"));
    }
}
