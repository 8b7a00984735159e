//! What drills came to: a table for people, JSON for scripts, JUnit for CI servers.

use serde::Serialize;

use crate::cli::terminal::table;
use crate::error::Exit;
use crate::report::Report;
use crate::report::junit;
use crate::verdicts::Status;

/// What one drill came to.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Its name.
    pub drill: String,
    /// The worst of its verdicts; `skipped` where it was not run, `unknown` where it could not be judged.
    pub status: Status,
    /// Longest gap.
    pub gap_ms: Option<f64>,
    /// Longest time to recover.
    pub time_to_recover_ms: Option<f64>,
    /// Acknowledged messages that were lost.
    pub lost: Option<u64>,
    /// The run's name.
    pub run: Option<String>,
    /// What decided all that is random in it.
    pub seed: u64,
    /// The outcome in a sentence, or why there is none.
    pub why: String,
    /// With which code khd would end for it alone.
    #[serde(skip)]
    pub exit: Exit,
    /// All of its verdicts.
    #[serde(skip)]
    pub report: Option<Report>,
}

impl Row {
    /// A drill that was judged.
    pub fn judged(drill: &str, seed: u64, report: Report) -> Self {
        let value = |id: &str| {
            let verdict = report.verdicts.iter().find(|verdict| verdict.id == id);
            verdict
                .and_then(|verdict| verdict.measured.get("value"))
                .and_then(serde_json::Value::as_f64)
        };
        Self {
            drill: drill.to_owned(),
            status: report.status,
            gap_ms: value("gap"),
            time_to_recover_ms: value("time-to-recover"),
            lost: value("lost-write").map(|lost| lost as u64),
            run: Some(report.run.clone()),
            seed,
            why: report.sentence.clone(),
            exit: report.status.exit(),
            report: Some(report),
        }
    }

    /// One that was not.
    pub fn not_judged(drill: &str, seed: u64, run: Option<String>, status: Status, exit: Exit, why: &str) -> Self {
        Self {
            drill: drill.to_owned(),
            status,
            gap_ms: None,
            time_to_recover_ms: None,
            lost: None,
            run,
            seed,
            why: why.to_owned(),
            exit,
            report: None,
        }
    }

    /// Whether it neither passed nor was skipped.
    pub fn is_bad(&self) -> bool {
        !matches!(self.status, Status::Passed | Status::Skipped)
    }

    fn cells(&self) -> Vec<String> {
        let seconds = |ms: Option<f64>| ms.map_or_else(String::new, |ms| format!("{:.1} s", ms / 1000.0));
        vec![
            self.drill.clone(),
            self.status.word().to_owned(),
            seconds(self.gap_ms),
            seconds(self.time_to_recover_ms),
            self.lost.map_or_else(String::new, |lost| lost.to_string()),
            match &self.run {
                Some(run) => run.clone(),
                None => self.why.clone(),
            },
        ]
    }
}

/// All of them as a table.
pub fn as_table(rows: &[Row]) -> String {
    table(
        &["DRILL", "STATUS", "LONGEST GAP", "TO RECOVER", "LOST", "RUN"],
        rows.iter().map(Row::cells),
    )
}

/// All of them as one JUnit XML.
///
/// # Errors
/// When it cannot be written, which would be a defect of khd.
pub fn as_junit(rows: &[Row]) -> anyhow::Result<String> {
    junit::drills(rows.iter().map(|row| junit::Drill {
        name: &row.drill,
        outcome: row.report.as_ref().ok_or((row.status, row.why.as_str())),
    }))
}

/// The worst of their exit codes; skipped ones do not count, unless all are.
pub fn exit(rows: &[Row]) -> Exit {
    let order = [
        Exit::Interrupted,
        Exit::Failed,
        Exit::Usage,
        Exit::Environment,
        Exit::NoVerdict,
        Exit::Passed,
    ];
    let run: Vec<Exit> = rows
        .iter()
        .filter(|row| row.status != Status::Skipped)
        .map(|row| row.exit)
        .collect();
    let worst = order.into_iter().find(|exit| run.contains(exit));
    worst.unwrap_or(Exit::NoVerdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(status: Status, exit: Exit) -> Row {
        Row::not_judged("a-drill", 1, None, status, exit, "no netem")
    }

    #[test]
    fn the_worst_drill_decides_and_skipped_ones_do_not_count() {
        let passed = || row(Status::Passed, Exit::Passed);
        let skipped = || row(Status::Skipped, Exit::NoVerdict);
        let failed = || row(Status::Failed, Exit::Failed);
        let broken = || row(Status::Unknown, Exit::Environment);
        assert_eq!(exit(&[passed(), skipped()]), Exit::Passed);
        assert_eq!(exit(&[skipped()]), Exit::NoVerdict);
        assert_eq!(exit(&[broken(), failed(), passed()]), Exit::Failed);
        assert_eq!(exit(&[passed(), broken()]), Exit::Environment);
    }

    #[test]
    fn each_drill_is_a_suite_and_a_skipped_one_says_why() {
        let text = as_junit(&[
            row(Status::Skipped, Exit::NoVerdict),
            row(Status::Unknown, Exit::Environment),
        ])
        .unwrap();
        let document = roxmltree::Document::parse(&text).unwrap();
        let suites = document.descendants().filter(|node| node.has_tag_name("testsuite"));
        assert_eq!(suites.count(), 2);
        let skipped = document
            .descendants()
            .find(|node| node.has_tag_name("skipped"))
            .unwrap();
        assert_eq!(skipped.attribute("message"), Some("no netem"));
        assert_eq!(
            document.descendants().filter(|node| node.has_tag_name("error")).count(),
            1
        );
    }
}
