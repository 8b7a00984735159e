//! Which faults are in place, on disk: written before a fault is injected, cleared after it is undone.
//!
//! khd may be killed at any moment; whoever comes next reads here what is left to be undone.

use std::path::PathBuf;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::engine::{Engine, Project};
use crate::error::Expected;
use crate::faults::target::Target;
use crate::faults::{Fault, by_name};
use crate::state::write_atomically;

/// The journal of one lab. Only the khd that holds the lab's lock writes it.
#[derive(Debug, Clone)]
pub struct Journal {
    path: PathBuf,
}

/// A fault in place, or about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The fault's name.
    pub fault: String,
    /// What it hits.
    pub target: Target,
    /// When it was journaled, just before it was injected.
    pub since: Timestamp,
    /// The run that injected it.
    pub run: String,
}

impl Journal {
    /// The journal in that file.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Faults in place, oldest first.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn entries(&self) -> anyhow::Result<Vec<Entry>> {
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", self.path.display())),
        };
        serde_json::from_slice(&text).with_context(|| format!("{} is not a journal of faults", self.path.display()))
    }

    /// Journals a fault, then injects it.
    ///
    /// # Errors
    /// When the journal cannot be written, nothing was touched. When the engine fails, the fault may be in place, and
    /// stays journaled.
    pub async fn inject(
        &self,
        engine: &dyn Engine,
        fault: &'static dyn Fault,
        target: &Target,
        run: &str,
    ) -> anyhow::Result<()> {
        let mut entries = self.entries()?;
        entries.push(Entry {
            fault: fault.name().into(),
            target: target.clone(),
            since: Timestamp::now(),
            run: run.into(),
        });
        self.write(&entries)?;
        fault.inject(engine, target).await
    }

    /// Forgets faults on containers that are gone: there is nothing left to be undone.
    ///
    /// # Errors
    /// When the journal cannot be read or written.
    pub fn forget_missing(&self, project: &Project) -> anyhow::Result<()> {
        let mut entries = self.entries()?;
        let before = entries.len();
        entries.retain(|entry| {
            project
                .containers
                .iter()
                .any(|container| container.name == entry.target.container)
        });
        if entries.len() < before {
            self.write(&entries)
        } else {
            Ok(())
        }
    }

    /// Undoes journaled faults, newest first: all of them, or those on one service. Returns what was undone.
    ///
    /// There is no other way to undo a fault, so the way back after a crash is the one that every drill takes.
    ///
    /// # Errors
    /// When the engine fails; what is not undone stays journaled.
    pub async fn undo(&self, engine: &dyn Engine, service: Option<&str>) -> anyhow::Result<Vec<Entry>> {
        let mut undone = Vec::new();
        for entry in self.entries()?.into_iter().rev() {
            if service.is_some_and(|service| service != entry.target.service) {
                continue;
            }
            let fault = by_name(&entry.fault).ok_or_else(|| {
                Expected::environment(format!(
                    "the journal holds a fault `{}` that this khd does not know",
                    entry.fault
                ))
                .hint("restore with the khd that injected it, or remove the lab: khd down")
            })?;
            fault
                .undo(engine, &entry.target, entry.since)
                .await
                .with_context(|| format!("cannot undo {} of {}", entry.fault, entry.target.service))?;
            self.clear(&entry.target)?;
            undone.push(entry);
        }
        Ok(undone)
    }

    fn clear(&self, target: &Target) -> anyhow::Result<()> {
        let mut entries = self.entries()?;
        if let Some(last) = entries.iter().rposition(|entry| entry.target == *target) {
            entries.remove(last);
        }
        self.write(&entries)
    }

    fn write(&self, entries: &[Entry]) -> anyhow::Result<()> {
        write_atomically(&self.path, &serde_json::to_vec_pretty(entries)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(service: &str) -> Target {
        Target {
            service: service.into(),
            number: 1,
            container: format!("khd-{service}-1"),
            session_timeout_ms: None,
        }
    }

    #[test]
    fn a_journal_that_was_never_written_is_empty_and_one_that_is_broken_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("faults.json");
        let journal = Journal::at(path.clone());
        assert_eq!(journal.entries().unwrap(), []);
        std::fs::write(&path, "{").unwrap();
        assert!(
            journal
                .entries()
                .unwrap_err()
                .to_string()
                .contains("faults.json is not a journal")
        );
    }

    #[test]
    fn clearing_one_fault_leaves_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::at(folder.path().join("faults.json"));
        let entry = |service: &str| Entry {
            fault: "stop".into(),
            target: target(service),
            since: Timestamp::UNIX_EPOCH,
            run: "run".into(),
        };
        journal.write(&[entry("kafka1"), entry("kafka2")]).unwrap();
        journal.clear(&target("kafka1")).unwrap();
        assert_eq!(journal.entries().unwrap(), [entry("kafka2")]);
    }
}
