//! Injected failures: one file a fault, a target to hit, and a journal that outlives khd.
//!
//! A fault is journaled before it is injected ([`journal`]), proven to have taken effect before anything is judged,
//! and undone by whoever comes next: this khd, or `khd restore` and `khd down` after it died.
//! To add a fault, write its file, implement [`Fault`], and add it to [`ALL`].

pub mod journal;
mod kill;
mod stop;
pub mod target;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::engine::Engine;
use crate::faults::target::Target;
use crate::timeline::conditions::Lacking;
use crate::timeline::view::View;
use crate::topology::Expectation;

/// One kind of failure.
#[async_trait]
pub trait Fault: Sync + std::fmt::Debug {
    /// Its name, as in `khd fail --how NAME`.
    fn name(&self) -> &'static str;

    /// One line on what it does.
    fn meaning(&self) -> &'static str;

    /// Injects it.
    ///
    /// # Errors
    /// Those of the engine; the fault may be in place all the same.
    async fn inject(&self, engine: &dyn Engine, target: &Target) -> anyhow::Result<()>;

    /// Undoes it, `since` being when it was journaled. Undoing what is undone already is fine.
    ///
    /// # Errors
    /// Those of the engine; the fault is then still in place.
    async fn undo(&self, engine: &dyn Engine, target: &Target, since: Timestamp) -> anyhow::Result<()>;

    /// What is lacking until it is proven that the fault took effect.
    fn effect(&self, view: &View, expected: &Expectation, target: &Target) -> Lacking;

    /// The proof, in words, once [`effect`](Self::effect) lacks nothing.
    fn proof(&self, view: &View, target: &Target) -> String;

    /// How long the fault may take to show, beyond the time that injecting it takes.
    fn effect_within(&self) -> Duration {
        Duration::from_secs(10)
    }
}

/// Every fault that khd knows.
pub const ALL: [&dyn Fault; 2] = [&stop::Stop, &kill::Kill];

/// The fault of that name.
pub fn by_name(name: &str) -> Option<&'static dyn Fault> {
    ALL.into_iter().find(|fault| fault.name() == name)
}

/// What is lacking until it is proven that a server's process is gone: the engine says so, and nobody answers its port.
fn process_gone(view: &View, expected: &Expectation, target: &Target) -> Lacking {
    let mut lacking = Vec::new();
    match view
        .containers
        .get(&(target.service.clone(), target.number))
        .map(String::as_str)
    {
        Some("exited" | "dead") => {}
        Some(state) => lacking.push(format!("the engine says that {} is {state}", target.service)),
        None => lacking.push(format!("the engine has not told the state of {}", target.service)),
    }
    let answers = match expected.broker_id(&target.service) {
        Some(id) => view.brokers.get(&id).is_none_or(|broker| broker.answers),
        None => view.zookeepers.get(&target.service).is_none_or(Option::is_some),
    };
    if answers {
        lacking.push(format!("{} still answers", target.service));
    }
    lacking
}

fn gone_proof(view: &View, target: &Target) -> String {
    let state = view.containers.get(&(target.service.clone(), target.number));
    format!(
        "the engine says that {} is {}, and nobody answers on its port",
        target.service,
        state.map_or("gone", String::as_str)
    )
}
