//! `khd logs`.

use std::io::Write as _;

use futures_util::StreamExt as _;
use futures_util::stream::{SelectAll, select_all};

use crate::cli::lab::Lab;
use crate::cli::settings;
use crate::engine::{Container, LogOptions};
use crate::error::{Exit, Expected, nearest};
use crate::workload::logs::readable;

/// Show what the lab's containers print
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  khd logs kafka2\n  khd logs -f producer consumer\n  khd logs --tail 5")]
pub struct Args {
    /// Services, or containers such as producer-2; all of them when none is named
    services: Vec<String>,
    /// Go on with new lines until interrupted
    #[arg(short, long)]
    follow: bool,
    /// Only the last lines of each container
    #[arg(short = 'n', long, value_name = "N")]
    tail: Option<u32>,
}

pub async fn run(args: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    let lab = Lab::running(settings).await?;
    let containers = chosen(lab.project().await?.containers, &args.services)?;
    let width = containers.iter().map(|c| short(c).len()).max().unwrap_or(0);
    let streams: SelectAll<_> = select_all(containers.iter().map(|container| {
        let options = LogOptions {
            follow: args.follow,
            tail: args.tail,
            since: None,
        };
        let name = short(container);
        lab.engine
            .logs(&container.name, options)
            .map(move |line| (name.clone(), line))
            .boxed()
    }));
    if args.follow {
        return show(streams, width).await;
    }
    // What is there is shown in the order in which it was said, whoever said it.
    let mut lines: Vec<_> = streams.collect().await;
    lines.sort_by_key(|(_, line)| line.as_ref().ok().and_then(|line| line.at));
    show(futures_util::stream::iter(lines), width).await
}

async fn show(
    mut lines: impl futures_util::Stream<Item = (String, anyhow::Result<crate::engine::LogLine>)> + Unpin,
    width: usize,
) -> anyhow::Result<Exit> {
    while let Some((name, line)) = lines.next().await {
        let line = line?;
        let text = readable(&line.text).unwrap_or(line.text);
        writeln!(std::io::stdout(), "{name:width$}  {text}")?;
    }
    Ok(Exit::Passed)
}

fn short(container: &Container) -> String {
    format!("{}-{}", container.service, container.number)
}

fn chosen(mut containers: Vec<Container>, names: &[String]) -> Result<Vec<Container>, Expected> {
    for name in names {
        if !containers.iter().any(|c| c.service == *name || short(c) == *name) {
            let known: Vec<&str> = containers.iter().map(|c| c.service.as_str()).collect();
            let hint = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "khd ps lists them".into(),
            };
            return Err(Expected::usage(format!("the lab has no service `{name}`")).hint(hint));
        }
    }
    containers.retain(|c| names.is_empty() || names.iter().any(|name| c.service == *name || short(c) == *name));
    Ok(containers)
}
