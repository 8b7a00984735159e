//! What long work tells of itself while it goes on.
//!
//! Whoever shows it reads [`Step`]s from a channel. Nobody listening is fine: work never waits for its audience.

use std::time::{Duration, Instant};

/// Something that long work is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it is about: a container, network, volume, or image.
    pub object: String,
    /// What is being done or is done: `creating`, `created`, `starting`, `started` …, or a line of a build.
    pub action: String,
    /// Whether this action has ended.
    pub done: bool,
    /// How long it has taken, when done.
    pub took: Option<Duration>,
}

/// Where steps are sent.
pub type Progress = tokio::sync::mpsc::UnboundedSender<Step>;

/// Tells of a moment within an action, such as a line of a build.
pub fn note(progress: &Progress, object: &str, action: impl Into<String>) {
    send(progress, object, action.into(), None);
}

/// Tells that an action begins, carries it out, and tells how it ended and how long it took.
///
/// # Errors
/// Those of the action.
pub async fn step<T>(
    progress: &Progress,
    object: &str,
    (doing, done): (&str, &str),
    action: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    send(progress, object, doing.into(), None);
    let began = Instant::now();
    let result = action.await;
    let ended = if result.is_ok() { done } else { "failed" };
    send(progress, object, ended.into(), Some(began.elapsed()));
    result
}

fn send(progress: &Progress, object: &str, action: String, took: Option<Duration>) {
    let step = Step {
        object: object.into(),
        action,
        done: took.is_some(),
        took,
    };
    progress.send(step).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_action_that_fails_is_told_as_failed_and_work_goes_on_without_an_audience() {
        let (progress, mut steps) = tokio::sync::mpsc::unbounded_channel();
        let failing = async { Err::<(), _>(anyhow::anyhow!("no")) };
        assert!(step(&progress, "c", ("creating", "created"), failing).await.is_err());
        assert_eq!(steps.recv().await.unwrap().action, "creating");
        let last = steps.recv().await.unwrap();
        assert_eq!(
            (last.action.as_str(), last.done, last.took.is_some()),
            ("failed", true, true)
        );
        drop(steps);
        let fine = async { Ok(1) };
        assert_eq!(step(&progress, "c", ("creating", "created"), fine).await.unwrap(), 1);
    }
}
