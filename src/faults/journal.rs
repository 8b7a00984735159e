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

    /// Journals a fault, then injects it; `begins` is told in between.
    ///
    /// # Errors
    /// When the journal cannot be written, or another fault is in place that takes the same for itself, nothing was touched. When the engine or Kafka fails, the fault may be in place, and stays journaled.
    pub async fn inject(
        &self,
        means: &Means,
        id: u32,
        how: &How,
        targets: Vec<Target>,
        run: &str,
        begins: impl FnOnce(&Injection),
    ) -> anyhow::Result<Injection> {
        how.fault().possible(means).await?;
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
        for entry in &entries {
            if let Some(taken) = injection.contends(entry, &means.topology) {
                let message = format!("{} is in place already, and has {taken}", entry.words());
                return Err(Expected::usage(message)
                    .hint("undo it first: of the two, one would undo the other")
                    .into());
            }
        }
        entries.push(injection.clone());
        self.write(&entries)?;
        begins(&injection);
        how.fault().inject(means, &injection).await?;
        Ok(injection)
    }

    /// Forgets faults all of whose containers are gone: there is nothing left to be undone. Those in Kafka's own state are
    /// in its data, as long as there are volumes.
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
        let in_data = |entry: &Injection| entry.in_kafka() && !project.volumes.is_empty();
        // The engine may just be about to make what a khd that died had asked for.
        let to_come = |entry: &Injection| entry.how.fault().adds() && !project.containers.is_empty();
        entries.retain(|entry| entry.targets.iter().any(there) || in_data(entry) || to_come(entry));
        if entries.len() < before {
            self.write(&entries)
        } else {
            Ok(())
        }
    }

    /// Refuses to change the number of a service's containers where a fault has changed it: undoing the fault would remove
    /// what others count on.
    ///
    /// # Errors
    /// A usage error that names the fault; or when the journal cannot be read.
    pub fn require_not_added(&self, service: &str) -> anyhow::Result<()> {
        let entries = self.entries()?;
        let of_service = |entry: &&Injection| entry.targets.iter().any(|target| target.service == service);
        match entries.iter().filter(|entry| entry.how.fault().adds()).find(of_service) {
            None => Ok(()),
            Some(entry) => Err(Expected::usage(format!(
                "{} is in place, so {service} cannot be scaled",
                entry.words()
            ))
            .hint("undo it first: khd restore")
            .into()),
        }
    }

    /// Refuses to go on where a fault is in place.
    ///
    /// # Errors
    /// An environment error that names it; or when the journal cannot be read.
    pub fn require_empty(&self) -> anyhow::Result<()> {
        match self.entries()?.first() {
            None => Ok(()),
            Some(entry) => Err(Expected::environment(format!("{} is still in place", entry.words()))
                .hint("undo it first: khd restore")
                .into()),
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
            match undo(means, &entry, &mut begins).await {
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

/// Undoes one fault as soon as that can be done.
async fn undo(means: &Means, entry: &Injection, begins: &mut impl FnMut(&Injection)) -> anyhow::Result<()> {
    let fault = entry.how.fault();
    if let Some(moment) = fault.undo_not_before(means, entry).await? {
        // Nothing tells that the moment has come but the clock; it is at most a session's time away.
        let left = Timestamp::now().duration_until(moment);
        tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
    }
    begins(entry);
    fault.undo(means, entry).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::Settings;
    use crate::topology::Topology;

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
    fn two_that_take_the_same_for_themselves_contend() {
        let mut settings = Settings::default();
        settings.topics.names = vec!["a".into(), "b".into()];
        let topology = Topology::of(&settings);
        let of = |how: serde_json::Value, service: &str| Injection {
            how: serde_json::from_value(how).unwrap(),
            ..injection(1, service)
        };
        let taken = |one: (&str, &str), other: (&str, &str)| {
            let of = |(how, service): (&str, &str)| of(json!({ "how": how }), service);
            of(one).contends(&of(other), &topology)
        };
        assert_eq!(
            taken(("stop", "kafka1"), ("pause", "kafka1")).unwrap(),
            "the process of kafka1"
        );
        assert_eq!(
            taken(("rate", "kafka1"), ("delay", "kafka1")).unwrap(),
            "the queue of kafka1"
        );
        // Whatever brokers are named: partitions are shared.
        assert_eq!(
            taken(("move-leaders", "kafka1"), ("move-leaders", "kafka2")).unwrap(),
            "leadership"
        );
        for (one, other) in [
            (("cpu", "kafka1"), ("cpu", "kafka2")),
            (("cpu", "kafka1"), ("memory", "kafka1")),
            (("stop", "kafka1"), ("block", "kafka1")),
            // In chains of their own.
            (("block", "kafka1"), ("block", "kafka1")),
        ] {
            assert_eq!(taken(one, other), None, "{one:?} {other:?}");
        }
        let config = |topic: &str| of(json!({ "how": "config", "topic": topic, "set": {} }), "kafka1");
        assert_eq!(config("a").contends(&config("b"), &topology), None);
        assert_eq!(
            config("a").contends(&config("all"), &topology).unwrap(),
            "the settings of topic a"
        );
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
