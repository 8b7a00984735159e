//! How a project becomes what its Compose file says, and how it goes away.
//!
//! [`plan()`] compares file and engine and decides (pure); [`apply()`] carries a plan out, as much at once as the engine
//! allows; [`down()`] removes everything. Each starts from what the engine says there is, so each also works on a lab
//! that another khd left half made.

mod apply;
mod down;
mod plan;
mod retire;
mod scale;

use std::collections::BTreeMap;

pub use apply::apply;
pub use down::down;
pub use plan::{Plan, Replica, plan};
pub use retire::retire;
pub use scale::scale;

use super::{Engine, Progress};
use crate::compose::model::ComposeFile;
use crate::error::Expected;

/// Makes the project what its file says, but for services of a profile, and tells what that took; an empty plan means that
/// it already was.
///
/// `image_ids` holds the id of each image that the file names, as [`images::obtain`](super::images::obtain) gives it.
/// Scaling is this with another number in the file.
///
/// # Errors
/// The first failure of the engine, after everything else that could be done was done.
pub async fn converge(
    engine: &dyn Engine,
    file: &ComposeFile,
    image_ids: &BTreeMap<String, String>,
    progress: &Progress,
) -> anyhow::Result<Plan> {
    let project = engine.project(&file.name).await?;
    let plan = plan(file, &project, image_ids).without_profiles(file, &project);
    apply(engine, file, &plan, progress).await?;
    Ok(plan)
}

/// Makes one service of a project what the file says, and touches nothing else.
///
/// # Errors
/// Those of the engine.
pub async fn start_service(
    engine: &dyn Engine,
    file: &ComposeFile,
    service: &str,
    image_ids: &BTreeMap<String, String>,
    progress: &Progress,
) -> anyhow::Result<()> {
    let project = engine.project(&file.name).await?;
    let plan = plan(file, &project, image_ids).only(|one| one == service, &project);
    apply(engine, file, &plan, progress).await
}

/// One result of work that was done at once: of several failures, the one that says most to the user.
fn together(results: impl IntoIterator<Item = anyhow::Result<()>>) -> anyhow::Result<()> {
    let mut failures: Vec<anyhow::Error> = results.into_iter().filter_map(Result::err).collect();
    if failures.is_empty() {
        return Ok(());
    }
    let telling = failures
        .iter()
        .position(|failure| failure.is::<Expected>())
        .unwrap_or(0);
    let first = failures.swap_remove(telling);
    for other in failures {
        tracing::warn!("{other:#}");
    }
    Err(first)
}

#[cfg(test)]
mod tests;
