//! A plan carried out.

use std::collections::BTreeMap;

use futures_util::future::{join, join_all};

use super::plan::{Plan, Replica};
use super::retire::retire;
use super::together;
use crate::compose::model::ComposeFile;
use crate::engine::progress::step;
use crate::engine::{Engine, Progress, labels};

/// Carries a plan out: old containers go, networks and volumes come, containers are created, and all are started.
///
/// Within each of these everything is done at once, but what others depend on is started before them. A recreated
/// container's named volumes keep their data.
///
/// # Errors
/// The first failure of the engine, after the rest of the same kind of work was done.
pub async fn apply(engine: &dyn Engine, file: &ComposeFile, plan: &Plan, progress: &Progress) -> anyhow::Result<()> {
    // Ports, addresses, names and networks of the old are needed by the new, so the old go first.
    let old: Vec<_> = plan.remove.iter().chain(&plan.recreate).cloned().collect();
    retire(engine, &old, progress).await?;

    let networks = join_all(
        plan.recreate_networks
            .iter()
            .map(|key| create_network(engine, file, key, true, progress))
            .collect::<Vec<_>>(),
    );
    let missing = plan
        .create_networks
        .iter()
        .map(|key| create_network(engine, file, key, false, progress));
    let missing = join_all(missing.collect::<Vec<_>>());
    let volumes = join_all(
        plan.create_volumes
            .iter()
            .map(|key| create_volume(engine, file, key, progress)),
    );
    let ((recreated, created), volumes) = join(join(networks, missing), volumes).await;
    together(recreated.into_iter().chain(created).chain(volumes))?;

    let anew = plan.recreate.iter().map(|container| Replica {
        service: container.service.clone(),
        number: container.number,
    });
    let replicas: Vec<Replica> = plan.create.iter().cloned().chain(anew).collect();
    together(join_all(replicas.iter().map(|replica| create(engine, file, replica, progress))).await)?;

    // Nothing waits for the health of what it depends on: khd proves readiness itself, every process retries until its
    // servers are there, and waiting for each other's health would take several times as long. But to start a container
    // keeps the engine's processors busy for a good part of a second, so what others depend on gets them first.
    let mut waves: BTreeMap<usize, Vec<String>> = BTreeMap::from([(0, plan.start.clone())]);
    for Replica { service, number } in &replicas {
        let name = labels::container_name(&file.name, service, *number);
        waves.entry(file.depth(service)).or_default().push(name);
    }
    let mut started = Vec::new();
    for names in waves.values() {
        let starting = names
            .iter()
            .map(|name| step(progress, name, ("starting", "started"), engine.start(name)));
        started.extend(join_all(starting).await);
    }
    let unpausing = plan
        .unpause
        .iter()
        .map(|name| step(progress, name, ("unpausing", "unpaused"), engine.unpause(name)));
    started.extend(join_all(unpausing).await);
    together(started)
}

async fn create_network(
    engine: &dyn Engine,
    file: &ComposeFile,
    key: &str,
    anew: bool,
    progress: &Progress,
) -> anyhow::Result<()> {
    let name = labels::object_name(&file.name, key);
    if anew {
        step(progress, &name, ("removing", "removed"), engine.remove_network(&name)).await?;
    }
    let creating = engine.create_network(&file.name, key, &file.networks[key]);
    step(progress, &name, ("creating", "created"), creating).await
}

async fn create_volume(engine: &dyn Engine, file: &ComposeFile, key: &str, progress: &Progress) -> anyhow::Result<()> {
    let name = labels::object_name(&file.name, key);
    let creating = engine.create_volume(&file.name, key, &file.volumes[key]);
    step(progress, &name, ("creating", "created"), creating).await
}

async fn create(engine: &dyn Engine, file: &ComposeFile, replica: &Replica, progress: &Progress) -> anyhow::Result<()> {
    let name = labels::container_name(&file.name, &replica.service, replica.number);
    let creating = engine.create_container(file, &replica.service, replica.number);
    step(progress, &name, ("creating", "created"), creating).await
}
