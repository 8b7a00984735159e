//! A table for people, and the sentence below it.

use std::io::IsTerminal as _;

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};

use crate::report::Report;
use crate::verdicts::Status;

/// Renders the report as a table; in colour only on a terminal.
pub fn render(report: &Report) -> String {
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    if !std::io::stdout().is_terminal() {
        // Readers of a pipe or a file search for words: no line is broken for them.
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    for verdict in &report.verdicts {
        let mut status = Cell::new(format!("{} {}", mark(verdict.status), verdict.status.word()));
        if colour {
            status = status.fg(paint(verdict.status)).add_attribute(Attribute::Bold);
        }
        table.add_row(vec![status, Cell::new(&verdict.id), Cell::new(&verdict.summary)]);
    }
    let rows: Vec<String> = table
        .to_string()
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    format!("{}\n\n{}: {}\n", rows.join("\n"), report.status.word(), report.sentence)
}

fn mark(status: Status) -> &'static str {
    match status {
        Status::Passed => "✓",
        Status::Skipped => "–",
        Status::NoData | Status::Hung | Status::Unknown => "?",
        Status::Failed => "✗",
    }
}

fn paint(status: Status) -> Color {
    match status {
        Status::Passed => Color::Green,
        Status::Skipped => Color::DarkGrey,
        Status::NoData | Status::Hung | Status::Unknown => Color::Yellow,
        Status::Failed => Color::Red,
    }
}
