//! The JSON Schemas in docs/schemas are those of khd's own types, and refuse what is none of them.
//!
//! `KHD_UPDATE_SCHEMAS=1 cargo test --test schemas` writes them anew after a type has changed.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic, as tests do")]

mod schema;

use std::path::Path;

use khd::report::Report;
use khd::report::comparison::Comparison;
use khd::timeline::event::Event;
use khd::workload::audit::LogSummary;
use khd::workload::ledger::Line;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema as Generated};
use serde_json::{Value, json};

use schema::Schema;

/// As it is written: what may be left out is not required.
fn generated<T: JsonSchema>(title: &str) -> Generated {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    refuse_others(&mut schema);
    schema
}

/// Refuses fields that are none: a misspelt one would otherwise be taken for one that was left out.
fn refuse_others(schema: &mut Generated) {
    let root = schema.ensure_object();
    // The fields of these stand beside their variant's own: the root sees both.
    let variants = root.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let beside: Vec<String> = variants
        .filter_map(|variant| Some(variant.get("$ref")?.as_str()?.to_owned()))
        .collect();
    root.insert("unevaluatedProperties".to_owned(), false.into());
    let definitions = root.get_mut("$defs").and_then(Value::as_object_mut);
    for (name, definition) in definitions.into_iter().flatten() {
        if definition.get("properties").is_some() && !beside.contains(&format!("#/$defs/{name}")) {
            definition["additionalProperties"] = false.into();
        }
    }
}

#[test]
fn the_schemas_in_the_docs_are_those_of_the_types() {
    for (name, schema) in [
        ("timeline", generated::<Event>("A line of timeline.jsonl")),
        ("ledger", generated::<Line>("A line of a ledger")),
        ("log", generated::<LogSummary>("log.json")),
        ("report", generated::<Report>("verdicts.json, and what --json prints")),
        (
            "comparison",
            generated::<Comparison>("What khd report prints of several runs as JSON"),
        ),
        ("drill", khd::drill::script::schema::schema()),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/schemas/{name}.schema.json"));
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("KHD_UPDATE_SCHEMAS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            written,
            text,
            "{} is out of date: KHD_UPDATE_SCHEMAS=1 cargo test --test schemas",
            path.display()
        );
    }
}

fn assigned() -> Value {
    json!({
        "wall": "2026-01-07T09:22:57.123456Z", "elapsed_ms": 12, "source": "consumer-1",
        "event": "partitions-assigned", "group": "test", "generation": 4, "partitions": [["test-1", 0], ["test-1", 1]],
    })
}

#[test]
fn a_run_is_held_to_the_schemas_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, lines: &[Value]| {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(folder.path().join(name), text).unwrap();
    };
    std::fs::create_dir(folder.path().join("ledgers")).unwrap();
    write("ledgers/producer-p.jsonl", &[json!({"line": "closed", "at": 5})]);
    write("log.json", &[json!({"schema": 2, "taken": 5, "partitions": []})]);
    write("timeline.jsonl", &[assigned(), assigned()]);
    assert_eq!(schema::holds_run(folder.path()), 2);
    write("timeline.jsonl", &[assigned(), without(assigned(), "source")]);
    std::panic::catch_unwind(|| schema::holds_run(folder.path())).unwrap_err();
}

fn with(mut value: Value, field: &str, content: Value) -> Value {
    value[field] = content;
    value
}

fn without(mut value: Value, field: &str) -> Value {
    value.as_object_mut().unwrap().remove(field).unwrap();
    value
}

#[test]
fn a_line_of_a_timeline_with_a_missing_misspelt_or_wrong_field_is_refused() {
    let schema = Schema::of("timeline");
    assert_eq!(schema.complaints(&assigned()), [] as [&str; 0]);
    assert_eq!(schema.complaints(&without(assigned(), "generation")), [] as [&str; 0]);
    for (why, line) in [
        ("no time", without(assigned(), "wall")),
        ("no source", without(assigned(), "source")),
        ("no event", without(assigned(), "event")),
        ("no group", without(assigned(), "group")),
        ("no partitions", without(assigned(), "partitions")),
        ("misspelt optional field", with(assigned(), "generaton", json!(4))),
        ("field of another event", with(assigned(), "lost", json!(true))),
        ("unknown event", with(assigned(), "event", json!("partitions-asigned"))),
        ("event of other fields", with(assigned(), "event", json!("gap-opened"))),
        (
            "no partition number",
            with(assigned(), "partitions", json!([["test-1"]])),
        ),
        ("not a time", with(assigned(), "elapsed_ms", json!("12"))),
        ("before the start", with(assigned(), "elapsed_ms", json!(-1))),
        ("no object", json!([])),
    ] {
        assert_ne!(schema.complaints(&line), [] as [&str; 0], "{why}: {line}");
    }
}

#[test]
fn a_line_of_a_ledger_with_a_missing_or_wrong_field_is_refused() {
    let schema = Schema::of("ledger");
    let settled = |acked: Value| {
        let partition = json!({"topic": "t", "partition": 0, "acked": acked, "spans": [[1, 2, 3]]});
        json!({"line": "settled", "at": 5, "horizon": 4, "partitions": [partition]})
    };
    let consumer = || {
        json!({
            "line": "consumer", "schema": 1, "consumer": "c", "host": "h", "started": 1, "group": "g",
            "assignment": "range", "topics": ["t"],
        })
    };
    for line in [settled(json!([[0, 3, 17]])), consumer()] {
        assert_eq!(schema.complaints(&line), [] as [&str; 0], "{line}");
    }
    for (why, line) in [
        ("no horizon", without(settled(json!([])), "horizon")),
        ("unknown line", with(settled(json!([])), "line", json!("setled"))),
        ("no offset", settled(json!([[0, 3]]))),
        ("misspelt field", with(settled(json!([])), "horizons", json!(4))),
        (
            "misspelt inner field",
            with(
                settled(json!([])),
                "partitions",
                json!([{"topic": "t", "partition": 0, "aked": []}]),
            ),
        ),
        ("misspelt field of a header", with(consumer(), "instanc", json!("c"))),
        ("a negative sequence", settled(json!([[-1, 3, 17]]))),
        (
            "no topic",
            with(settled(json!([])), "partitions", json!([{"partition": 0}])),
        ),
    ] {
        assert_ne!(schema.complaints(&line), [] as [&str; 0], "{why}: {line}");
    }
}
