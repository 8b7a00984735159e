//! Which faults are in place, on disk: written before a fault is injected, cleared after it is undone.
//!
//! khd may be killed at any moment; whoever comes next reads here what is left to be undone.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;

use crate::engine::Project;
use crate::error::Expected;
use crate::faults::{How, Injection, Means, Target};
use crate::state::write_atomically;

/// The journal of one lab. Only the khd that holds the lab's lock writes it.
#[derive(Debug, Clone)]
pub struct Journal {
    path: PathBuf,
}

impl Journal {
    /// The journal in that file.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Faults in place, oldest first.
    ///
    /// # Errors
    /// When the file is there and cannot be read, or holds a fault that this khd does not know.
    pub fn entries(&self) -> anyhow::Result<Vec<Injection>> {
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", self.path.display())),
        };
        serde_json::from_slice(&text).map_err(|error| {
            Expected::environment(format!(
                "{} is not a journal of faults that this khd can read: {error}",
                self.path.display()
            ))
            .hint("restore with the khd that wrote it, or remove the lab: khd down")
            .into()
        })
    }

    /// Journals a fault, then injects it.
    ///
    /// # Errors
    /// When the journal cannot be written, or another such fault of a target would have to be undone first, nothing was
    /// touched. When the engine or Kafka fails, the fault may be in place, and stays journaled.
    pub async fn inject(
        &self,
        means: &Means,
        id: u32,
        how: &How,
        targets: Vec<Target>,
        run: &str,
    ) -> anyhow::Result<Injection> {
        let before = how.fault().remember(means, &targets).await?;
        let injection = Injection {
            id,
            how: how.clone(),
            targets,
            before,
            since: Timestamp::now(),
            run: run.into(),
        };
        let mut entries = self.entries()?;
        if let Some(entry) = entries.iter().find(|entry| entry.would_bring_back(&injection)) {
            let message = format!("{} is in place already", entry.words());
            let hint = "undo it first: each would put back what it found, and that is the other";
            return Err(Expected::usage(message).hint(hint).into());
        }
        entries.push(injection.clone());
        self.write(&entries)?;
        how.fault().inject(means, &injection).await?;
        Ok(injection)
    }

    /// Forgets faults all of whose containers are gone: there is nothing left to be undone.
    ///
    /// # Errors
    /// When the journal cannot be read or written.
    pub fn forget_missing(&self, project: &Project) -> anyhow::Result<()> {
        let mut entries = self.entries()?;
        let before = entries.len();
        let there = |target: &Target| {
            let mut containers = project.containers.iter();
            containers.any(|container| container.name == target.container)
        };
        entries.retain(|entry| entry.targets.iter().any(there));
        if entries.len() < before {
            self.write(&entries)
        } else {
            Ok(())
        }
    }

    /// Undoes journaled faults, newest first, those that `which` picks, and returns them; `begins` is told when undoing
    /// each begins, after what time it had to wait for has passed.
    ///
    /// There is no other way to undo a fault, so the way back after a crash is the one that every drill takes.
    ///
    /// # Errors
    /// The first failure, after all the others were tried; what is not undone stays journaled.
    pub async fn undo(
        &self,
        means: &Means,
        which: impl Fn(&Injection) -> bool,
        mut begins: impl FnMut(&Injection),
    ) -> anyhow::Result<Vec<Injection>> {
        let (mut undone, mut failure) = (Vec::new(), None);
        for entry in self.entries()?.into_iter().rev().filter(which) {
            let fault = entry.how.fault();
            if let Some(moment) = fault.undo_not_before(&entry, &means.expected) {
                // Nothing tells that the moment has come but the clock; it is at most a session's time away.
                let left = Timestamp::now().duration_until(moment);
                tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
            }
            begins(&entry);
            match fault.undo(means, &entry).await {
                Ok(()) => {
                    self.clear(&entry)?;
                    undone.push(entry);
                }
                Err(error) => {
                    let error = error.context(format!("cannot undo {}", entry.words()));
                    failure.get_or_insert(error);
                }
            }
        }
        failure.map_or(Ok(undone), Err)
    }

    fn clear(&self, injection: &Injection) -> anyhow::Result<()> {
        let mut entries = self.entries()?;
        entries.retain(|entry| (entry.id, &entry.run) != (injection.id, &injection.run));
        self.write(&entries)
    }

    fn write(&self, entries: &[Injection]) -> anyhow::Result<()> {
        write_atomically(&self.path, &serde_json::to_vec_pretty(entries)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn injection(id: u32, service: &str) -> Injection {
        Injection {
            id,
            how: How::all().remove(0),
            targets: vec![Target::sample(service)],
            before: serde_json::Value::Null,
            since: Timestamp::UNIX_EPOCH,
            run: "run".into(),
        }
    }

    #[test]
    fn a_journal_that_was_never_written_is_empty_and_one_that_is_broken_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("faults.json");
        let journal = Journal::at(path.clone());
        assert_eq!(journal.entries().unwrap(), []);
        for broken in ["{", r#"[{"id": 1, "how": "of-tomorrow"}]"#] {
            std::fs::write(&path, broken).unwrap();
            let error = journal.entries().unwrap_err().to_string();
            assert!(
                error.contains("faults.json is not a journal of faults that this khd can read"),
                "{error}"
            );
        }
    }

    #[test]
    fn two_that_would_put_back_each_other_s_work_cannot_be_in_place_at_once() {
        let of = |how: &str, service: &str, before: serde_json::Value| Injection {
            how: serde_json::from_value(serde_json::json!({ "how": how })).unwrap(),
            before,
            ..injection(1, service)
        };
        let (some, none) = (serde_json::json!({ "memory": 5 }), serde_json::Value::Null);
        let cpu = of("cpu", "kafka1", some.clone());
        assert!(cpu.would_bring_back(&of("cpu", "kafka1", some.clone())));
        assert!(!cpu.would_bring_back(&of("cpu", "kafka2", some.clone())));
        assert!(!cpu.would_bring_back(&of("memory", "kafka1", some.clone())));
        assert!(!of("stop", "kafka1", none.clone()).would_bring_back(&of("stop", "kafka1", none)));
        // Partitions are shared by brokers, so these meet whomever they hit.
        let moved = of("move-leaders", "kafka1", some.clone());
        assert!(moved.would_bring_back(&of("move-leaders", "kafka2", some)));
    }

    #[test]
    fn clearing_one_fault_leaves_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::at(folder.path().join("faults.json"));
        let (first, second) = (injection(1, "kafka1"), injection(2, "kafka2"));
        journal.write(&[first.clone(), second.clone()]).unwrap();
        journal.clear(&first).unwrap();
        assert_eq!(journal.entries().unwrap(), [second]);
    }
}
