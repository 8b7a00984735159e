//! A run's folder as one file that can be sent: a tar archive, packed by zstd, with one folder named after the run.
//!
//! What is unpacked may come from anyone. So only files and folders below that one folder are taken, nothing is ever
//! written twice, and there is a limit to how much comes out.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use tempfile::{NamedTempFile, TempDir};

use crate::error::Expected;
use crate::state::RunFolder;

/// How many bytes a bundle may hold, unpacked: far more than a run of hours has, and no disk's worth.
const LIMIT: u64 = 4 << 30;
/// How many files and folders a bundle may hold.
const FILES: usize = 100_000;
/// zstd's own default: ledgers and timelines shrink to about a tenth.
const LEVEL: i32 = 3;

/// A run that was unpacked, for as long as this lives.
#[derive(Debug)]
pub struct Unpacked {
    /// The run.
    pub run: RunFolder,
    _folder: TempDir,
}

/// Packs a run's folder into a file, whole or not at all, and returns the size of the file in bytes.
///
/// # Errors
/// When there is such a file already, a file of the run cannot be read, or the bundle cannot be written.
pub fn pack(run: &RunFolder, to: &Path) -> anyhow::Result<u64> {
    let taken = || Expected::usage(format!("{} is there already, and is not overwritten", to.display()));
    if to.symlink_metadata().is_ok() {
        return Err(taken().hint("remove it, or choose another name").into());
    }
    let folder = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let cannot = || format!("cannot write {}", to.display());
    let file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .with_context(cannot)?;
    let mut packer = zstd::Encoder::new(file, LEVEL)?;
    packer.include_checksum(true)?;
    let mut archive = tar::Builder::new(packer);
    let top = PathBuf::from(run.name());
    let mut left = LIMIT;
    append_folder(&mut archive, run.path(), &top, &mut left)
        .with_context(|| format!("cannot pack {}", run.path().display()))?;
    let file: NamedTempFile = archive
        .into_inner()
        .and_then(zstd::Encoder::finish)
        .with_context(cannot)?;
    let file = file.persist_noclobber(to).map_err(|error| match error.error.kind() {
        std::io::ErrorKind::AlreadyExists => anyhow::Error::from(taken()),
        _ => anyhow::Error::from(error.error).context(cannot()),
    })?;
    Ok(file.metadata().with_context(cannot)?.len())
}

/// Adds a folder, its content in the order of names. Links and other things that a run does not have are left out.
fn append_folder(archive: &mut tar::Builder<impl Write>, from: &Path, to: &Path, left: &mut u64) -> anyhow::Result<()> {
    let mut header = header(tar::EntryType::Directory, 0, from)?;
    archive.append_data(&mut header, to, std::io::empty())?;
    let mut entries = std::fs::read_dir(from)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            append_folder(archive, &path, &name, left)?;
        } else if kind.is_file() {
            append_file(archive, &path, &name, left).with_context(|| format!("cannot read {}", path.display()))?;
        }
    }
    Ok(())
}

fn append_file(archive: &mut tar::Builder<impl Write>, from: &Path, to: &Path, left: &mut u64) -> anyhow::Result<()> {
    let file = File::open(from)?;
    let size = file.metadata()?.len();
    *left = left
        .checked_sub(size)
        .with_context(|| format!("the run has more than {LIMIT} bytes, which nobody would unpack"))?;
    let mut header = header(tar::EntryType::Regular, size, from)?;
    // A run that is still going on grows meanwhile; what is there now is packed.
    archive.append_data(&mut header, to, BufReader::new(file).take(size))?;
    Ok(())
}

/// A header that says nothing of who packed it. The format limits a path to 255 bytes, and needs no extension for it.
fn header(kind: tar::EntryType, size: u64, from: &Path) -> anyhow::Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
    header.set_mtime(from.metadata()?.mtime().unsigned_abs());
    Ok(header)
}

