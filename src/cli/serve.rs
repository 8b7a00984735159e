//! `khd serve`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::cli::lab::Lab;
use crate::cli::{interrupt, settings};
use crate::error::{Exit, Expected};
use crate::settings::Settings;
use crate::timeline::record::Timeline;
use crate::timeline::view::View;
use crate::web;
use crate::web::{Site, Watched};

/// The page's port, before the lab's offset.
const PORT: u16 = 8088;
/// Time between two looks whether the lab was brought up with other settings.
const SETTINGS: Duration = Duration::from_secs(1);

/// Show the lab on a page, as it lives
///
/// The page shows servers and clients, leaders and ISR, the group, rates, lag, latency and gaps, faults in place, the run
/// that goes on, and past runs with their reports. It only reads, and only this machine can see it. The lab need not be
/// there yet, and may go and come back.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  khd serve\n  khd serve --port 9999\n  khd serve --project second")]
pub struct Args {
    /// Port on 127.0.0.1, 1024 or above [default: 8088 + ports.offset]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1024..))]
    port: Option<u16>,
}

pub async fn run(args: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    let cancel = interrupt::on_signal("ending", || "nothing is left".into())?;
    let lab = Lab::running(settings).await?;
    let port = args.port.or_else(|| PORT.checked_add(lab.settings.ports.offset));
    let port = port.ok_or_else(|| Expected::usage("8088 + ports.offset is no port").hint("choose one with --port"))?;
    let site = Arc::new(Site::new(lab.state.runs()));
    let listening = || {
        println!("http://127.0.0.1:{port}/");
        tell!("khd: showing lab {}; Ctrl-C ends it", lab.settings.project);
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    tokio::select! {
        served = web::serve(site.clone(), address, listening) => served?,
        shown = show(settings, &site) => shown?,
        () = cancel.cancelled() => {}
    }
    // A signal is how it ends.
    Ok(Exit::Passed)
}

/// Watches the lab, and watches it anew when it is gone, or was brought up with other settings: what was known of it then
/// says nothing of the next one.
async fn show(settings: &settings::Args, site: &Arc<Site>) -> anyhow::Result<()> {
    let mut migrates = false;
    loop {
        let mut lab = Lab::running(settings).await?;
        if migrates {
            lab = lab.to_migrate();
        }
        let expected = lab.topology.expectation(lab.settings.session_timeout());
        let timeline = Timeline::unrecorded();
        let watched = Watched {
            topology: lab.topology.clone(),
            expected: expected.clone(),
            timeline: timeline.clone(),
            dir: lab.dir.clone(),
            runs: lab.state.runs().to_owned(),
        };
        let watching = tokio::spawn(web::watch(watched, site.clone()));
        lab.start(&timeline, &expected, &lab.limits(), &BTreeMap::new());
        let observers = lab.observe_all(&timeline);
        migrates = tokio::select! {
            changed = changed(settings, &lab.settings) => changed.map(|()| false)?,
            () = gone(timeline.view()) => false,
            () = begins_to_migrate(timeline.view()), if !migrates => true,
        };
        watching.abort();
        for observer in observers {
            observer.stop().await;
        }
    }
}

/// Waits until a lab that was there is not any more.
async fn gone(mut view: watch::Receiver<View>) {
    let there = view.wait_for(|view| !view.containers.is_empty()).await.is_ok();
    // A timeline is there for as long as its observers are.
    if !there || view.wait_for(|view| view.containers.is_empty()).await.is_err() {
        std::future::pending().await
    }
}

/// Waits until the lab begins to migrate from ZooKeeper to KRaft: it gets servers that its settings do not tell of.
async fn begins_to_migrate(mut view: watch::Receiver<View>) {
    if view.wait_for(|view| view.migration.is_some()).await.is_err() {
        std::future::pending().await
    }
}

/// Waits until the lab has other settings than these.
async fn changed(settings: &settings::Args, now: &Settings) -> anyhow::Result<()> {
    loop {
        tokio::time::sleep(SETTINGS).await;
        // A file that is just being written, or wrong: what was known goes on to be shown.
        let loaded = settings.state().and_then(|state| settings.of_lab(&state));
        if loaded.is_ok_and(|loaded| loaded.settings != *now) {
            return Ok(());
        }
    }
}
