//! The output of a container as it comes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::anyhow;
use futures_util::stream::{self, Stream, StreamExt as _};

use super::{Held, State, lock};
use crate::engine::LogLine;

/// Time between two looks for new lines.
const LOOK: Duration = Duration::from_millis(20);

/// Someone who follows a container's output.
pub(super) struct Follower {
    state: Arc<Mutex<State>>,
    container: String,
    id: String,
    told: usize,
    cuts: u32,
}

/// What a look finds.
enum Found {
    Lines(Vec<LogLine>),
    Cut,
    End,
}

impl Follower {
    /// Follows from where the output ends now.
    pub(super) fn new(state: Arc<Mutex<State>>, container: &str, held: &Held) -> Self {
        Self {
            state,
            container: container.to_owned(),
            id: held.container.id.clone(),
            told: held.logs.len(),
            cuts: held.cuts,
        }
    }

    /// The lines from now on, until the container stops; an error when the engine dies or the output is cut off.
    pub(super) fn lines(self) -> impl Stream<Item = anyhow::Result<LogLine>> + Send + 'static {
        let batches = stream::unfold(Some(self), |follower| async move {
            let mut follower = follower?;
            loop {
                match follower.look() {
                    Found::Lines(lines) if lines.is_empty() => tokio::time::sleep(LOOK).await,
                    Found::Lines(lines) => {
                        let lines: Vec<_> = lines.into_iter().map(Ok).collect();
                        return Some((lines, Some(follower)));
                    }
                    Found::Cut => {
                        let error = anyhow!("the output of {} was cut off", follower.container);
                        return Some((vec![Err(error)], None));
                    }
                    Found::End => return None,
                }
            }
        });
        batches.flat_map(stream::iter)
    }

    fn look(&mut self) -> Found {
        let state = lock(&self.state);
        if state.dead {
            return Found::Cut;
        }
        let held = state.containers.get(&self.container);
        let Some(held) = held.filter(|held| held.container.id == self.id) else {
            return Found::End;
        };
        if held.cuts != self.cuts {
            return Found::Cut;
        }
        let new = held.logs.get(self.told..).unwrap_or_default().to_vec();
        if new.is_empty() && !held.container.is_up() {
            return Found::End;
        }
        self.told = held.logs.len();
        Found::Lines(new)
    }
}