/// Unpacks a bundle into a temporary folder.
///
/// # Errors
/// When it is not a bundle of one run, or holds what a run cannot have.
pub fn unpack(bundle: &Path) -> anyhow::Result<Unpacked> {
    let file = File::open(bundle).with_context(|| format!("cannot open {}", bundle.display()))?;
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let top = unpack_into(file, folder.path(), LIMIT).map_err(|error| {
        let message = format!("{} is not a bundle of a run: {error:#}", bundle.display());
        Expected::usage(message).hint("khd report RUN --bundle FILE.tar.zst makes one")
    })?;
    Ok(Unpacked {
        run: RunFolder::open(&folder.path().join(top))?,
        _folder: folder,
    })
}

/// Unpacks what `packed` holds, at most `limit` bytes of it, and returns the name of the one folder.
fn unpack_into(packed: impl Read, folder: &Path, limit: u64) -> anyhow::Result<PathBuf> {
    // Headers and padding count as well, so that nothing of it is without a limit.
    let mut archive = tar::Archive::new(zstd::Decoder::new(packed)?.take(limit));
    let mut top: Option<PathBuf> = None;
    // Raw: extensions that replace a path, or are read into memory whatever they claim as their size, are refused.
    for (number, entry) in archive.entries()?.raw(true).enumerate() {
        ensure!(number < FILES, "it holds more than {FILES} files");
        let mut entry = entry?;
        let path = inside(&entry.path()?)?;
        let named = entry.path()?.display().to_string();
        let first: PathBuf = path.components().take(1).collect();
        ensure!(
            top.get_or_insert_with(|| first.clone()) == &first,
            "{named} is not in its one folder"
        );
        let to = folder.join(&path);
        match entry.header().entry_type() {
            tar::EntryType::Directory => std::fs::create_dir_all(&to)?,
            tar::EntryType::Regular if path != first => {
                let size = entry.size();
                ensure!(size <= limit, "{named} claims to have {size} bytes");
                std::fs::create_dir_all(to.parent().unwrap_or(folder))?;
                let mut file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .open(&to)
                    .with_context(|| format!("cannot unpack {named}"))?;
                let written = std::io::copy(&mut entry, &mut file)?;
                ensure!(
                    written == size,
                    "{named} is cut off, or it holds more than {limit} bytes"
                );
            }
            _ => bail!("{named} is neither a file nor a folder"),
        }
    }
    top.context("it is empty")
}

