//! Markdown for the summary of a pull request or of a CI job: the outcome, a table, and the details folded away.

use std::fmt::Write as _;

use crate::report::table::mark;
use crate::report::{Explained, Latencies, Report};
use crate::verdicts::Status;

/// Renders the report as GitHub's Markdown.
pub fn render(report: &Report) -> String {
    let mut text = format!(
        "### {} {}: khd, {}\n\n{}\n",
        icon(report.status),
        report.status.word(),
        escape(&report.what()),
        escape(&report.sentence)
    );
    let row = |text: &mut String, verdict: &Explained| {
        let (status, id, summary) = (verdict.status, &verdict.id, &verdict.summary);
        let _ = writeln!(
            text,
            "| {} {} | {} | {} |",
            icon(status),
            status.word(),
            escape(id),
            escape(summary)
        );
    };
    if !report.faults.is_empty() {
        text += "\n| fault | injected | proven | undone | healed |\n|---|---|---|---|---|\n";
        for fault in &report.faults {
            let _ = writeln!(text, "| {} | {} |", escape(&fault.words()), fault.times().join(" | "));
        }
    }
    if !report.verdicts.is_empty() {
        text += "\n| verdict | check | what was found |\n|---|---|---|\n";
        report.verdicts.iter().for_each(|verdict| row(&mut text, verdict));
        for line in report.latency.iter().flat_map(Latencies::lines) {
            let _ = writeln!(text, "\n{}", escape(&line));
        }
        text += "\n<details><summary>What the checks mean</summary>\n\n";
        for Explained {
            id, meaning, source, ..
        } in &report.verdicts
        {
            let _ = writeln!(text, "- **{}**: {} ({})", escape(id), escape(meaning), escape(source));
        }
        text += "\n</details>\n";
    }
    let _ = writeln!(
        text,
        "\n<sub>Run {} of khd {}: {}, {} UTC, {:.1} s</sub>",
        escape(&report.run),
        escape(&report.khd),
        escape(&report.command),
        report.started.strftime("%Y-%m-%d %H:%M:%S"),
        report.duration_ms as f64 / 1000.0
    );
    text
}

fn icon(status: Status) -> &'static str {
    match status {
        Status::Passed => "✅",
        Status::Failed => "❌",
        Status::NoData | Status::Hung | Status::Unknown => "❔",
        Status::Skipped => mark(status),
    }
}

/// Text that stays what it is inside a cell, on one line.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' => escaped.extend(['\\', c]),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::{report, verdict};

    #[test]
    fn markdown_is_written_as_it_ever_was() {
        insta::assert_snapshot!(render(&report()));
    }

    #[test]
    fn nothing_in_a_summary_breaks_the_table_or_becomes_markup() {
        let mut report = report();
        let nasty = "a|b\n| c <img src=x> `code` *bold* &amp; \u{0} 🦀";
        report.verdicts = vec![verdict("gap", Status::Failed, nasty)];
        let text = render(&report);
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), 6, "{text}");
        assert_eq!(
            rows[5],
            r"| ❌ failed | gap | a\|b \| c &lt;img src=x&gt; \`code\` \*bold\* &amp;amp;   🦀 |"
        );
        assert!(!text.contains("<img") && !text.contains('\u{0}'));
    }

    #[test]
    fn a_run_that_was_not_judged_says_why_and_has_no_table() {
        let mut report = report();
        report.verdicts.clear();
        report.faults.clear();
        report.sentence = "the lab is not healthy".into();
        let text = render(&report);
        assert!(text.contains("the lab is not healthy") && !text.contains('|'), "{text}");
    }
}
