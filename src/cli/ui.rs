//! The services of the profile `ui`: pages and an exporter that others made, which run where their images can be had.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::cli::lab::{Lab, unless_interrupted};
use crate::cli::terminal::Steps;
use crate::engine::{Progress, Project, converge, images, preflight};
use crate::kafka::manager;
use crate::settings::Manager;
use crate::topology::{GRAFANA, KAFKA_EXPORTER};

/// How long ZooKeeper may take to take note of the cluster.
const REGISTRATION: Duration = Duration::from_secs(10);

/// A service of the profile that does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The service.
    pub service: String,
    /// Its image.
    pub image: String,
    /// Why it does not run.
    pub why: String,
    /// What can be done about it.
    pub hint: String,
}

impl Missing {
    fn of(lab: &Lab, service: &str, why: String) -> Self {
        let image = lab.file.services[service].image.clone();
        Self {
            hint: format!(
                "get it with `docker pull {image}`, or name another with `images: {{{}: …}}`, and `khd up` starts it; \
                 or do without: `monitoring: {{{}: false}}`",
                image_key(service),
                if service == KAFKA_EXPORTER {
                    KAFKA_EXPORTER
                } else {
                    "ui"
                },
            ),
            service: service.to_owned(),
            image,
            why,
        }
    }

    /// Says so.
    pub fn tell(&self) {
        tell!("khd: {} does not run: {}\n     {}", self.service, self.why, self.hint);
    }
}

/// Under which key the settings name a service's image.
fn image_key(service: &str) -> &str {
    match service {
        GRAFANA | KAFKA_EXPORTER => service,
        _ => "manager",
    }
}

/// Starts them, and gives those that cannot be started; they keep nothing else from running.
///
/// # Errors
/// An interruption; an ensemble that does not take note of the cluster.
pub async fn start(lab: &Lab, cancel: &CancellationToken) -> anyhow::Result<Vec<Missing>> {
    let steps = Steps::show();
    let progress = steps.sender();
    let starting = async {
        register(lab).await?;
        let services = lab.file.with_profile().map(|service| async move {
            let started = start_one(lab, service, progress).await;
            started.err().map(|why| Missing::of(lab, service, format!("{why:#}")))
        });
        Ok(join_all(services).await.into_iter().flatten().collect())
    };
    let missing = unless_interrupted(cancel, starting).await;
    steps.end().await;
    missing
}

async fn start_one(lab: &Lab, service: &str, progress: &Progress) -> anyhow::Result<()> {
    let engine = lab.engine.as_ref();
    let images = obtain_one(lab, service, progress).await?;
    let mut alone = lab.file.clone();
    alone.services.retain(|name, _| name == service);
    preflight::check(engine, &alone).await?;
    converge::start_service(engine, &lab.file, service, &images, progress).await
}

/// Sees to it that their images are there, and gives those that cannot be had.
pub async fn obtain(lab: &Lab, progress: &Progress) -> Vec<Missing> {
    let services = lab.file.with_profile().map(|service| async move {
        let obtained = obtain_one(lab, service, progress).await;
        obtained.err().map(|why| Missing::of(lab, service, format!("{why:#}")))
    });
    join_all(services).await.into_iter().flatten().collect()
}

async fn obtain_one(lab: &Lab, service: &str, progress: &Progress) -> anyhow::Result<BTreeMap<String, String>> {
    let image = lab.file.services[service].image.clone();
    images::obtain(lab.engine.as_ref(), [image], progress).await
}

/// Tells Kafka Manager of the cluster, where it is the manager. It reads that when it starts, and watches it later.
async fn register(lab: &Lab) -> anyhow::Result<()> {
    let topology = &lab.topology;
    let ui = topology
        .monitoring
        .as_ref()
        .and_then(|monitoring| monitoring.ui.as_ref());
    if ui.is_some_and(|ui| ui.manager == Manager::KafkaManager) {
        let zookeepers: Vec<SocketAddr> = topology.zookeepers.iter().map(|server| server.published).collect();
        let connect = topology.zookeeper_connect();
        manager::register(&zookeepers, &topology.project, &connect, REGISTRATION).await?;
    }
    Ok(())
}

/// Those that do not run in a lab, as it is.
///
/// # Errors
/// Those of the engine.
pub async fn missing(lab: &Lab, project: &Project) -> anyhow::Result<Vec<Missing>> {
    let mut missing = Vec::new();
    for service in lab.file.with_profile() {
        let mut containers = project.containers.iter().filter(|c| c.service == service);
        if containers.any(|container| container.is_up()) {
            continue;
        }
        let image = &lab.file.services[service].image;
        let why = match lab.engine.image(image).await? {
            Some(_) => "its image is here, but it was not started, or has ended".to_owned(),
            None => format!("image {image} is not here"),
        };
        missing.push(Missing::of(lab, service, why));
    }
    Ok(missing)
}
