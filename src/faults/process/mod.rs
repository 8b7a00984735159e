//! Faults of processes: they end, they freeze, they get less than they need.

pub mod disk_full;
pub mod kill;
pub mod limits;
pub mod pause;
pub mod restart;
pub mod stop;

use crate::faults::{Injection, Means, Proof, Target};
use crate::timeline::conditions::Lacking;
use crate::timeline::view::View;
use crate::topology::Expectation;

/// Proves that the targets' processes are gone: the engine says so, and nobody answers a server's port.
fn gone(injection: &Injection, expected: &Expectation, view: &View) -> Proof {
    let lacking: Lacking = injection
        .targets
        .iter()
        .flat_map(|target| {
            let (name, state) = (target.name(), state(target, view));
            let up = !matches!(state, Some("exited" | "dead"));
            let up = up.then(|| format!("the engine says that {name} is {}", state.unwrap_or("unknown")));
            let answers = (answers(target, expected, view) == Some(true)).then(|| format!("{name} still answers"));
            up.into_iter().chain(answers)
        })
        .collect();
    if !lacking.is_empty() {
        return Err(lacking);
    }
    let states: Vec<String> = injection
        .targets
        .iter()
        .map(|target| {
            format!(
                "the engine says that {} is {}{}",
                target.name(),
                state(target, view).unwrap_or("gone"),
                if target.is_server(expected) {
                    ", and nobody answers on its port"
                } else {
                    ""
                }
            )
        })
        .collect();
    Ok(states.join("; "))
}

/// Proves that the targets run again, and that servers answer.
fn back(means: &Means, injection: &Injection, view: &View) -> Proof {
    let lacking: Lacking = injection
        .targets
        .iter()
        .flat_map(|target| {
            let (name, state) = (target.name(), state(target, view));
            let down = (state != Some("running")).then(|| format!("{name} is {}", state.unwrap_or("gone")));
            let silent =
                (answers(target, &means.expected, view) == Some(false)).then(|| format!("{name} does not answer"));
            down.into_iter().chain(silent)
        })
        .collect();
    if lacking.is_empty() {
        Ok(format!("{} runs and answers", injection.names()))
    } else {
        Err(lacking)
    }
}

fn state<'a>(target: &Target, view: &'a View) -> Option<&'a str> {
    view.containers
        .get(&(target.service.clone(), target.number))
        .map(String::as_str)
}

/// Whether a server answers on its port; nothing for what is no server.
fn answers(target: &Target, expected: &Expectation, view: &View) -> Option<bool> {
    if !target.is_server(expected) {
        return None;
    }
    Some(match expected.broker_id(&target.service) {
        // One that was not asked yet may be well.
        Some(id) => view.brokers.get(&id).is_none_or(|broker| broker.answers),
        None => view.zookeepers.get(&target.service).is_none_or(Option::is_some),
    })
}
