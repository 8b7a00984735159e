//! Files into and out of containers, as the tar streams of the archive calls.

use std::io::Read;
use std::path::{Component, Path, PathBuf};

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
    let mut files = Vec::new();
    for mount in &service.configs {
        let config = file.configs.get(&mount.source);
        let config = config.with_context(|| format!("the Compose file has no config `{}`", mount.source))?;
        files.push((mount.target.as_str(), config.content.as_bytes()));
    }
    archive(&files).map(Some)
}

/// A tar, for the root of a container, of files by path.
pub(super) fn archive(files: &[(&str, &[u8])]) -> anyhow::Result<Bytes> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o444);
        archive.append_data(&mut header, path.trim_start_matches('/'), *content)?;
    }
    Ok(archive.into_inner()?.into())
}

/// Unpacks the regular files of a tar whose root is one folder into another one, each whole or not at all, and gives
/// their paths relative to it.
pub(super) fn unpack(archive: impl Read, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut unpacked = Vec::new();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path: PathBuf = entry.path()?.components().skip(1).collect();
        anyhow::ensure!(
            path.components().all(|part| matches!(part, Component::Normal(_))),
            "{} leads out of it",
            path.display()
        );
        let target = folder.join(&path);
        let write = |entry: &mut dyn Read| -> anyhow::Result<()> {
            let within = target.parent().unwrap_or(folder);
            std::fs::create_dir_all(within)?;
            let mut file = tempfile::NamedTempFile::new_in(within)?;
            std::io::copy(entry, &mut file)?;
            file.persist(&target)?;
            Ok(())
        };
        write(&mut entry).with_context(|| format!("cannot write {}", target.display()))?;
        unpacked.push(path);
    }
    unpacked.sort();
    Ok(unpacked)
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
        let folder = tempfile::tempdir().unwrap();
        let found = unpack(&archive.into_inner().unwrap()[..], folder.path()).unwrap();
        assert_eq!(found, [Path::new("a"), Path::new("sub/b")]);
        assert_eq!(std::fs::read_to_string(folder.path().join("sub/b")).unwrap(), "2");
        // Nothing else is left there.
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
