//! Names and labels by which Compose, and khd after a crash, find what belongs to a project.
//!
//! Compose sees a container only with [`PROJECT`], [`ONEOFF`] and [`CONFIG_HASH`]; helpers go without the last, so
//! that `docker compose ps` shows the lab and nothing else.

use sha2::{Digest as _, Sha256};

use crate::compose::model::Network;

/// The project that an object belongs to.
pub const PROJECT: &str = "com.docker.compose.project";
/// The service that a container runs.
pub const SERVICE: &str = "com.docker.compose.service";
/// The number of a container within its service, from 1.
pub const NUMBER: &str = "com.docker.compose.container-number";
/// Whether a container was made by `docker compose run`: `False` or `True`, in exactly this case.
pub const ONEOFF: &str = "com.docker.compose.oneoff";
/// Digest of what an object was made from.
pub const CONFIG_HASH: &str = "com.docker.compose.config-hash";
/// Id of the image that a container was made from.
pub const IMAGE: &str = "com.docker.compose.image";
/// What a service waits for, as `service:condition:restart`, comma-separated.
pub const DEPENDS_ON: &str = "com.docker.compose.depends_on";
/// Where the project's file lay.
pub const CONFIG_FILES: &str = "com.docker.compose.project.config_files";
/// Where the project was brought up.
pub const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
/// What brought the project up.
pub const VERSION: &str = "com.docker.compose.version";
/// The key of a network.
pub const NETWORK: &str = "com.docker.compose.network";
/// The key of a volume.
pub const VOLUME: &str = "com.docker.compose.volume";
/// What a helper container of khd is for.
pub const HELPER: &str = "dev.khd.helper";
/// Digest of the recipe that an image was built by.
pub const RECIPE: &str = "dev.khd.recipe";

/// The name of a container.
pub fn container_name(project: &str, service: &str, number: u32) -> String {
    format!("{project}-{service}-{number}")
}

/// The name of a network or a volume.
pub fn object_name(project: &str, key: &str) -> String {
    format!("{project}_{key}")
}

/// A digest of all that makes a network what it is, in lower-case hex.
pub fn network_hash(network: &Network) -> String {
    // Serialization of plain strings cannot fail; an empty text would only make every network look changed.
    hex::encode(Sha256::digest(serde_json::to_vec(network).unwrap_or_default()))
}
