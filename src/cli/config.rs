//! `khd config`.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde_json::{Value, json};

use crate::cli::settings;
use crate::cli::terminal::Output;
use crate::error::Exit;

/// Show every setting, its value, and where it came from
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Settings come from khd.yaml, from variables (KHD_KAFKA__SERVERS=5), and from flags (--set kafka.servers=5);
the last wins.

Examples:
  khd config
  khd config --set kafka.properties.log.retention.ms=60000")]
pub struct Args {
    #[command(flatten)]
    output: Output,
}

pub fn run(args: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    let loaded = settings.wanted()?;
    let mut values = BTreeMap::new();
    flatten(String::new(), serde_json::to_value(&loaded.settings)?, &mut values);
    let origin = |key: &str| loaded.origins.get(key).map_or("default", String::as_str);
    let mut text = String::new();
    if args.output.json() {
        let rows: BTreeMap<_, _> = values
            .iter()
            .map(|(key, value)| (key, json!({"value": value, "from": origin(key)})))
            .collect();
        text = serde_json::to_string_pretty(&rows)? + "\n";
    } else {
        let width = values.keys().map(String::len).max().unwrap_or(0);
        for (key, value) in &values {
            let value = match value {
                Value::String(value) => value.clone(),
                Value::Null => "(derived)".into(),
                other => other.to_string(),
            };
            text += &format!("{key:width$}  {value}  # {}\n", origin(key));
        }
    }
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(Exit::Passed)
}

fn flatten(key: String, value: Value, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, inner) in map {
                let path = if key.is_empty() { name } else { format!("{key}.{name}") };
                flatten(path, inner, into);
            }
        }
        value => {
            into.insert(key, value);
        }
    }
}
