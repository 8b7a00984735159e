//! Everything of a project removed.

use futures_util::future::{join, join_all};

use super::retire::retire;
use super::together;
use crate::engine::progress::step;
use crate::engine::{Engine, Progress, Project};

/// How often to look whether something is left: a khd that is dying may still be creating things.
const PASSES: usize = 3;

/// Removes all that carries the project's label, and says how many objects that were; none is fine.
///
/// Works after a crash and on half-made labs. Containers are killed, because nothing of them is needed any more;
/// where `keep_volumes` leaves the data, they are stopped with their grace periods instead.
///
/// # Errors
/// The first failure of the engine, after the rest was removed.
pub async fn down(
    engine: &dyn Engine,
    project: &str,
    keep_volumes: bool,
    progress: &Progress,
) -> anyhow::Result<usize> {
    let mut removed = 0;
    for pass in 0..=PASSES {
        let mut left = engine.project(project).await?;
        if keep_volumes {
            left.volumes.clear();
        }
        let objects = left.containers.len() + left.helpers.len() + left.networks.len() + left.volumes.len();
        if objects == 0 {
            return Ok(removed);
        }
        if pass == PASSES {
            break;
        }
        remove_all(engine, &left, keep_volumes, progress).await?;
        removed += objects;
    }
    anyhow::bail!("cannot remove project {project}: something goes on creating objects of it")
}

async fn remove_all(engine: &dyn Engine, left: &Project, gracefully: bool, progress: &Progress) -> anyhow::Result<()> {
    let remove = |name: &String| {
        let name = name.clone();
        async move { step(progress, &name, ("removing", "removed"), engine.remove_container(&name)).await }
    };
    let helpers = join_all(left.helpers.iter().map(remove));
    let services = async {
        if gracefully {
            vec![retire(engine, &left.containers, progress).await]
        } else {
            join_all(left.containers.iter().map(|container| remove(&container.name))).await
        }
    };
    let (helpers, services) = join(helpers, services).await;
    let containers = together(helpers.into_iter().chain(services));

    // Even when a container would not go, what it does not hold can be removed; but then it is what to tell of.
    let networks = left.networks.values().map(|network| async move {
        let removing = engine.remove_network(&network.name);
        step(progress, &network.name, ("removing", "removed"), removing).await
    });
    let volumes = left.volumes.values().map(|name| async move {
        let removing = engine.remove_volume(name);
        step(progress, name, ("removing", "removed"), removing).await
    });
    let (networks, volumes) = join(join_all(networks), join_all(volumes)).await;
    containers.and(together(networks.into_iter().chain(volumes)))
}
