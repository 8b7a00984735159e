//! The shape of a drill's file for editors: what `read` reads, as a JSON Schema.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::read::LAB;
use crate::drill::condition::Condition;
use crate::faults::How;
use crate::settings::Flavor;
use crate::topology::migration::Phase;
use crate::verdicts::checks;

/// A drill for khd: what is done to a Kafka lab, and what has to hold.
#[derive(JsonSchema)]
#[schemars(title = "Drill", deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape is of use")]
struct Drill {
    /// Its name: lower-case letters, digits and `-`.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9-]*$"))]
    name: String,
    /// What it shows, in a sentence.
    purpose: String,
    /// By which it is found: `khd drill run --tag TAG`. Drills tagged `negative` lose messages on purpose.
    #[serde(default)]
    tags: Vec<String>,
    /// Flavors of labs that it is made for; in others it is skipped. Without this key, any.
    #[serde(default)]
    flavors: Vec<Flavor>,
    /// Settings of khd.yaml that the drill wants, by their own paths; anything else stays as the lab is.
    #[schemars(schema_with = "lab")]
    #[serde(default)]
    lab: Value,
    /// What is done, in order. Faults that are left at the end are undone.
    #[serde(default)]
    steps: Option<Vec<Step>>,
    /// Instead of steps: a mix of faults that is drawn by lot.
    #[serde(default)]
    soak: Option<Soak>,
    /// What is expected of what checks measure, such as `gap: '<= 40s'`.
    #[schemars(schema_with = "expect")]
    #[serde(default)]
    expect: BTreeMap<String, String>,
    /// Checks that do not apply, each with the reason.
    #[schemars(schema_with = "skip")]
    #[serde(default)]
    skip: BTreeMap<String, String>,
}

/// A fault with its options, a wait, or another step.
#[derive(JsonSchema)]
#[schemars(untagged, deny_unknown_fields, rename_all_fields = "kebab-case")]
#[expect(dead_code, reason = "only its shape is of use")]
enum Step {
    /// Injects a fault and proves it.
    #[schemars(schema_with = "fail")]
    Fail(Value),
    /// Undoes the fault of that label, or `all`.
    Restore {
        /// The label, which is the fault's name where it has no other; or `all`.
        restore: String,
    },
    /// Waits until something is true of the lab.
    Until {
        /// What.
        #[schemars(schema_with = "condition")]
        wait_until: String,
        /// How long it may take, such as `60s`.
        within: String,
    },
    /// Lets the workload run.
    Wait {
        /// How long, such as `20s`.
        wait: String,
    },
    /// Changes how many clients run.
    Scale {
        /// How many of each.
        scale: Scale,
    },
    /// Brings a cluster of flavor `zookeeper` to another phase of its migration to KRaft: the next one, or back.
    Migrate {
        /// Which.
        migrate: Phase,
    },
    /// Says something to the reader.
    Note {
        /// What.
        note: String,
    },
    /// Does steps several times.
    Repeat {
        /// How many times.
        #[schemars(range(min = 1, max = 1000))]
        repeat: u32,
        /// The steps.
        steps: Vec<Step>,
    },
    /// Does rows of steps at once.
    Parallel {
        /// The rows.
        parallel: Vec<Vec<Step>>,
    },
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape is of use")]
struct Scale {
    /// How many producers.
    #[schemars(range(max = 50))]
    producer: Option<u16>,
    /// How many consumers.
    #[schemars(range(max = 50))]
    consumer: Option<u16>,
    /// How many copiers.
    #[schemars(range(max = 50))]
    copier: Option<u16>,
}

/// A mix of faults that is drawn by lot; a quarter of the time is calm.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape is of use")]
struct Soak {
    /// How long it takes, such as `10m`.
    r#for: String,
    /// What is drawn from, each with its weight.
    #[schemars(schema_with = "weighted")]
    faults: Vec<Value>,
}

/// The JSON Schema of a drill's file.
pub fn schema() -> Schema {
    let settings = SchemaSettings::draft2020_12();
    settings.into_generator().into_root_schema_for::<Drill>()
}

fn lab(generator: &mut schemars::SchemaGenerator) -> Schema {
    let part = |part: &&str| {
        let schema = match *part {
            "flavor" => generator.subschema_for::<Flavor>().to_value(),
            _ => json!({"type": "object"}),
        };
        ((*part).to_owned(), schema)
    };
    object(LAB.iter().map(part).collect())
}

fn condition(_: &mut schemars::SchemaGenerator) -> Schema {
    let all = Condition::ALL.map(|(_, name, meaning)| json!({"const": name, "description": meaning}));
    schemars::json_schema!({"oneOf": all})
}

fn expect(_: &mut schemars::SchemaGenerator) -> Schema {
    let measuring = checks::ALL.into_iter().filter(|check| check.measure().is_some());
    let limit = r"^\s*(<=?|>=?|=)\s*[0-9].*$";
    let limits = measuring.map(|check| {
        let limit = json!({"type": "string", "pattern": limit, "description": check.meaning()});
        (check.id().to_owned(), limit)
    });
    object(limits.collect())
}

fn skip(_: &mut schemars::SchemaGenerator) -> Schema {
    let reasons = checks::ALL.into_iter().map(|check| {
        let reason = json!({"type": "string", "description": check.meaning()});
        (check.id().to_owned(), reason)
    });
    object(reasons.collect())
}

fn object(properties: Map<String, Value>) -> Schema {
    schemars::json_schema!({"type": "object", "properties": properties, "additionalProperties": false})
}

fn fail(generator: &mut schemars::SchemaGenerator) -> Schema {
    faults(generator, &[])
}

fn weighted(generator: &mut schemars::SchemaGenerator) -> Schema {
    let weight =
        json!({"type": "integer", "minimum": 1, "maximum": 1000, "description": "how often, beside the others"});
    let fault = faults(generator, &[("weight", weight)]);
    schemars::json_schema!({"type": "array", "items": fault, "minItems": 1})
}

/// One shape for each fault: whom it hits, its options, and what else stands beside them. `stop` need not be named.
fn faults(generator: &mut schemars::SchemaGenerator, beside: &[(&str, Value)]) -> Schema {
    let target = json!({"type": "string"});
    let targets = json!({
        "description": "whom it hits: a name, a role such as leader:test-1/0, or several of them",
        "oneOf": [target, {"type": "array", "items": target}, {"type": "null"}],
    });
    let label = json!({"type": "string", "description": "by which it is restored; by default the fault's name"});
    let of_each = How::json_schema(generator);
    let mut shapes = of_each
        .get("oneOf")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    for shape in &mut shapes {
        // A fault with options is a definition of its own, beside its name.
        let options = shape
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|of| of.rsplit('/').next());
        let options = options.and_then(|name| generator.definitions().get(name)).cloned();
        if let (Some(Value::Object(options)), Some(shape)) = (options, shape.as_object_mut()) {
            let own = options
                .get("properties")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default();
            let properties = shape.entry("properties").or_insert_with(|| json!({}));
            if let Some(properties) = properties.as_object_mut() {
                properties.extend(own);
            }
            shape.remove("$ref");
        }
        let is_stop = shape["properties"]["how"]["const"] == "stop";
        shape["properties"]["fail"] = targets.clone();
        shape["properties"]["as"] = label.clone();
        let mut required = vec![json!("fail")];
        required.extend((!is_stop).then(|| json!("how")));
        for (name, schema) in beside {
            shape["properties"][*name] = schema.clone();
            required.push(json!(name));
        }
        shape["required"] = required.into();
        shape["additionalProperties"] = false.into();
    }
    schemars::json_schema!({"oneOf": shapes})
}
