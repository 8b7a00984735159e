//! Images made to be there.

use std::collections::BTreeMap;

use anyhow::Context as _;
use futures_util::future::join_all;

use super::base;
use super::binary::Binary;
use super::context::{context, proxies};
use super::recipe::{self, Recipe};
use crate::engine::progress::{note, step};
use crate::engine::{Build, Engine, Image, Progress, labels};
use crate::error::Expected;

/// Sees to it that images are there and up to date, and gives the id of each.
///
/// What has no recipe is pulled if it is missing. khd's own images are built if they are missing or were built by
/// another recipe; what they start from is made first, and what does not depend on each other is made at once.
///
/// # Errors
/// [`Expected`] failures of the environment for what can neither be pulled nor built, and those of the engine.
pub async fn obtain(
    engine: &dyn Engine,
    references: impl IntoIterator<Item = String>,
    progress: &Progress,
) -> anyhow::Result<BTreeMap<String, String>> {
    let wanted: Vec<String> = references.into_iter().collect();
    let binary = binary_for(engine, &wanted).await?;
    let mut missing = BTreeMap::new();
    for reference in &wanted {
        find_missing(engine, reference, binary.as_ref(), &mut missing).await?;
    }
    let deepest = missing.values().map(|missing| missing.depth).max().unwrap_or_default();
    for depth in 0..=deepest {
        let level = missing.values().filter(|missing| missing.depth == depth);
        let making = level.map(|missing| make(engine, missing, binary.as_ref(), progress));
        join_all(making).await.into_iter().collect::<anyhow::Result<()>>()?;
    }
    let mut ids = BTreeMap::new();
    for reference in wanted {
        let image = engine.image(&reference).await?;
        let image = image.with_context(|| format!("image {reference} vanished after it was obtained"))?;
        ids.insert(reference, image.id);
    }
    Ok(ids)
}

/// The running binary, where one of the images holds it.
pub(super) async fn binary_for(engine: &dyn Engine, references: &[String]) -> anyhow::Result<Option<Binary>> {
    if !references
        .iter()
        .any(|reference| recipe::of(reference).is_some_and(|recipe| recipe.binary))
    {
        return Ok(None);
    }
    let architecture = engine.info().await?.architecture;
    Binary::running(&architecture).await.map(Some)
}

/// An image that is not there, or not as its recipe has it.
struct Missing {
    reference: String,
    recipe: Option<&'static Recipe>,
    depth: usize,
    /// What is there under its reference.
    outdated: Option<Image>,
}

/// Whether an image that is there is what its recipe would make now.
pub(super) fn is_current(image: &Image, recipe: Option<&Recipe>, binary: Option<&Binary>) -> bool {
    let Some(recipe) = recipe else { return true };
    let built = image.labels.get(labels::RECIPE);
    // One that was pulled is by no recipe.
    if recipe.upstream.is_some() && built.is_none() {
        return true;
    }
    let digest = recipe.digest(binary);
    digest.is_none_or(|digest| built == Some(&digest))
}

/// Adds an image, and what it starts from, where they are missing.
async fn find_missing(
    engine: &dyn Engine,
    reference: &str,
    binary: Option<&Binary>,
    missing: &mut BTreeMap<String, Missing>,
) -> anyhow::Result<()> {
    let mut next = Some(reference);
    while let Some(reference) = next.filter(|reference| !missing.contains_key(*reference)) {
        let image = engine.image(reference).await?;
        let recipe = recipe::of(reference);
        if image.as_ref().is_some_and(|image| is_current(image, recipe, binary)) {
            break;
        }
        let found = Missing {
            reference: reference.to_owned(),
            recipe,
            depth: recipe.map_or(0, Recipe::depth),
            outdated: image,
        };
        missing.insert(reference.to_owned(), found);
        next = recipe.and_then(|recipe| recipe.from).map(|(_, below)| below);
    }
    Ok(())
}

async fn make(
    engine: &dyn Engine,
    missing: &Missing,
    binary: Option<&Binary>,
    progress: &Progress,
) -> anyhow::Result<()> {
    let reference = missing.reference.as_str();
    match missing.recipe {
        None => {
            step(
                progress,
                reference,
                ("pulling", "pulled"),
                pull(engine, reference, progress),
            )
            .await
        }
        Some(recipe) if recipe.folder.is_none() => {
            step(progress, reference, ("making", "made"), base::make(engine, progress)).await
        }
        Some(recipe) => {
            let making = async {
                if let Some(upstream) = recipe.upstream {
                    let Some(no_pull) = base::taken(engine, upstream, reference, progress).await? else {
                        return Ok(());
                    };
                    note(progress, reference, format!("{no_pull:#}; building it"));
                }
                build(engine, recipe, binary, progress).await
            };
            step(progress, reference, ("making", "made"), making).await?;
            remove_outdated(engine, missing).await
        }
    }
}

/// What is known beforehand to keep images from being obtained; whether a registry answers is not known.
///
/// # Errors
/// Those of the engine.
pub async fn obstacles(engine: &dyn Engine, references: &[String]) -> anyhow::Result<Vec<Expected>> {
    let mut obstacles = Vec::new();
    for reference in references.iter().filter(|reference| recipe::is_own(reference)) {
        if recipe::of(reference).is_none() && engine.image(reference).await?.is_none() {
            obstacles.push(no_recipe(reference));
        }
    }
    if let Err(error) = binary_for(engine, references).await {
        obstacles.push(error.downcast::<Expected>()?);
    }
    Ok(obstacles)
}

fn no_recipe(reference: &str) -> Expected {
    Expected::environment(format!(
        "this khd has no recipe for image {reference}, and no registry has it"
    ))
    .hint("`khd images` lists the images that it can build")
}

async fn pull(engine: &dyn Engine, reference: &str, progress: &Progress) -> anyhow::Result<()> {
    if recipe::is_own(reference) {
        return Err(no_recipe(reference).into());
    }
    engine.pull(reference, progress).await.map_err(|error| {
        if error.is::<Expected>() {
            return error;
        }
        Expected::environment(format!("{error:#}"))
            .hint("let the engine reach the registry, or use khd's own recipes, which need none: `images: khd`")
            .into()
    })
}

async fn build(
    engine: &dyn Engine,
    recipe: &Recipe,
    binary: Option<&Binary>,
    progress: &Progress,
) -> anyhow::Result<()> {
    let context =
        context(recipe, binary).with_context(|| format!("cannot pack the context of {}", recipe.reference))?;
    let digest = recipe.digest(binary).map(|digest| (labels::RECIPE.to_owned(), digest));
    let build = Build {
        reference: recipe.reference.to_owned(),
        context,
        args: proxies().into_iter().chain(recipe.args()).collect(),
        labels: digest.into_iter().collect(),
    };
    engine.build(build, progress).await
}

/// Removes the image whose reference has gone to a new one; if something still uses it, it stays.
async fn remove_outdated(engine: &dyn Engine, missing: &Missing) -> anyhow::Result<()> {
    let Some(outdated) = &missing.outdated else {
        return Ok(());
    };
    let now = engine.image(&missing.reference).await?;
    if now.is_some_and(|now| now.id != outdated.id) {
        let removed = engine.remove_image(&outdated.id).await?;
        tracing::debug!(image = outdated.id, removed, "replaced by a new build");
    }
    Ok(())
}
