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
use crate::error::Expected;
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
    fn of(lab: &Lab, service: &str, why: String, hint: String) -> Self {
        Self {
            service: service.to_owned(),
            image: lab.file.services[service].image.clone(),
            why,
            hint,
        }
    }

    /// One whose image is not here.
    fn without_image(lab: &Lab, service: &str, why: String) -> Self {
        let image = &lab.file.services[service].image;
        let key = image_key(service);
        let switch = if service == KAFKA_EXPORTER {
            KAFKA_EXPORTER
        } else {
            "ui"
        };
        let hint = format!(
            "get it with `docker pull {image}`, or name another with `images: {{{key}: …}}`, and `khd up` starts it; \
             or do without: `monitoring: {{{switch}: false}}`"
        );
        Self::of(lab, service, why, hint)
    }

    /// One that could not be started although its image is here.
    fn not_started(lab: &Lab, service: &str, error: &anyhow::Error) -> Self {
        let known = error
            .downcast_ref::<Expected>()
            .and_then(|expected| expected.hint.clone());
        let hint = known.unwrap_or_else(|| "`khd up` tries it again".into());
        Self::of(lab, service, format!("{error:#}"), hint)
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
/// An interruption.
pub async fn start(lab: &Lab, cancel: &CancellationToken) -> anyhow::Result<Vec<Missing>> {
    let steps = Steps::show();
    let progress = steps.sender();
    let services = lab.file.with_profile();
    let starting = join_all(services.map(|service| start_one(lab, service, progress)));
    let missing = unless_interrupted(cancel, async { Ok(starting.await) }).await;
    steps.end().await;
    Ok(missing?.into_iter().flatten().collect())
}

async fn start_one(lab: &Lab, service: &str, progress: &Progress) -> Option<Missing> {
    let registered = register(lab, service).await;
    let images = match obtain_one(lab, service, progress).await {
        Ok(images) => images,
        Err(why) => return Some(Missing::without_image(lab, service, format!("{why:#}"))),
    };
    let starting = async {
        registered?;
        let mut alone = lab.file.clone();
        alone.services.retain(|name, _| name == service);
        preflight::check(lab.engine.as_ref(), &alone).await?;
        converge::start_service(lab.engine.as_ref(), &lab.file, service, &images, progress).await
    };
    let started = starting.await;
    started.err().map(|error| Missing::not_started(lab, service, &error))
}

/// Sees to it that their images are there, and gives those that cannot be had.
pub async fn obtain(lab: &Lab, progress: &Progress) -> Vec<Missing> {
    let services = lab.file.with_profile().map(|service| async move {
        let obtained = obtain_one(lab, service, progress).await;
        obtained
            .err()
            .map(|why| Missing::without_image(lab, service, format!("{why:#}")))
    });
    join_all(services).await.into_iter().flatten().collect()
}

async fn obtain_one(lab: &Lab, service: &str, progress: &Progress) -> anyhow::Result<BTreeMap<String, String>> {
    let image = lab.file.services[service].image.clone();
    images::obtain(lab.engine.as_ref(), [image], progress).await
}

/// Tells Kafka Manager of the cluster, where the service is that. It reads that when it starts, and watches it later.
async fn register(lab: &Lab, service: &str) -> anyhow::Result<()> {
    if service == Manager::KafkaManager.service() {
        let topology = &lab.topology;
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
        missing.push(match lab.engine.image(image).await? {
            None => Missing::without_image(lab, service, format!("image {image} is not here")),
            Some(_) => {
                let hint = format!("`khd logs {service}` may say why; `khd up` starts it");
                Missing::of(lab, service, "it was not started, or has ended".into(), hint)
            }
        });
    }
    Ok(missing)
}
