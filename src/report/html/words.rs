//! Figures of a report in words for people.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::report::lanes::{Lanes, WorstPause};
use crate::report::{Explained, Report, grouped};
use crate::verdicts::Status;

/// Objects with more entries than this are told in one line.
const MANY: usize = 6;

/// A figure that everybody asks for first.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Fact {
    label: &'static str,
    value: String,
    note: String,
    bad: bool,
}

/// The figures at the head of the page. What was not measured is left out.
pub(super) fn facts(report: &Report, lanes: &Lanes) -> Vec<Fact> {
    let verdicts = &report.verdicts;
    let measured = |id: &str| verdicts.iter().find(|v| v.id == id).map(|v| &v.measured);
    let failed = |id: &str| verdicts.iter().any(|v| v.id == id && v.status == Status::Failed);
    let mut facts = Vec::new();
    let mut add = |label, value: Option<String>, note: String, bad| {
        facts.extend(value.map(|value| Fact {
            label,
            value,
            note,
            bad,
        }));
    };
    let kept = measured("lost-write");
    let count = |name: &str| kept.and_then(|measured| measured.get(name)?.as_u64());
    let lost = count("lost");
    add(
        "Confirmed messages",
        count("acknowledged").map(grouped),
        "acknowledged by the cluster".into(),
        false,
    );
    let lost_note = if lost == Some(0) {
        "every one is in the log"
    } else {
        "confirmed, and not in the log"
    };
    add("Lost", lost.map(grouped), lost_note.into(), lost > Some(0));
    let pauses = lanes.pauses.as_ref();
    for (label, kind, drawn) in [
        (
            "Longest pause in writing",
            "acknowledgement",
            pauses.and_then(|pauses| pauses.worst_unacknowledged.as_ref()),
        ),
        (
            "Longest pause in reading",
            "delivery",
            pauses.and_then(|pauses| pauses.worst_undelivered.as_ref()),
        ),
    ] {
        let (value, note) = pause(measured("gap").and_then(|measured| measured.get(kind)), drawn);
        add(label, value, note, failed("gap"));
    }
    let recovered =
        measured("time-to-recover").and_then(|measured| measured.get("value")?.as_f64().map(|ms| ms as u64));
    let troubled = measured("time-to-recover").and_then(|measured| measured.get("partitions")?.as_object());
    let untroubled = troubled.is_none_or(|partitions| partitions.is_empty());
    let (recovered, note): (_, String) = match recovered {
        Some(0) if untroubled => (Some("none needed".into()), "no write failed, or went unanswered".into()),
        Some(0) => (Some("at once".into()), "others succeeded when a write failed".into()),
        recovered => (
            recovered.map(duration),
            "from the first failed write to the next success".into(),
        ),
    };
    add("Time to recover", recovered, note, failed("time-to-recover"));
    let available = measured("availability").and_then(|measured| measured.get("value")?.as_f64());
    add(
        "Availability",
        available.map(|share| format!("{:.2} %", share * 100.0)),
        "of writes, mean over partitions".into(),
        failed("availability"),
    );
    if let Some(took) = report
        .latency
        .as_ref()
        .and_then(|latency| latency.acknowledgement.as_ref())
    {
        let note = format!("99 of 100 within {}", duration(took.overall.p99_ms as u64));
        add(
            "Usual time to confirm",
            Some(format!("{:.1} ms", took.overall.p50_ms)),
            note,
            false,
        );
    }
    match &lanes.faults[..] {
        [] => {}
        [fault] => {
            let lasted = fault.undone_ms.unwrap_or(lanes.duration_ms) - fault.injected_ms;
            let left = if fault.undone_ms.is_none() {
                ", left in place"
            } else {
                ""
            };
            let note = format!("{} of {}{left}", fault.fault, fault.target);
            add("Fault in place", Some(duration(lasted)), note, false);
        }
        faults => {
            let ends = faults.iter().map(|fault| fault.undone_ms.unwrap_or(lanes.duration_ms));
            let lasted = ends.max().unwrap_or_default() - faults[0].injected_ms;
            let note = format!("within {}", duration(lasted));
            add("Faults", Some(faults.len().to_string()), note, false);
        }
    }
    facts
}

