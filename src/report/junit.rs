//! JUnit XML, as CI servers read it: one suite a run, one test case a check; of several drills, one suite a drill.
//!
//! failed is a failure; unknown, hung and no-data are errors, because nothing was shown to be wrong; skipped is skipped.

use std::time::Duration;

use chrono::DateTime;
use quick_junit::{NonSuccessKind, Property, TestCase, TestCaseStatus, TestSuite};

use crate::report::{Explained, Report};
use crate::verdicts::Status;

/// A drill, and what it came to.
pub struct Drill<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its report, or else what became of it, and why it has none.
    pub outcome: Result<&'a Report, (Status, &'a str)>,
}

/// Renders the report as JUnit XML.
pub fn render(report: &Report) -> anyhow::Result<String> {
    let name = report.what().replace(' ', ".");
    together([suite(report, &format!("khd.{name}"))])
}

/// Renders the reports of drills as one JUnit XML.
pub fn drills<'a>(drills: impl IntoIterator<Item = Drill<'a>>) -> anyhow::Result<String> {
    together(drills.into_iter().map(|drill| {
        let classname = format!("khd.drill.{}", drill.name);
        match drill.outcome {
            Ok(report) => suite(report, &classname),
            Err((status, why)) => {
                let mut suite = TestSuite::new(clean(&classname));
                suite.add_test_case(whole(&classname, status, why));
                suite
            }
        }
    }))
}

fn together(suites: impl IntoIterator<Item = TestSuite>) -> anyhow::Result<String> {
    let mut all = quick_junit::Report::new("khd");
    all.add_test_suites(suites);
    let mut text = all.to_string()?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

fn suite(report: &Report, classname: &str) -> TestSuite {
    let mut suite = TestSuite::new(clean(classname));
    suite.set_time(Duration::from_millis(report.duration_ms));
    if let Some(started) = DateTime::from_timestamp_millis(report.started.as_millisecond()) {
        suite.set_timestamp(started);
    }
    let properties = [
        ("run", Some(&report.run)),
        ("khd", Some(&report.khd)),
        ("command", Some(&report.command)),
        ("drill", report.drill.as_ref()),
    ];
    for (name, value) in properties {
        suite.add_properties(value.map(|value| Property::new(name, clean(value))));
    }
    for fault in &report.faults {
        suite.add_property(Property::new("fault", clean(&fault.words())));
    }
    for verdict in &report.verdicts {
        suite.add_test_case(case(classname, verdict));
    }
    if report.verdicts.is_empty() {
        // A suite without a case would look like success.
        suite.add_test_case(whole(classname, report.status, &report.sentence));
    }
    suite
}

/// The one case of a run that has no verdicts.
fn whole(classname: &str, status: Status, why: &str) -> TestCase {
    let mut case_status = outcome(status);
    case_status.set_message(clean(why)).set_type(status.word());
    let mut case = TestCase::new("judged", case_status);
    case.set_classname(clean(classname));
    case
}

fn outcome(status: Status) -> TestCaseStatus {
    match status {
        Status::Passed => TestCaseStatus::success(),
        Status::Skipped => TestCaseStatus::skipped(),
        Status::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Status::NoData | Status::Hung | Status::Unknown => TestCaseStatus::non_success(NonSuccessKind::Error),
    }
}

fn case(classname: &str, verdict: &Explained) -> TestCase {
    let mut status = outcome(verdict.status);
    if verdict.status != Status::Passed {
        status.set_message(clean(&verdict.summary));
        status.set_type(verdict.status.word());
        if verdict.status != Status::Skipped {
            status.set_description(clean(&format!(
                "{}: {}\n{}",
                verdict.id, verdict.meaning, verdict.source
            )));
        }
    }
    let mut case = TestCase::new(clean(&verdict.id), status);
    case.set_classname(clean(classname));
    case.set_system_out(clean(&verdict.summary));
    if let Some(took) = verdict.took_ms() {
        case.set_time(Duration::from_millis(took));
    }
    case
}

/// Text without the characters that XML 1.0 cannot hold even escaped; each leaves a mark where it was.
fn clean(text: &str) -> String {
    let legal = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    text.chars().map(|c| if legal(c) { c } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    use roxmltree::{Document, Node};

    use super::*;
    use crate::report::testing::{report, verdict};

    fn cases<'a>(document: &'a Document<'a>) -> Vec<Node<'a, 'a>> {
        let named = |node: &Node<'_, '_>| node.has_tag_name("testcase");
        document.descendants().filter(named).collect()
    }

    #[test]
    fn junit_is_written_as_it_ever_was() {
        insta::assert_snapshot!(render(&report()).unwrap());
    }

    #[test]
    fn every_check_is_one_case_and_each_status_is_what_ci_servers_take_it_for() {
        let statuses = [
            (Status::Passed, None),
            (Status::Failed, Some("failure")),
            (Status::Unknown, Some("error")),
            (Status::Hung, Some("error")),
            (Status::NoData, Some("error")),
            (Status::Skipped, Some("skipped")),
        ];
        let mut report = report();
        report.verdicts = statuses.map(|(status, _)| verdict("gap", status, "why")).to_vec();
        let text = render(&report).unwrap();
        let document = Document::parse(&text).unwrap();
        let cases = cases(&document);
        assert_eq!(cases.len(), statuses.len());
        for (case, (status, element)) in cases.iter().zip(statuses) {
            let found = case.children().find(|child| child.attribute("message").is_some());
            assert_eq!(found.map(|found| found.tag_name().name()), element, "{status:?}");
            assert!(found.is_none_or(|found| found.attribute("message") == Some("why")));
        }
        let suite = document
            .descendants()
            .find(|node| node.has_tag_name("testsuite"))
            .unwrap();
        let count = |name: &str| suite.attribute(name).unwrap().to_owned();
        assert_eq!(
            ["tests", "failures", "errors", "skipped"].map(count),
            ["6", "1", "3", "1"]
        );
    }

    #[test]
    fn whatever_a_summary_holds_the_xml_is_well_formed_and_says_it() {
        let nasty = "a <b> & \"c\" ]]> \u{0}\u{1b}[31m\u{b}\u{fffe}\u{ffff} 🦀 é\nnext";
        let mut report = report();
        for status in [Status::Passed, Status::Failed, Status::Unknown, Status::Skipped] {
            report.verdicts = vec![verdict(nasty, status, nasty)];
            report.command = nasty.into();
            report.drill = Some(nasty.into());
            report.faults[0].targets = vec![nasty.into()];
            let text = render(&report).unwrap();
            let document = Document::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            let out = document.descendants().find(|node| node.has_tag_name("system-out"));
            let out: String = out.unwrap().descendants().filter_map(|node| node.text()).collect();
            assert!(out.starts_with("a <b> & \"c\" ]]> "), "{out}");
            assert!(out.contains("🦀 é\nnext"), "{out}");
        }
    }

    #[test]
    fn a_run_that_was_not_judged_is_an_error_and_no_empty_suite() {
        let mut report = report();
        report.verdicts.clear();
        report.status = Status::Unknown;
        report.sentence = "the lab is not healthy".into();
        let text = render(&report).unwrap();
        let document = Document::parse(&text).unwrap();
        let cases = cases(&document);
        assert_eq!(cases.len(), 1);
        let error = cases[0].children().find(|child| child.has_tag_name("error")).unwrap();
        assert_eq!(error.attribute("message"), Some("the lab is not healthy"));
    }
}
