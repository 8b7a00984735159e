//! What people see: the result's format, steps of long work, and what is waited for.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::engine::{Progress, Step};
use crate::timeline::conditions::Lacking;
use crate::timeline::view::View;

/// How a list or a state is written.
#[derive(Debug, Clone, clap::Args)]
pub struct Output {
    /// Format of the result on stdout
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Short for --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// The formats of lists and states; those of a judged run are in [`report`](crate::report::Format).
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A table for people
    Table,
    /// JSON for scripts
    Json,
}

impl Output {
    /// Whether JSON was asked for.
    pub fn json(&self) -> bool {
        self.json || self.format == Format::Json
    }
}

/// Shows steps of the engine on stderr: a line per object on a terminal, plain lines otherwise.
pub struct Steps {
    sender: Progress,
    shown: JoinHandle<()>,
}

impl Steps {
    /// Begins to show what is sent to [`sender`](Self::sender).
    pub fn show() -> Self {
        let (sender, steps) = mpsc::unbounded_channel();
        let shown = if std::io::stderr().is_terminal() {
            tokio::spawn(show_lines(steps))
        } else {
            tokio::spawn(show_plain(steps))
        };
        Self { sender, shown }
    }

    /// Where steps are sent.
    pub fn sender(&self) -> &Progress {
        &self.sender
    }

    /// Shows what is left and ends.
    pub async fn end(self) {
        drop(self.sender);
        // A painter that failed has nothing more to show.
        let _ = self.shown.await;
    }
}

async fn show_plain(mut steps: mpsc::UnboundedReceiver<Step>) {
    while let Some(step) = steps.recv().await {
        if step.done {
            let took = step
                .took
                .map_or_else(String::new, |took| format!("  {}", seconds(took)));
            tell!("{:<24} {}{took}", step.object, step.action);
        }
    }
}

async fn show_lines(mut steps: mpsc::UnboundedReceiver<Step>) {
    let all = MultiProgress::new();
    let mut bars: HashMap<String, ProgressBar> = HashMap::new();
    while let Some(step) = steps.recv().await {
        let bar = bars.entry(step.object.clone()).or_insert_with(|| {
            let bar = all.add(ProgressBar::new_spinner().with_prefix(step.object.clone()));
            bar.set_style(style("{spinner:.cyan} {prefix:<24} {wide_msg}"));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        if step.done {
            let took = step
                .took
                .map_or_else(String::new, |took| format!("  {}", seconds(took)));
            bar.set_style(style("{prefix:.green} {wide_msg}"));
            bar.set_prefix(format!("✓ {:<24}", step.object));
            bar.finish_with_message(format!("{}{took}", step.action));
        } else {
            bar.set_message(step.action);
        }
    }
}

/// A template of indicatif; one that it cannot read would be a defect, and shows as its default style.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

/// Shows on stderr what is still lacking while something is waited for.
pub async fn watched<T>(
    view: watch::Receiver<View>,
    condition: impl Fn(&View) -> Lacking,
    wait: impl Future<Output = T>,
) -> T {
    let terminal = std::io::stderr().is_terminal();
    let spinner = ProgressBar::new_spinner();
    spinner.set_style(style("{spinner:.cyan} waiting ({elapsed}): {wide_msg}"));
    // Where there is no terminal, a line now and then shows that khd is alive.
    let mut tick = tokio::time::interval(Duration::from_millis(if terminal { 200 } else { 10_000 }));
    tick.reset();
    tokio::pin!(wait);
    loop {
        tokio::select! {
            result = &mut wait => {
                spinner.finish_and_clear();
                return result;
            }
            _ = tick.tick() => {
                let lacking = condition(&view.borrow());
                match (lacking.split_first(), terminal) {
                    (None, _) => {}
                    (Some((first, rest)), true) => {
                        let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
                        spinner.set_message(format!("{first}{more}"));
                        spinner.tick();
                    }
                    (Some(_), false) => tell!("waiting: {}", lacking.join("; ")),
                }
            }
        }
    }
}

/// Rows under a head, for people. Long cells are broken to the width of a terminal, and nowhere else.
pub fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_header(head.to_vec());
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    }
    table.add_rows(rows);
    table
        .to_string()
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned() + "\n")
        .collect()
}
