//! More or fewer containers of one service.

use super::{apply, plan};
use crate::compose::model::ComposeFile;
use crate::engine::{Engine, Progress, images};

/// Makes a service have that many containers, and touches nothing else.
///
/// # Errors
/// When the file has no such service, or the engine fails.
pub async fn scale(
    engine: &dyn Engine,
    file: &ComposeFile,
    service: &str,
    replicas: u16,
    progress: &Progress,
) -> anyhow::Result<()> {
    let mut file = file.clone();
    let Some(definition) = file.services.get_mut(service) else {
        anyhow::bail!("the lab has no service {service}");
    };
    definition.scale = replicas;
    let images = images::obtain(engine, [definition.image.clone()], progress).await?;
    let project = engine.project(&file.name).await?;
    // Only this service: a broker that a fault keeps down stays down.
    let mut plan = plan(&file, &project, &images).only(|one| one == service, &project);
    // Scaling makes more or fewer of them; those that stay are not interrupted for a newer image.
    plan.recreate.clear();
    apply(engine, &file, &plan, progress).await
}