/// The longest pause as the check measured it, or else as it is drawn.
fn pause(measured: Option<&Value>, drawn: Option<&WorstPause>) -> (Option<String>, String) {
    let length = measured.and_then(|kind| kind.get("longest_ms")?.as_u64());
    let partition = measured.and_then(|kind| kind.get("partition")?.as_str());
    match (length, drawn) {
        (Some(0), _) => (Some("none".into()), "never more than 250 ms".into()),
        (Some(length), _) => (
            Some(duration(length)),
            partition.map_or_else(String::new, |partition| format!("on {partition}")),
        ),
        (None, Some(worst)) => (
            Some(duration(worst.pause.1)),
            format!("on {}/{}", worst.topic, worst.partition),
        ),
        (None, None) => (None, String::new()),
    }
}

/// How many checks ended in which way, the worst first.
pub(super) fn tally(verdicts: &[Explained]) -> String {
    use Status::{Failed, Hung, NoData, Passed, Skipped, Unknown};
    let parts: Vec<String> = [Failed, Unknown, Hung, NoData, Passed, Skipped]
        .into_iter()
        .filter_map(|status| {
            let count = verdicts.iter().filter(|v| v.status == status).count();
            (count > 0).then(|| format!("{count} {}", status.word().replace('-', " ")))
        })
        .collect();
    format!("{} checks: {}", verdicts.len(), parts.join(", "))
}

/// What was measured, by name; names within objects are joined by dots.
pub(super) fn measured(values: &Map<String, Value>) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    values.iter().for_each(|(name, value)| flatten(name, value, &mut rows));
    rows
}

fn flatten(name: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    match value {
        Value::Object(entries) if !entries.is_empty() && entries.len() <= MANY => {
            for (inner, value) in entries {
                flatten(&format!("{name}.{inner}"), value, rows);
            }
        }
        other => rows.push((name.to_owned(), told(other))),
    }
}

fn told(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.as_u64().map_or_else(|| number.to_string(), grouped),
        Value::Array(items) if items.is_empty() => "none".into(),
        Value::Array(items) => items.iter().map(told).collect::<Vec<_>>().join(", "),
        Value::Object(entries) => {
            let entries = entries.iter().map(|(name, value)| format!("{name} {}", told(value)));
            entries.collect::<Vec<_>>().join(" · ")
        }
        Value::Bool(truth) => truth.to_string(),
    }
}

/// A length of time as people say it: `850 ms`, `12.4 s`, `2 min 5 s`.
pub(super) fn duration(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..120_000 => format!("{:.1} s", ms as f64 / 1000.0),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1000),
    }
}

/// A moment of the run: `23.456 s`.
pub(super) fn moment(ms: u64) -> String {
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_are_told_as_people_say_them() {
        assert_eq!(
            [0, 850, 20_601, 125_000].map(duration),
            ["0 ms", "850 ms", "20.6 s", "2 min 5 s"]
        );
        assert_eq!(moment(23_056), "23.056 s");
    }

    #[test]
    fn small_objects_are_told_by_entry_and_large_ones_in_one_line() {
        let many: Map<String, Value> = (0..7).map(|n| (format!("t/{n}"), json!(n))).collect();
        let values = json!({"ack": {"longest_ms": 1200, "partitions_ms": many}, "none": null});
        let rows = measured(values.as_object().unwrap());
        assert_eq!(rows[0], ("ack.longest_ms".into(), "1,200".into()));
        assert_eq!(rows[1].0, "ack.partitions_ms");
        assert!(rows[1].1.starts_with("t/0 0 · t/1 1 · "), "{}", rows[1].1);
        assert_eq!(rows[2], ("none".into(), "none".into()));
    }
}
