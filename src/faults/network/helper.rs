//! The helper, run in the network namespaces of containers.

use futures_util::future::join_all;

use super::rules;
use crate::engine::Helper;
use crate::error::Expected;
use crate::faults::{Injection, Means, Target, lacking};
use crate::timeline::conditions::Lacking;

/// The exit code with which the helper says that the kernel cannot do it.
const NOT_THIS_KERNEL: i64 = 3;

/// Runs one command of the helper, and gives what it printed; nothing when the container whose network it shall work in does
/// not run. Without a container it works in a namespace of its own.
///
/// # Errors
/// Those of the engine, and what the helper says when it fails; an environment error where the kernel is the reason.
pub(super) async fn run(means: &Means, container: Option<&str>, args: &[&str]) -> anyhow::Result<Option<String>> {
    let helper = Helper {
        project: means.topology.project.clone(),
        purpose: "network".into(),
        image: means.nethelper.clone(),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        network_of: container.map(str::to_owned),
        capabilities: vec!["NET_ADMIN".into()],
        volume: None,
    };
    let Some(output) = means.engine.run_helper(&helper).await? else {
        return Ok(None);
    };
    let place = container.unwrap_or("a namespace of its own");
    let failure = || format!("cannot {} in the network of {place}: {}", args[0], output.stderr.trim());
    match output.exit_code {
        0 => Ok(Some(output.stdout)),
        NOT_THIS_KERNEL => Err(Expected::environment(failure()).into()),
        _ => anyhow::bail!("{}", failure()),
    }
}

/// Runs a command of the helper at every target, all at the same time, and gives what each printed. All are tried before a
/// failure is told.
///
/// # Errors
/// The first of [`run`].
pub(super) async fn at_each<'a>(
    means: &Means,
    targets: &'a [Target],
    args: impl Fn(&Target) -> Vec<String>,
) -> anyhow::Result<Vec<(&'a Target, Option<String>)>> {
    let runs = targets.iter().map(|target| {
        let args = args(target);
        async move {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            anyhow::Ok((target, run(means, Some(&target.container), &args).await?))
        }
    });
    join_all(runs).await.into_iter().collect()
}

/// Takes the rules of a fault away, where they are. Those of a container that does not run are gone with its namespace.
///
/// # Errors
/// Those of [`run`].
pub(super) async fn remove(means: &Means, injection: &Injection) -> anyhow::Result<()> {
    let chain = rules::chain(injection);
    at_each(means, &injection.targets, |_| vec!["remove".into(), chain.clone()]).await?;
    Ok(())
}

/// Takes the queue of a rate or a delay away, where it is.
///
/// # Errors
/// Those of [`run`].
pub(super) async fn unshape(means: &Means, injection: &Injection) -> anyhow::Result<()> {
    at_each(means, &injection.targets, |_| vec!["unshape".into()]).await?;
    Ok(())
}

/// What of a fault is still in the namespaces of its targets: lines of `show` that `mark` is part of.
///
/// # Errors
/// Those of [`run`], as what is lacking.
pub(super) async fn left(means: &Means, injection: &Injection, mark: &str) -> Result<(), Lacking> {
    let shown = at_each(means, &injection.targets, |_| vec!["show".into()])
        .await
        .map_err(lacking)?;
    let left: Lacking = shown
        .into_iter()
        .filter(|(_, shown)| shown.iter().any(|shown| shown.contains(mark)))
        .map(|(target, _)| format!("{} still has rules of it", target.name()))
        .collect();
    if left.is_empty() { Ok(()) } else { Err(left) }
}
