//! Files into and out of containers, as the tar streams of the archive calls.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;

use crate::compose::model::{ComposeFile, Service};

/// A tar, for the root of a container, of the configs that a service mounts; nothing when it mounts none.
///
/// There are no entries for folders: the engine makes those that are missing, and an entry would change owner and
/// mode of one that the image has. Files are readable by all, because servers do not run as root.
pub(super) fn configs(file: &ComposeFile, service: &Service) -> anyhow::Result<Option<Bytes>> {
    if service.configs.is_empty() {
        return Ok(None);
    }
    let mut archive = tar::Builder::new(Vec::new());
    for mount in &service.configs {
        let config = file.configs.get(&mount.source);
        let config = config.with_context(|| format!("the Compose file has no config `{}`", mount.source))?;
        let mut header = tar::Header::new_gnu();
        header.set_size(config.content.len() as u64);
        header.set_mode(0o444);
        let target = mount.target.trim_start_matches('/');
        archive.append_data(&mut header, target, config.content.as_bytes())?;
    }
    Ok(Some(archive.into_inner()?.into()))
}

/// The regular files of a tar whose root is one folder, by path relative to that folder.
pub(super) fn files(archive: &[u8]) -> anyhow::Result<BTreeMap<PathBuf, Bytes>> {
    let mut found = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path: PathBuf = entry.path()?.components().skip(1).collect();
        let mut content = Vec::with_capacity(entry.size() as usize);
        entry
            .read_to_end(&mut content)
            .with_context(|| format!("cannot read {}", Path::new(&path).display()))?;
        found.insert(path, content.into());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::samples;

    #[test]
    fn a_mounted_config_lies_at_its_target_and_anyone_may_read_it() {
        let file = samples::lab();
        let archive = configs(&file, &file.services["kafka1"]).unwrap().unwrap();
        let mut archive = tar::Archive::new(&archive[..]);
        let mut entries = archive.entries().unwrap();
        let mut entry = entries.next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap().to_str(), Some("etc/lab/extra.properties"));
        assert_eq!(entry.header().mode().unwrap(), 0o444);
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        assert_eq!(content, "a=1\n");
        assert!(entries.next().is_none(), "no entry for a folder");
    }

    #[test]
    fn files_are_named_relative_to_the_mounted_folder() {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, content) in [("mount/a", "1"), ("mount/sub/b", "2")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, path, content.as_bytes()).unwrap();
        }
        let found = files(&archive.into_inner().unwrap()).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|(path, content)| (path.to_str().unwrap(), &content[..]))
            .collect();
        assert_eq!(found, [("a", &b"1"[..]), ("sub/b", &b"2"[..])]);
    }
}
