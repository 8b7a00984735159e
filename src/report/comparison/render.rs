//! A comparison as a table for people, and as Markdown: a column for each run.

use std::collections::{BTreeMap, BTreeSet};

use comfy_table::{ContentArrangement, Table, presets};

use super::{Comparison, Phase, Side};
use crate::report::markdown::escape;

/// A row: what it is about, and the cell of each run.
type Row = (String, Vec<String>);

/// A figure of a phase, by its name, in words.
type Figure = (&'static str, fn(&Phase) -> String);

/// As a table.
pub(super) fn table(comparison: &Comparison) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    for (name, cells) in rows(comparison) {
        table.add_row([name].into_iter().chain(cells));
    }
    let lines = table.to_string();
    lines.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// As GitHub's Markdown.
pub(super) fn markdown(comparison: &Comparison) -> String {
    let line = |(name, cells): &Row| {
        let cells: Vec<String> = cells.iter().map(|cell| escape(cell)).collect();
        format!("| {} | {} |\n", escape(name), cells.join(" | "))
    };
    let rows = rows(comparison);
    let rule = "|---".repeat(comparison.runs.len() + 1) + "|\n";
    let (head, body) = rows.split_at(1);
    head.iter()
        .map(line)
        .chain([rule])
        .chain(body.iter().map(line))
        .collect()
}

/// The first is the head.
fn rows(comparison: &Comparison) -> Vec<Row> {
    let of_each = |name: &str, cell: &dyn Fn(&Side) -> String| -> Row {
        (name.to_owned(), comparison.runs.iter().map(cell).collect())
    };
    let or_dash = |cell: Option<String>| cell.unwrap_or_else(|| "–".into());
    let mut rows = vec![
        of_each("", &|side| side.drill.clone()),
        of_each("run", &|side| side.run.clone()),
        of_each("group", &|side| or_dash(side.group.clone())),
        of_each("outcome", &|side| side.status.word().to_owned()),
    ];
    for check in named(comparison, |side| {
        side.measured.iter().map(|one| one.check.as_str()).collect()
    }) {
        let told = |side: &Side| {
            side.measured
                .iter()
                .find(|one| one.check == check)
                .map(|one| one.told.clone())
        };
        let row = of_each(check, &|side| or_dash(told(side)));
        // What is the same in all tells nothing of how they differ.
        if row.1.iter().any(|cell| *cell != row.1[0]) {
            rows.push(row);
        }
    }
    for since in named(comparison, |side| {
        side.phases.iter().map(|phase| phase.since.as_str()).collect()
    }) {
        let phase = |side: &Side| side.phases.iter().find(|phase| phase.since == since).cloned();
        let figures: [Figure; 4] = [
            ("rebalances", |phase| phase.rebalances.to_string()),
            ("partitions revoked", |phase| phase.revoked.to_string()),
            ("longest unread", |phase| seconds(phase.longest_unread_ms)),
            ("unread, summed over partitions", |phase| seconds(phase.unread_ms)),
        ];
        for (figure, told) in figures {
            let name = format!("{since}: {figure}");
            rows.push(of_each(&name, &|side| or_dash(phase(side).map(|phase| told(&phase)))));
        }
    }
    // Of the whole of each run, which comes first.
    let unread = |side: &Side| side.phases.first().map(|all| all.unread.clone());
    let partitions: BTreeSet<String> = comparison
        .runs
        .iter()
        .filter_map(unread)
        .flat_map(BTreeMap::into_keys)
        .collect();
    for partition in partitions {
        let told = |side: &Side| unread(side).map(|of| seconds(of.get(&partition).copied().unwrap_or_default()));
        rows.push(of_each(&format!("{partition}: unread"), &|side| or_dash(told(side))));
    }
    rows
}

/// The names that any of the runs has, in the order in which they come.
fn named<'a>(comparison: &'a Comparison, of: impl Fn(&'a Side) -> Vec<&'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for name in comparison.runs.iter().flat_map(of) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn seconds(ms: u64) -> String {
    format!("{:.1} s", ms as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::comparison::{Measured, SCHEMA};
    use crate::report::testing::report;

    fn comparison() -> Comparison {
        let report = report();
        let measured = |check: &str, value: f64, told: &str| Measured {
            check: check.into(),
            value,
            told: told.into(),
        };
        let phase = |since: &str, revoked, unread_ms| Phase {
            since: since.into(),
            length_ms: 20_000,
            rebalances: 2,
            revoked,
            longest_unread_ms: unread_ms / 4,
            longest_unread: (unread_ms > 0).then(|| "test-1-0".into()),
            unread_ms,
            unread: (unread_ms > 0)
                .then(|| {
                    [
                        ("test-1-0".to_owned(), unread_ms / 4),
                        ("test-2-5".to_owned(), unread_ms * 3 / 4),
                    ]
                })
                .into_iter()
                .flatten()
                .collect(),
        };
        let side = |drill: &str, group: &str, revoked, unread: u64| Side {
            run: format!("20261128T100000000-khd-{drill}"),
            drill: drill.into(),
            started: report.started,
            group: Some(group.into()),
            status: report.status,
            measured: vec![
                measured("lost-write", 0.0, "0"),
                measured("redelivery", unread as f64, &unread.to_string()),
            ],
            phases: vec![
                phase("all of it", revoked, unread),
                phase("kill of consumer-1", revoked, unread),
            ],
        };
        let mut new = side("new", "consumer (uniform)", 3, 0);
        new.phases.pop();
        Comparison {
            schema: SCHEMA,
            runs: vec![side("old", "classic (range,roundrobin)", 30, 8_400), new],
        }
    }

    #[test]
    fn runs_stand_side_by_side_and_what_is_the_same_in_all_is_left_out() {
        insta::assert_snapshot!(table(&comparison()));
    }

    #[test]
    fn markdown_has_a_column_for_each_run() {
        insta::assert_snapshot!(markdown(&comparison()));
    }
}
