//! Images: taken if they are there, else pulled, else built by the recipes that khd carries.
//!
//! `recipe` knows khd's own images and tells by a digest whether one is up to date, `context` packs what the
//! builder gets, `binary` sees to it that khd's own image gets a binary that runs in it, and `base` makes the one
//! image that everything else stands on where no registry is reached.

mod base;
mod binary;
mod context;
mod list;
mod obtain;
mod recipe;

#[cfg(test)]
mod tests;

use indexmap::IndexMap;

pub use base::BASE_IMAGE;
pub use list::{Origin, Presence, Row, list};
pub use obtain::{obstacles, obtain};

use crate::compose::model::ComposeFile;
use crate::compose::render::NETHELPER_IMAGE;

/// The images that a Compose file and its helpers need, each with the services that run it.
pub fn needed(file: &ComposeFile) -> IndexMap<String, Vec<String>> {
    let mut needed = IndexMap::<String, Vec<String>>::new();
    for (service, definition) in &file.services {
        needed
            .entry(definition.image.clone())
            .or_default()
            .push(service.clone());
    }
    // Runs no service, and is there before the first fault needs it.
    needed.entry(NETHELPER_IMAGE.to_owned()).or_default();
    needed
}
