//! What khd keeps on disk between commands: one folder a lab, one folder a run.
//!
//! ```text
//! <XDG state>/khd/labs/<project>/   lock, settings.yaml (as brought up), faults.json (the journal)
//! <XDG state>/khd/runs/<run>/       all that is needed to judge a run again
//! ```

pub mod bundle;
mod lock;
mod run;

pub use lock::LabLock;
pub use run::RunFolder;

use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use etcetera::BaseStrategy as _;
use serde::Serialize;

use crate::settings::Settings;

/// The folders in which khd keeps its state.
#[derive(Debug, Clone)]
pub struct StateDir {
    root: PathBuf,
    runs: PathBuf,
}

impl StateDir {
    /// khd's folder in the XDG state directory, with runs in a folder of the user's choice if there is one.
    ///
    /// # Errors
    /// When there is no home directory.
    pub fn locate(runs: Option<PathBuf>) -> anyhow::Result<Self> {
        let strategy = etcetera::base_strategy::Xdg::new().context("cannot find the home directory")?;
        let base = strategy.state_dir().unwrap_or_else(|| strategy.data_dir());
        let root = base.join("khd");
        let runs = runs.unwrap_or_else(|| root.join("runs"));
        Ok(Self { root, runs })
    }

    /// The folder of one lab.
    pub fn lab(&self, project: &str) -> LabDir {
        LabDir {
            folder: self.root.join("labs").join(project),
        }
    }

    /// Where runs are kept.
    pub fn runs(&self) -> &Path {
        &self.runs
    }
}

/// What khd keeps of one lab.
#[derive(Debug, Clone)]
pub struct LabDir {
    folder: PathBuf,
}

impl LabDir {
    /// What is kept in that folder.
    #[cfg(test)]
    pub fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Whether some khd works on the lab at this moment.
    pub fn is_at_work(&self) -> bool {
        LabLock::is_held(&self.folder.join("lock"))
    }

    /// Takes the lab for this process; see [`LabLock`].
    ///
    /// # Errors
    /// When another khd works on the lab, or the folder cannot be written.
    pub fn lock(&self, command: &str) -> anyhow::Result<LabLock> {
        std::fs::create_dir_all(&self.folder).with_context(|| format!("cannot create {}", self.folder.display()))?;
        LabLock::take(&self.folder.join("lock"), command)
    }

    /// The journal of faults in place.
    pub fn journal(&self) -> PathBuf {
        self.folder.join("faults.json")
    }

    /// The settings that the lab was brought up with, if it was.
    pub fn settings_file(&self) -> Option<PathBuf> {
        Some(self.settings_path()).filter(|path| path.is_file())
    }

    /// Remembers the settings that the lab is brought up with.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save_settings(&self, settings: &Settings) -> anyhow::Result<()> {
        write_atomically(&self.settings_path(), serde_yaml::to_string(settings)?.as_bytes())
    }

    /// Forgets as what the lab was brought up.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn forget_settings(&self) -> anyhow::Result<()> {
        remove(&self.settings_path())
    }

    /// Forgets the lab: nothing of it is left to be undone.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn forget(&self) -> anyhow::Result<()> {
        self.forget_settings()?;
        remove(&self.journal())
    }

    fn settings_path(&self) -> PathBuf {
        self.folder.join("settings.yaml")
    }
}

/// Writes a file so that a reader, or a crash, sees the old content or the new and nothing between.
///
/// The file is readable by its owner only: client properties may hold a password.
///
/// # Errors
/// When the file cannot be written.
pub fn write_atomically(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    write(path, 0o600, |file| Ok(file.write_all(content)?))
}

/// Writes a value as JSON, as [`write_atomically`] does, without ever holding all of it as text.
///
/// # Errors
/// When the file cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    write(path, 0o600, |file| {
        let mut buffered = BufWriter::new(file);
        serde_json::to_writer(&mut buffered, value)?;
        Ok(buffered.flush()?)
    })
}

/// Writes a file as [`write_atomically`] does, readable by whom the user's umask lets: it is meant to be passed on.
///
/// # Errors
/// When the file cannot be written.
pub fn publish(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    write(path, 0o666, |file| Ok(file.write_all(content)?))
}

/// Removes a file, which may be gone already.
fn remove(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn write(path: &Path, mode: u32, fill: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let write = || -> anyhow::Result<()> {
        let folder = path.parent().context("it has no folder")?;
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new()
            .permissions(std::fs::Permissions::from_mode(mode))
            .tempfile_in(folder)?;
        fill(&mut file)?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
