//! The folder of one run: all that is needed to judge it again, without Docker or Kafka.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;

use crate::state::{write_atomically, write_json};

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the folder of a new run, named after the moment, the lab and what is done.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create(runs: &Path, project: &str, what: &str) -> anyhow::Result<Self> {
        // Millisecond names sort by time, and two runs of one lab cannot start in the same one: the lab is locked.
        let name = format!("{}-{project}-{what}", jiff::Zoned::now().strftime("%Y%m%dT%H%M%S%3f"));
        // Whole, because names of files in it are joined to it more than once.
        let path = std::path::absolute(runs.join(name)).context("cannot tell the working directory")?;
        std::fs::create_dir_all(path.join("ledgers"))
            .and_then(|()| std::fs::create_dir_all(path.join("logs")))
            .with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { path })
    }

    /// The folder of a run that was recorded before.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        // Its name is the run's, also where the path ends in `.` or is a link.
        let found = std::fs::canonicalize(path).and_then(|found| std::fs::read_dir(&found).map(|_| found));
        let path = found.with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self { path })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The run's name.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Every event of the run, a line each.
    pub fn timeline(&self) -> PathBuf {
        self.path.join("timeline.jsonl")
    }

    /// What producers were told and what members delivered.
    pub fn ledgers(&self) -> PathBuf {
        self.path.join("ledgers")
    }

    /// What the final read found in the log.
    pub fn log_summary(&self) -> PathBuf {
        self.path.join("log.json")
    }

    /// What the run came to when it was judged first.
    pub fn verdicts(&self) -> PathBuf {
        self.path.join("verdicts.json")
    }

    /// Writes a file of the run, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: impl AsRef<Path>, content: &[u8]) -> anyhow::Result<()> {
        write_atomically(&self.path.join(name), content)
    }

    /// Writes a value as a JSON file of the run, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_json(&self, name: impl AsRef<Path>, value: &impl Serialize) -> anyhow::Result<()> {
        write_json(&self.path.join(name), value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_in_a_relative_folder_has_its_files_in_that_folder() {
        let here = std::env::current_dir().unwrap();
        let runs = tempfile::tempdir_in(&here).unwrap();
        let relative = Path::new(runs.path().file_name().unwrap());
        let run = RunFolder::create(relative, "lab", "verify").unwrap();
        run.write(run.log_summary(), b"{}").unwrap();
        assert_eq!(std::fs::read(run.log_summary()).unwrap(), b"{}");
        assert!(run.path().starts_with(runs.path()));
    }
}
