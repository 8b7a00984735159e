//! The Debian that khd's images stand on: pulled, or made by mmdebstrap where no registry is reached.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::engine::progress::note;
use crate::engine::{Engine, Progress};
use crate::error::Expected;

/// The base of khd's own images.
pub const BASE_IMAGE: &str = "khd/debian:bookworm";
/// What is pulled for it.
const UPSTREAM: &str = "debian:bookworm-slim";
const RELEASE: &str = "bookworm";
/// How long mmdebstrap may take; it takes about half a minute where its mirror is near.
const DEADLINE: Duration = Duration::from_secs(900);
/// How many of its last lines are shown when it fails.
const LAST_LINES: usize = 20;
/// What a server in a container never reads.
const LEFT_OUT: [&str; 4] = ["man", "locale", "info", "doc"];
/// Lays out the root file system as Debian's own images do.
const MERGED_USR_HOOKS: &str = "/usr/share/mmdebstrap/hooks/merged-usr";

/// Makes the base image.
pub(super) async fn make(engine: &dyn Engine, progress: &Progress) -> anyhow::Result<()> {
    match taken(engine, UPSTREAM, BASE_IMAGE, progress).await? {
        None => Ok(()),
        Some(no_pull) => bootstrap(engine, progress, &no_pull).await,
    }
}

/// Gives an image that others have made a reference of khd's own, if it is there or can be pulled; or says why it cannot.
///
/// # Errors
/// [`Expected`] failures of the environment, such as an engine that is gone.
pub(super) async fn taken(
    engine: &dyn Engine,
    upstream: &str,
    reference: &str,
    progress: &Progress,
) -> anyhow::Result<Option<anyhow::Error>> {
    let pulled = match engine.image(upstream).await? {
        Some(_) => Ok(()),
        None => {
            note(progress, reference, format!("pulling {upstream}"));
            engine.pull(upstream, progress).await
        }
    };
    match pulled {
        Ok(()) => engine.tag(upstream, reference).await.map(|()| None),
        Err(error) if error.is::<Expected>() => Err(error),
        Err(no_pull) => Ok(Some(no_pull)),
    }
}

async fn bootstrap(engine: &dyn Engine, progress: &Progress, no_pull: &anyhow::Error) -> anyhow::Result<()> {
    note(progress, BASE_IMAGE, format!("{no_pull:#}; making it with mmdebstrap"));
    let folder = tempfile::tempdir().context("cannot make a temporary folder for mmdebstrap")?;
    let archive = folder.path().join("root.tar");
    let refused = |why: String| {
        Expected::environment(format!("cannot make image {BASE_IMAGE}: {no_pull:#}, and {why}")).hint(
            "install Debian's package `mmdebstrap`, let the engine reach a registry that has debian:bookworm-slim, \
             or load such an image as khd/debian:bookworm (`docker load`, `docker tag`)",
        )
    };
    let ran = tokio::time::timeout(DEADLINE, run(&archive, progress)).await;
    ran.map_err(|_| refused(format!("mmdebstrap was not done after {} s", DEADLINE.as_secs())))?
        .map_err(refused)?;
    note(progress, BASE_IMAGE, "importing");
    engine.import(BASE_IMAGE, &archive).await
}

/// Runs mmdebstrap, and says why where it failed.
async fn run(archive: &Path, progress: &Progress) -> Result<(), String> {
    let mut command = Command::new("mmdebstrap");
    command.args(["--variant=minbase", "--include=usr-is-merged"]);
    if Path::new(MERGED_USR_HOOKS).exists() {
        command.arg(format!("--hook-dir={MERGED_USR_HOOKS}"));
    }
    command.args([
        "--aptopt=Acquire::Languages \"none\"",
        "--aptopt=APT::Install-Recommends \"false\"",
    ]);
    for folder in LEFT_OUT {
        command.arg(format!("--dpkgopt=path-exclude=/usr/share/{folder}/*"));
    }
    // Licences have to stay.
    command.arg("--dpkgopt=path-include=/usr/share/doc/*/copyright");
    command.arg(RELEASE).arg(archive);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);

    let mut child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "mmdebstrap is not installed".to_owned(),
        _ => format!("mmdebstrap cannot be run: {error}"),
    })?;
    let mut last = VecDeque::new();
    if let Some(output) = child.stderr.take() {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            note(progress, BASE_IMAGE, line.clone());
            if last.len() == LAST_LINES {
                last.pop_front();
            }
            last.push_back(line);
        }
    }
    let status = child
        .wait()
        .await
        .map_err(|error| format!("mmdebstrap was lost: {error}"))?;
    if status.success() {
        return Ok(());
    }
    let lines: Vec<String> = last.into_iter().map(|line| format!("  {line}")).collect();
    Err(format!(
        "mmdebstrap failed ({status}); its last lines:\n{}",
        lines.join("\n")
    ))
}
