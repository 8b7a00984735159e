//! `khd open`.

use std::io::Write as _;
use std::net::SocketAddr;

use crate::cli::lab::Lab;
use crate::cli::settings;
use crate::cli::terminal::table;
use crate::error::{Exit, Expected};
use crate::topology::{EXPORTER, GRAFANA, KAFKA_EXPORTER, PROMETHEUS, Topology};

/// Print the address of one of the lab's pages, and open it on a desktop
///
/// Without a name, lists the pages that the lab has.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  khd open grafana\n  khd open manager\n  khd open")]
pub struct Args {
    /// The page
    page: Option<Page>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Page {
    /// The dashboards
    Grafana,
    /// Metrics, targets and alerts
    Prometheus,
    /// The cluster: its brokers, topics, groups and messages
    Manager,
    /// The metrics of khd's own exporter
    Exporter,
    /// Those of danielqsj/kafka-exporter
    KafkaExporter,
}

/// A page of a lab: the service that serves it, and where.
struct Served {
    page: Page,
    service: &'static str,
    address: String,
}

pub async fn run(args: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    let lab = Lab::running(settings).await?;
    let project = lab.project().await?;
    let up = |service: &str| project.containers.iter().any(|c| c.service == service && c.is_up());
    let pages = pages(&lab.topology);
    let Some(wanted) = args.page else {
        let rows = pages.into_iter().map(|page| {
            let state = if up(page.service) { "runs" } else { "does not run" };
            vec![page.service.to_owned(), state.to_owned(), page.address]
        });
        let text = table(&["PAGE", "STATE", "ADDRESS"], rows);
        std::io::stdout().write_all(text.as_bytes())?;
        return Ok(Exit::Passed);
    };
    let Some(page) = pages.into_iter().find(|page| page.page == wanted) else {
        return Err(Expected::environment("this lab has no such page")
            .hint("`khd open` lists its pages, `khd config` the settings of its monitoring")
            .into());
    };
    if !up(page.service) {
        return Err(Expected::environment(format!("{} does not run", page.service))
            .hint("`khd status` says why, and what can be done")
            .into());
    }
    println!("{}", page.address);
    if on_desktop()
        && let Err(error) = open::that_detached(&page.address)
    {
        tell!("khd: cannot open a browser: {error}");
    }
    Ok(Exit::Passed)
}

/// The pages that a lab shall have.
fn pages(topology: &Topology) -> Vec<Served> {
    let Some(monitoring) = &topology.monitoring else {
        return Vec::new();
    };
    let served = |page, service, address: SocketAddr, path: &str| Served {
        page,
        service,
        address: format!("http://{address}/{path}"),
    };
    let mut pages = vec![
        served(Page::Prometheus, PROMETHEUS, monitoring.prometheus, ""),
        served(Page::Exporter, EXPORTER, monitoring.exporter, "metrics"),
    ];
    if let Some(ui) = &monitoring.ui {
        pages.push(served(Page::Grafana, GRAFANA, ui.grafana, ""));
        pages.push(served(Page::Manager, ui.manager.service(), ui.managed, ""));
    }
    let kafka_exporter = monitoring.kafka_exporter;
    pages.extend(kafka_exporter.map(|address| served(Page::KafkaExporter, KAFKA_EXPORTER, address, "metrics")));
    pages
}

/// Whether there is someone to see a browser. Without a display, what opens pages might start one in this terminal.
fn on_desktop() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(not(target_os = "linux")) || set("DISPLAY") || set("WAYLAND_DISPLAY")
}