/// The path if it stays inside the folder that it is joined to, without the dots that say nothing.
fn inside(path: &Path) -> anyhow::Result<PathBuf> {
    let mut inside = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => inside.push(name),
            Component::CurDir => {}
            _ => bail!("{} leads out of it", path.display()),
        }
    }
    ensure!(inside.components().next().is_some(), "a file has no name");
    Ok(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(folder: &Path) -> RunFolder {
        let run = RunFolder::create(folder, "khd", "verify").unwrap();
        run.write("timeline.jsonl", b"{}\n").unwrap();
        run.write("ledgers/producer-1.jsonl", &[7; 5000]).unwrap();
        run
    }

    /// An archive of one entry, whose header is made without the care that tar's own writer takes.
    fn archive(path: &str, kind: tar::EntryType, content: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        if kind.is_symlink() {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        let mut archive = tar::Builder::new(Vec::new());
        archive.append(&header, content).unwrap();
        archive.into_inner().unwrap()
    }

    fn refused(archive: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        let packed = zstd::encode_all(archive, 1).unwrap();
        let error = unpack_into(packed.as_slice(), &inner, 1 << 20).unwrap_err();
        // Nothing got out of the folder.
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(std::fs::read_dir(folder.path().join("a")).unwrap().count(), 1);
        format!("{error:#}")
    }

    #[test]
    fn what_was_packed_is_unpacked_under_the_same_name() {
        let folder = tempfile::tempdir().unwrap();
        let run = run(folder.path());
        let bundle = folder.path().join("run.tar.zst");
        let size = pack(&run, &bundle).unwrap();
        assert_eq!(size, std::fs::metadata(&bundle).unwrap().len());
        assert!(size < 5000, "it is not compressed: {size}");
        let unpacked = unpack(&bundle).unwrap();
        assert_eq!(unpacked.run.name(), run.name());
        for file in ["timeline.jsonl", "ledgers/producer-1.jsonl"] {
            let read = |run: &RunFolder| std::fs::read(run.path().join(file)).unwrap();
            assert_eq!(read(&unpacked.run), read(&run), "{file}");
        }
        assert!(unpacked.run.path().join("logs").is_dir());
        let gone = unpacked.run.path().to_owned();
        drop(unpacked);
        assert!(!gone.exists());
    }

    #[test]
    fn a_file_that_is_there_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let run = run(folder.path());
        let bundle = folder.path().join("run.tar.zst");
        std::fs::write(&bundle, "mine").unwrap();
        let error = pack(&run, &bundle).unwrap_err();
        assert!(error.to_string().contains("is there already"), "{error}");
        assert_eq!(std::fs::read(&bundle).unwrap(), b"mine");
    }

    #[test]
    fn nothing_leads_out_of_the_folder_and_links_are_refused() {
        use tar::EntryType as Kind;
        for (path, kind, said) in [
            ("/etc/khd", Kind::Regular, "leads out"),
            ("../khd", Kind::Regular, "leads out"),
            ("run/../../khd", Kind::Regular, "leads out"),
            ("run/link", Kind::Symlink, "neither a file nor a folder"),
            ("run/link", Kind::Link, "neither a file nor a folder"),
            ("run/pipe", Kind::Fifo, "neither a file nor a folder"),
            ("run/long", Kind::GNULongName, "neither a file nor a folder"),
            ("alone", Kind::Regular, "neither a file nor a folder"),
            ("./", Kind::Directory, "has no name"),
        ] {
            let error = refused(&archive(path, kind, b"x"));
            assert!(error.contains(said), "{path} {kind:?}: {error}");
        }
    }

    #[test]
    fn two_folders_or_one_file_twice_are_not_a_run() {
        // An archive ends with two empty blocks; without them another one goes on.
        let two = |a: &str, b: &str| {
            let mut first = archive(a, tar::EntryType::Regular, b"x");
            first.truncate(1024);
            first.extend(archive(b, tar::EntryType::Regular, b"x"));
            refused(&first)
        };
        assert!(two("run/a", "other/a").contains("not in its one folder"));
        assert!(two("run/a", "run/a").contains("cannot unpack run/a"));
    }

    #[test]
    fn a_bomb_ends_at_the_limit() {
        let error = refused(&archive("run/zeros", tar::EntryType::Regular, &vec![0; 2 << 20]));
        assert!(error.contains("claims to have"), "{error}");
        // One that lies about its size, or is many files.
        let mut many = Vec::new();
        for number in 0..5 {
            let mut one = archive(&format!("run/{number}"), tar::EntryType::Regular, &vec![0; 1 << 18]);
            one.truncate(one.len() - 1024);
            many.extend(one);
        }
        let error = refused(&many);
        assert!(error.contains("cut off, or it holds more"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_bundle_is_wrong_usage_and_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("notes.txt");
        std::fs::write(&file, "hello").unwrap();
        let error = unpack(&file).unwrap_err();
        assert!(error.to_string().contains("notes.txt is not a bundle"), "{error}");
        let bundle = folder.path().join("run.tar.zst");
        pack(&run(folder.path()), &bundle).unwrap();
        let whole = std::fs::read(&bundle).unwrap();
        std::fs::write(&bundle, &whole[..whole.len() / 2]).unwrap();
        assert!(unpack(&bundle).is_err());
    }
}
