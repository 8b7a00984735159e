//! `khd faults`.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Map, Value, json};

use crate::cli::fail::options::{flag, meanings};
use crate::cli::lab::Lab;
use crate::cli::settings;
use crate::cli::terminal::{Output, table};
use crate::error::{Exit, Expected};
use crate::faults::{Field, How};

/// How long the engine may take to tell what it allows; without an answer the faults are listed all the same.
const WITHIN: Duration = Duration::from_secs(20);

/// List the faults that khd can inject, with their options, and whether engine and kernel allow them here
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  khd faults
  khd faults --json | jq -r '.[] | select(.field == \"network\") | .fault'")]
pub struct Args {
    #[command(flatten)]
    output: Output,
}

pub async fn run(args: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    // Settings that are wrong are to be told; an engine that is not there is no reason to list nothing.
    settings.wanted()?;
    let lab = match Lab::wanted(settings).await {
        Ok(lab) => Some(lab),
        Err(error) => {
            tell!("khd: warning: {error:#}");
            None
        }
    };
    let all = How::all();
    let here = join_all(all.iter().map(|how| possible(lab.as_ref(), how))).await;
    let rows: Vec<(&How, String)> = all.iter().zip(here).collect();
    if args.output.json() {
        let list: Vec<Value> = rows.iter().map(|(how, here)| described(how, here)).collect();
        println!("{}", serde_json::to_string_pretty(&list)?);
        return Ok(Exit::Passed);
    }
    let faults = rows.iter().map(|(how, here)| {
        let (name, fault) = (how.name().to_owned(), how.fault());
        vec![
            name,
            field(fault.field()).to_owned(),
            here.clone(),
            fault.meaning().to_owned(),
        ]
    });
    print!("{}", table(&["FAULT", "FIELD", "HERE", "MEANING"], faults));
    let meanings = meanings();
    let options = all.iter().flat_map(|how| {
        let meanings = &meanings;
        defaults(how).into_iter().map(move |(option, default)| {
            let meaning = meanings.get(how.name()).and_then(|of| of.get(&option));
            vec![
                how.name().to_owned(),
                flag(&option),
                short(&default),
                meaning.cloned().unwrap_or_default(),
            ]
        })
    });
    print!("\n{}", table(&["FAULT", "OPTION", "DEFAULT", "MEANING"], options));
    Ok(Exit::Passed)
}

/// Whether a fault can be injected here: `yes`, `no: REASON`, or `unknown: REASON`.
async fn possible(lab: Option<&Lab>, how: &How) -> String {
    let Some(lab) = lab else {
        return "unknown: no engine".into();
    };
    let means = lab.means(lab.topology.expectation(lab.settings.session_timeout()));
    match tokio::time::timeout(WITHIN, how.fault().possible(&means)).await {
        Ok(Ok(())) => "yes".into(),
        Ok(Err(error)) => match error.downcast_ref::<Expected>() {
            Some(expected) => format!("no: {}", expected.message),
            None => format!("unknown: {error:#}"),
        },
        Err(_) => "unknown: the engine does not answer".into(),
    }
}

fn described(how: &How, here: &str) -> Value {
    let meanings = meanings().remove(how.name()).unwrap_or_default();
    let options = defaults(how).into_iter().map(|(option, default)| {
        let meaning = meanings.get(&option);
        json!({"option": option, "flag": flag(&option), "default": default, "meaning": meaning})
    });
    let fault = how.fault();
    json!({
        "fault": how.name(),
        "field": field(fault.field()),
        "meaning": fault.meaning(),
        "options": options.collect::<Vec<_>>(),
        "stays": fault.stays(),
        "here": here,
    })
}

fn field(field: Field) -> &'static str {
    match field {
        Field::Process => "process",
        Field::Network => "network",
        Field::Kafka => "kafka",
        Field::Client => "client",
    }
}

/// A fault's options, each with what it is when not given.
fn defaults(how: &How) -> Map<String, Value> {
    let told = serde_json::to_value(how).ok();
    let mut options = told.and_then(|told| told.as_object().cloned()).unwrap_or_default();
    options.remove("how");
    // What is not told where it is not given is an option all the same.
    for option in meanings().remove(how.name()).unwrap_or_default().into_keys() {
        options.entry(option).or_insert(Value::Null);
    }
    options
}

/// A default in a table; nothing where there is none.
fn short(default: &Value) -> String {
    match default {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(short).collect::<Vec<_>>().join(","),
        Value::Object(all) if all.is_empty() => String::new(),
        default => default.to_string(),
    }
}
