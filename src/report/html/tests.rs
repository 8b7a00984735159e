use super::*;
use crate::verdicts::checks::testing::Drill;
use crate::verdicts::evidence::Evidence;
use crate::verdicts::judge;

fn report(evidence: &Evidence) -> Report {
    Report::of("20261123T051827584-khd-stop-kafka2".into(), evidence, judge(evidence))
}

fn page(evidence: &Evidence) -> String {
    render(&report(evidence), &Lanes::of(evidence)).unwrap()
}

#[test]
fn outcome_facts_and_verdicts_are_there_without_any_script() {
    let page = page(&Drill::good().log_without(7).evidence());
    let body = page.split_once("<script").unwrap().0;
    let body = body.split_once("<body>").unwrap().1;
    for words in [
        "<span class=\"word\">failed</span>",
        "1 of 200 confirmed messages are gone",
        "<dt>Lost</dt>",
        "<code>lost-write</code>",
        "30 checks: 1 failed, 26 passed, 3 skipped",
        "stop of kafka2 is injected",
        "<th scope=\"row\">stop of kafka2</th><td class=\"number\">1.0 s</td>",
    ] {
        assert!(body.contains(words), "{words} is missing:\n{body}");
    }
}

#[test]
fn nothing_in_a_report_ends_the_element_that_it_stands_in() {
    let evidence = Drill::good().evidence();
    let hostile = "</script><script>alert(1)</script><!-- & \u{2028}";
    let mut report = report(&evidence);
    report.sentence = hostile.into();
    report.verdicts[0].summary = hostile.into();
    report.verdicts[0].measured.insert(hostile.into(), hostile.into());
    let mut lanes = Lanes::of(&evidence);
    lanes.partitions[0].topic = hostile.into();
    lanes.command = hostile.into();
    let page = render(&report, &lanes).unwrap();
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("</script").count(), 2);
    assert!(!page.contains("alert(1)</script>") && !page.contains("<!--"));
    // What is embedded is still the same model.
    let (_, data) = page.split_once("id=\"lanes\">").unwrap();
    let (data, _) = data.split_once("</script>").unwrap();
    assert!(!data.contains(['<', '>', '&', '\u{2028}']), "{data}");
    let read: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(read, serde_json::to_value(&lanes).unwrap());
}

#[test]
fn the_policy_allows_this_script_and_this_style_only() {
    let page = page(&Drill::good().evidence());
    let (_, script) = page.rsplit_once("<script>").unwrap();
    let (script, _) = script.split_once("</script>").unwrap();
    let (_, style) = page.split_once("<style>").unwrap();
    let (style, _) = style.split_once("</style>").unwrap();
    let hash = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)));
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; img-src data:;",
        hash(script),
        hash(style)
    );
    let (_, told) = page
        .split_once("http-equiv=\"Content-Security-Policy\" content=\"")
        .unwrap();
    let told = told
        .split_once("\">")
        .unwrap()
        .0
        .replace("&#x27;", "'")
        .replace("&#39;", "'");
    let told = told
        .replace("&#x2f;", "/")
        .replace("&#x2b;", "+")
        .replace("&#x3d;", "=");
    assert!(told.starts_with(&policy), "{told}");
}

#[test]
fn what_was_not_measured_is_left_out() {
    let good = page(&Drill::good().evidence());
    let without = page(&Drill::good().without_ledgers().evidence());
    for words in [
        "<dt>Confirmed messages</dt>",
        "<dt>Longest pause in writing</dt>",
        "id=\"pauses\"",
    ] {
        assert!(good.contains(words), "{words}");
        assert!(!without.contains(words), "{words}");
    }
}

#[test]
fn recovery_and_availability_are_told_where_checks_measured_them() {
    let evidence = Drill::good().evidence();
    let mut report = report(&evidence);
    for (id, value) in [("time-to-recover", 4_321.0), ("availability", 0.98765)] {
        let verdict = report.verdicts.iter_mut().find(|verdict| verdict.id == id).unwrap();
        verdict.measured.insert("value".into(), value.into());
    }
    let page = render(&report, &Lanes::of(&evidence)).unwrap();
    assert!(page.contains("4.3 s") && page.contains("98.77 %"));
}
