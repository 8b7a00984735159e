//! `khd faults`.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::cli::lab::Lab;
use crate::cli::settings;
use crate::cli::terminal::{Output, table};
use crate::error::{Exit, Expected};
use crate::faults::{Field, How};

/// How long the engine may take to tell what it allows; without an answer the faults are listed all the same.
const WITHIN: Duration = Duration::from_secs(20);

/// List the faults that khd can inject, with their options, and what engine and kernel allow here
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  khd faults\n  khd faults --json | jq -r '.[].fault'")]
pub struct Args {
    #[command(flatten)]
    output: Output,
}

pub async fn run(args: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    let lab = Lab::wanted(settings).await;
    let mut rows = Vec::new();
    for how in How::all() {
        let here = match &lab {
            Ok(lab) => {
                let means = lab.means(lab.topology.expectation(lab.settings.session_timeout()));
                let possible = tokio::time::timeout(WITHIN, how.fault().possible(&means)).await;
                match possible {
                    Ok(Ok(())) => "yes".to_owned(),
                    Ok(Err(error)) => match error.downcast_ref::<Expected>() {
                        Some(expected) => format!("no: {}", expected.message),
                        None => format!("unknown: {error:#}"),
                    },
                    Err(_) => "unknown: the engine does not answer".into(),
                }
            }
            Err(error) => format!("unknown: {error:#}"),
        };
        rows.push((how, here));
    }
    if args.output.json() {
        let list: Vec<Value> = rows
            .iter()
            .map(|(how, here)| {
                json!({
                    "fault": how.name(), "field": field(how.fault().field()), "meaning": how.fault().meaning(),
                    "options": options(how), "stays": how.fault().stays(), "here": here,
                })
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&list)?);
    } else {
        let cells = rows.iter().map(|(how, here)| {
            let names: Vec<String> = options(how).into_iter().map(|(name, _)| name).collect();
            vec![
                how.name().to_owned(),
                field(how.fault().field()).to_owned(),
                names.join(" "),
                here.clone(),
                how.fault().meaning().to_owned(),
            ]
        });
        print!("{}", table(&["FAULT", "FIELD", "OPTIONS", "HERE", "MEANING"], cells));
    }
    Ok(Exit::Passed)
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
fn options(how: &How) -> Map<String, Value> {
    match serde_json::to_value(how) {
        Ok(Value::Object(mut options)) => {
            options.remove("how");
            options
        }
        _ => Map::new(),
    }
}
