//! A table for people, and the sentence below it.

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};

use crate::report::{Latencies, Report};
use crate::verdicts::Status;

/// Renders the report as a table; in colour and to its width if it is for a terminal.
pub fn render(report: &Report, terminal: bool) -> String {
    let colour = terminal && std::env::var_os("NO_COLOR").is_none();
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // Readers of a pipe or a file search for words: no line is broken for them.
    table.set_content_arrangement(if terminal {
        ContentArrangement::Dynamic
    } else {
        ContentArrangement::Disabled
    });
    for verdict in &report.verdicts {
        let mut status = Cell::new(format!("{} {}", mark(verdict.status), verdict.status.word()));
        if colour {
            status = status.fg(paint(verdict.status)).add_attribute(Attribute::Bold);
        }
        table.add_row(vec![status, Cell::new(&verdict.id), Cell::new(&verdict.summary)]);
    }
    let mut text: String = table
        .to_string()
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect();
    if !report.verdicts.is_empty() {
        text += "\n";
    }
    for fault in &report.faults {
        let [injected, proven, undone, healed] = fault.times();
        text += &format!(
            "{}: injected {injected}, proven {proven}, undone {undone}, healed {healed}\n",
            fault.words()
        );
    }
    for line in report.latency.iter().flat_map(Latencies::lines) {
        text += &(line + "\n");
    }
    text + &format!("{}: {}\n", report.status.word(), report.sentence)
}

pub(super) fn mark(status: Status) -> &'static str {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::report;

    #[test]
    fn the_table_is_written_as_it_ever_was() {
        insta::assert_snapshot!(render(&report(), false));
    }
}
