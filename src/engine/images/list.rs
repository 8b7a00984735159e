//! The images of a lab: where each comes from, and whether it is there.

use indexmap::IndexMap;

use super::obtain::{binary_for, is_current};
use super::{needed, recipe};
use crate::compose::model::ComposeFile;
use crate::engine::Engine;

/// An image of a lab.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Row {
    /// Its reference.
    pub reference: String,
    /// Services that run it; none for an image that others only start from.
    pub services: Vec<String>,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether it is there.
    pub presence: Presence,
    /// Its size in bytes, if it is there.
    pub size: Option<u64>,
}

/// Where an image comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// It is there, and khd has no recipe for it.
    Local,
    /// It has to be pulled.
    Pull,
    /// khd makes it.
    Recipe,
}

/// Whether an image is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// It is there.
    Present,
    /// One of its name is there, but made by another recipe, or from another binary of khd.
    Outdated,
    /// It is not there.
    Missing,
}

/// Lists the images that a lab needs, and those that they start from.
///
/// # Errors
/// Those of the engine.
pub async fn list(engine: &dyn Engine, file: &ComposeFile) -> anyhow::Result<Vec<Row>> {
    let mut all: IndexMap<String, Vec<String>> = needed(file);
    let mut at = 0;
    while let Some((reference, _)) = all.get_index(at) {
        if let Some((_, below)) = recipe::of(reference).and_then(|recipe| recipe.from) {
            all.entry(below.to_owned()).or_default();
        }
        at += 1;
    }
    let references: Vec<String> = all.keys().cloned().collect();
    // A binary that cannot be in an image is no reason not to list images: what was made of another is out of date.
    let binary = binary_for(engine, &references).await.ok().flatten();
    let mut rows = Vec::new();
    for (reference, services) in all {
        let image = engine.image(&reference).await?;
        let recipe = recipe::of(&reference);
        rows.push(Row {
            origin: match (&image, recipe) {
                (_, Some(_)) => Origin::Recipe,
                (Some(_), None) => Origin::Local,
                (None, None) => Origin::Pull,
            },
            presence: match &image {
                None => Presence::Missing,
                Some(image) if is_current(image, recipe, binary.as_ref()) => Presence::Present,
                Some(_) => Presence::Outdated,
            },
            size: image.map(|image| image.size),
            reference,
            services,
        });
    }
    Ok(rows)
}
