//! Where monitoring is published.

use std::net::SocketAddr;

use super::{EXPORTER_PORT, GRAFANA_PORT, MANAGER_PORT, PROMETHEUS_PORT};
use crate::settings::{self, Manager};

/// Where the monitoring is published on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitoring {
    /// khd's exporter.
    pub exporter: SocketAddr,
    /// Prometheus.
    pub prometheus: SocketAddr,
    /// The pages that others made, where the lab shall have them.
    pub ui: Option<Ui>,
    /// danielqsj/kafka-exporter, where the lab shall have it too.
    pub kafka_exporter: Option<SocketAddr>,
}

/// Pages that others made, and where they are published on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ui {
    /// Grafana.
    pub grafana: SocketAddr,
    /// Which page the cluster is browsed on.
    pub manager: Manager,
    /// That page.
    pub managed: SocketAddr,
}

impl Monitoring {
    /// What is published under which ports, by `published`; nothing where there is no monitoring.
    pub(super) fn of(settings: &settings::Monitoring, published: impl Fn(u16) -> SocketAddr) -> Option<Self> {
        settings.enabled.then(|| Self {
            exporter: published(exporter_port(settings)),
            prometheus: published(PROMETHEUS_PORT),
            ui: settings.ui.then(|| Ui {
                grafana: published(GRAFANA_PORT),
                manager: settings.manager,
                managed: published(MANAGER_PORT),
            }),
            kafka_exporter: settings.kafka_exporter.then(|| published(EXPORTER_PORT)),
        })
    }

    /// The ports that it publishes, before any offset.
    pub fn ports(settings: &settings::Monitoring) -> Vec<u16> {
        let mut ports = Vec::new();
        if settings.enabled {
            ports.extend([exporter_port(settings), PROMETHEUS_PORT]);
            ports.extend(
                settings
                    .ui
                    .then_some([GRAFANA_PORT, MANAGER_PORT])
                    .into_iter()
                    .flatten(),
            );
            ports.extend(settings.kafka_exporter.then_some(EXPORTER_PORT));
        }
        ports
    }
}

/// Where khd's exporter is published: danielqsj's has the demo's port, where it runs too.
fn exporter_port(settings: &settings::Monitoring) -> u16 {
    if settings.kafka_exporter {
        EXPORTER_PORT - 1
    } else {
        EXPORTER_PORT
    }
}
