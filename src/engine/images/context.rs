//! What the builder gets: a tar that is the same for the same recipe, whoever packs it and when.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;

use super::binary::Binary;
use super::recipe::Recipe;

/// Where Debian keeps the authorities that its machine trusts besides the usual ones.
const CERTIFICATES: &str = "/usr/local/share/ca-certificates";
/// Where recipes expect them.
const FOLDER: &str = "ca-certificates";
/// Variables that a build needs behind a proxy; the builder knows them by itself and keeps them out of the image.
const PROXIES: [&str; 6] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// The context of a recipe, with this machine's certificates, and with the binary where it is part of the image.
pub(super) fn context(recipe: &Recipe, binary: Option<&Binary>) -> anyhow::Result<Bytes> {
    let files = recipe.files();
    let wants_certificates = files.get("Dockerfile").is_some_and(|text| contains(text, FOLDER));
    let certificates = if wants_certificates {
        Some(certificates(Path::new(CERTIFICATES)))
    } else {
        None
    };
    pack(
        &files,
        certificates,
        binary.filter(|_| recipe.binary).map(Binary::content),
    )
}

/// This machine's proxies, as build arguments.
pub(super) fn proxies() -> BTreeMap<String, String> {
    let set = PROXIES
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
    set.filter(|(_, value)| !value.is_empty()).collect()
}

fn contains(text: &[u8], part: &str) -> bool {
    text.windows(part.len()).any(|window| window == part.as_bytes())
}

/// The certificates of a folder by name; none where there is no such folder.
fn certificates(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let certificates = entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "crt"));
    certificates
        .filter_map(|entry| {
            Some((
                entry.file_name().to_string_lossy().into_owned(),
                std::fs::read(entry.path()).ok()?,
            ))
        })
        .collect()
}

fn pack(
    files: &BTreeMap<String, &[u8]>,
    certificates: Option<BTreeMap<String, Vec<u8>>>,
    binary: Option<&[u8]>,
) -> anyhow::Result<Bytes> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |path: &str, kind: tar::EntryType, mode: u32, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, path, content)
    };
    for (path, content) in files {
        add(path, tar::EntryType::Regular, 0o644, content)?;
    }
    if let Some(certificates) = certificates {
        // Also when it is empty: the recipe copies the folder.
        add(&format!("{FOLDER}/"), tar::EntryType::Directory, 0o755, &[])?;
        for (name, content) in certificates {
            add(&format!("{FOLDER}/{name}"), tar::EntryType::Regular, 0o644, &content)?;
        }
    }
    if let Some(binary) = binary {
        add("khd", tar::EntryType::Regular, 0o755, binary)?;
        // An empty folder, which no recipe's files can hold: it becomes the one that ledgers are written to.
        add("var/", tar::EntryType::Directory, 0o755, &[])?;
    }
    Ok(archive.into_inner()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::render::{KAFKA_3_IMAGE, KHD_IMAGE};
    use crate::engine::images::recipe;

    fn listing(context: &[u8]) -> Vec<(String, u32)> {
        let mut archive = tar::Archive::new(context);
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            (path, entry.header().mode().unwrap())
        });
        entries.collect()
    }

    #[test]
    fn khds_own_context_is_its_dockerfile_and_the_binary() {
        let recipe = recipe::of(KHD_IMAGE).unwrap();
        let context = context(recipe, Some(&Binary::new(b"binary".to_vec()))).unwrap();
        assert_eq!(
            listing(&context),
            [
                ("Dockerfile".to_owned(), 0o644),
                ("khd".to_owned(), 0o755),
                ("var/".to_owned(), 0o755)
            ]
        );
    }

    #[test]
    fn a_recipe_that_copies_certificates_finds_their_folder_even_when_there_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let files = recipe::of(KAFKA_3_IMAGE).unwrap().files();
        let none = pack(&files, Some(certificates(&folder.path().join("missing"))), None).unwrap();
        let listed = listing(&none);
        assert_eq!(listed.last().unwrap().0, "ca-certificates/");
        assert_eq!(listed.len(), files.len() + 1);

        std::fs::write(folder.path().join("own.crt"), "certificate").unwrap();
        std::fs::write(folder.path().join("README"), "no certificate").unwrap();
        let one = pack(&files, Some(certificates(folder.path())), None).unwrap();
        assert_eq!(listing(&one).last().unwrap().0, "ca-certificates/own.crt");
    }

    #[test]
    fn the_same_recipe_gives_the_same_context() {
        let files = recipe::of(KAFKA_3_IMAGE).unwrap().files();
        assert_eq!(pack(&files, None, None).unwrap(), pack(&files, None, None).unwrap());
    }
}
