//! One khd at a time on one lab.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use crate::error::Expected;

/// How often a lock that is held is tried again, and how long to wait before that: `khd serve` may just be looking at it.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(20);

/// The right to change a lab, held until dropped. The kernel takes it back when khd dies, however it dies.
#[derive(Debug)]
pub struct LabLock {
    _file: File,
}

impl LabLock {
    /// Whether some khd holds it. Looking takes it for a moment, which is why taking it is tried more than once.
    pub(super) fn is_held(path: &Path) -> bool {
        let looked = File::open(path).map(|file| file.try_lock_shared());
        matches!(looked, Ok(Err(TryLockError::WouldBlock)))
    }

    pub(super) fn take(path: &Path, command: &str) -> anyhow::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        let mut locked = file.try_lock();
        for _ in 0..TRIES {
            if !matches!(locked, Err(TryLockError::WouldBlock)) {
                break;
            }
            std::thread::sleep(PAUSE);
            locked = file.try_lock();
        }
        match locked {
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
        assert!(LabLock::is_held(&path));
        drop(held);
        assert!(!LabLock::is_held(&path));
        LabLock::take(&path, "khd down").unwrap();
    }
}
