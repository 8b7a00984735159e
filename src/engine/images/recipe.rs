//! khd's own images, and how each is made.

use std::collections::BTreeMap;

use include_dir::{Dir, include_dir};
use sha2::{Digest as _, Sha256};

use super::base::BASE_IMAGE;
use super::binary::Binary;
use crate::compose::render::{
    KAFKA_3_IMAGE, KAFKA_4_IMAGE, KHD_IMAGE, NETHELPER_IMAGE, PROMETHEUS_IMAGE, ZOOKEEPER_IMAGE,
};
use crate::settings::{KAFKA_3, KAFKA_4};

/// What the containers are made of.
static FOLDERS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/compose");

/// How an image of khd's own is made. All but the base are built by the engine from a folder of their own.
#[derive(Debug)]
pub(super) struct Recipe {
    /// The reference that the image gets.
    pub(super) reference: &'static str,
    /// The folder of the recipe; none for the base.
    pub(super) folder: Option<&'static str>,
    /// The image of khd's own that it starts from, and the build argument that names it.
    pub(super) from: Option<(&'static str, &'static str)>,
    /// The version that it is built of, where one folder has recipes for several.
    pub(super) version: Option<&'static str>,
    /// Whether the running binary is part of it.
    pub(super) binary: bool,
    /// An image of others that is as good, and is taken where a registry has it.
    pub(super) upstream: Option<&'static str>,
}

const RECIPES: [Recipe; 7] = [
    Recipe {
        reference: BASE_IMAGE,
        folder: None,
        from: None,
        version: None,
        binary: false,
        upstream: None,
    },
    Recipe {
        reference: KAFKA_3_IMAGE,
        folder: Some("kafka"),
        from: Some(("BASE", BASE_IMAGE)),
        version: Some(KAFKA_3),
        binary: false,
        upstream: None,
    },
    Recipe {
        reference: KAFKA_4_IMAGE,
        folder: Some("kafka"),
        from: Some(("BASE", BASE_IMAGE)),
        version: Some(KAFKA_4),
        binary: false,
        upstream: None,
    },
    Recipe {
        reference: ZOOKEEPER_IMAGE,
        folder: Some("zookeeper"),
        from: Some(("KAFKA_IMAGE", KAFKA_3_IMAGE)),
        version: None,
        binary: false,
        upstream: None,
    },
    Recipe {
        reference: NETHELPER_IMAGE,
        folder: Some("nethelper"),
        from: Some(("BASE", BASE_IMAGE)),
        version: None,
        binary: false,
        upstream: None,
    },
    Recipe {
        reference: PROMETHEUS_IMAGE,
        folder: Some("prometheus"),
        from: Some(("BASE", BASE_IMAGE)),
        version: None,
        binary: false,
        upstream: Some("prom/prometheus:v2.55.1"),
    },
    Recipe {
        reference: KHD_IMAGE,
        folder: Some("khd"),
        from: None,
        version: None,
        binary: true,
        upstream: None,
    },
];

/// The recipe of an image, if it is one of khd's own.
pub(super) fn of(reference: &str) -> Option<&'static Recipe> {
    RECIPES.iter().find(|recipe| recipe.reference == reference)
}

/// Whether a reference is in the name space of khd's own images, which no registry has.
pub(super) fn is_own(reference: &str) -> bool {
    reference.starts_with("khd/")
}

impl Recipe {
    /// The files of the recipe, by path within its folder.
    pub(super) fn files(&self) -> BTreeMap<String, &'static [u8]> {
        let mut files = BTreeMap::new();
        if let Some(folder) = self.folder.and_then(|name| FOLDERS.get_dir(name)) {
            collect(folder, folder, &mut files);
        }
        files
    }

    /// Build arguments that say what the image starts from, and which version it is built of.
    pub(super) fn args(&self) -> BTreeMap<String, String> {
        let version = self.version.map(|version| ("KAFKA_VERSION", version));
        let args = self.from.into_iter().chain(version);
        args.map(|(arg, value)| (arg.to_owned(), value.to_owned())).collect()
    }

    /// How many of khd's own images have to be there first.
    pub(super) fn depth(&self) -> usize {
        let below = self.from.and_then(|(_, reference)| of(reference));
        below.map_or(0, |below| below.depth() + 1)
    }

    /// A digest of all that makes the image what it is, in lower-case hex; none for the base, of which any will do.
    ///
    /// What belongs to one machine (its certificates and proxies) does not count.
    pub(super) fn digest(&self, binary: Option<&Binary>) -> Option<String> {
        self.folder?;
        let below = self.from.and_then(|(_, reference)| of(reference)?.digest(binary));
        let binary = binary.filter(|_| self.binary).map(Binary::digest);
        let files = self.files();
        let mut hasher = Sha256::new();
        let mut add = |part: &[u8]| {
            // With its length before it, no part can pass for the end of another.
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        };
        add(self.reference.as_bytes());
        for (path, content) in &files {
            add(path.as_bytes());
            add(content);
        }
        for (name, value) in &self.args() {
            add(name.as_bytes());
            add(value.as_bytes());
        }
        for part in [below.as_deref(), binary].into_iter().flatten() {
            add(part.as_bytes());
        }
        Some(hex::encode(hasher.finalize()))
    }
}

fn collect(root: &Dir<'static>, folder: &'static Dir<'static>, files: &mut BTreeMap<String, &'static [u8]>) {
    for file in folder.files() {
        let path = file.path().strip_prefix(root.path()).unwrap_or(file.path());
        files.insert(path.to_string_lossy().into_owned(), file.contents());
    }
    for inner in folder.dirs() {
        collect(root, inner, files);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_that_is_built_has_a_dockerfile_that_names_what_it_starts_from() {
        for recipe in RECIPES.iter().filter(|recipe| recipe.folder.is_some()) {
            let files = recipe.files();
            let dockerfile = files.get("Dockerfile").unwrap_or_else(|| panic!("{recipe:?}"));
            let text = String::from_utf8_lossy(dockerfile);
            if let Some((arg, reference)) = recipe.from {
                assert!(text.contains(&format!("ARG {arg}={reference}")), "{}", recipe.reference);
            }
        }
    }

    #[test]
    fn images_are_built_in_the_order_of_what_they_start_from() {
        let depth = |reference| of(reference).unwrap().depth();
        assert_eq!(
            [BASE_IMAGE, KAFKA_3_IMAGE, KAFKA_4_IMAGE, ZOOKEEPER_IMAGE, KHD_IMAGE].map(depth),
            [0, 1, 1, 2, 0]
        );
    }

    #[test]
    fn a_digest_follows_the_binary_only_where_it_is_part_of_the_image() {
        let (one, other) = (Binary::new(b"one".to_vec()), Binary::new(b"other".to_vec()));
        let digest = |reference, binary| of(reference).unwrap().digest(Some(binary));
        assert_ne!(digest(KHD_IMAGE, &one), digest(KHD_IMAGE, &other));
        assert_eq!(digest(KAFKA_3_IMAGE, &one), digest(KAFKA_3_IMAGE, &other));
        assert_ne!(digest(KAFKA_3_IMAGE, &one), digest(KAFKA_4_IMAGE, &one));
        assert_ne!(digest(KAFKA_3_IMAGE, &one), digest(ZOOKEEPER_IMAGE, &one));
        assert_eq!(digest(BASE_IMAGE, &one), None);
    }
}
