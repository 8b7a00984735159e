//! One khd at a time on one lab.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use anyhow::Context as _;

use crate::error::Expected;

/// The right to change a lab, held until dropped. The kernel takes it back when khd dies, however it dies.
#[derive(Debug)]
pub struct LabLock {
    _file: File,
}

impl LabLock {
    pub(super) fn take(path: &Path, command: &str) -> anyhow::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                return Err(
                    Expected::environment(format!("another khd is working on this lab: {}", holder.trim()))
                        .hint("wait until it is done, or work on another lab with --project")
                        .into(),
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        // What a second khd tells its user. Overwritten in place: the lock is on this very file.
        let holder = format!(
            "`{command}`, process {}, since {}\n",
            std::process::id(),
            jiff::Zoned::now().strftime("%F %T")
        );
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(holder.as_bytes()))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_khd_is_told_who_holds_the_lab_and_gets_it_once_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = LabLock::take(&path, "khd fail kafka2").unwrap();
        let error = LabLock::take(&path, "khd down").unwrap_err().to_string();
        assert!(error.contains("`khd fail kafka2`, process"), "{error}");
        drop(held);
        LabLock::take(&path, "khd down").unwrap();
    }
}
