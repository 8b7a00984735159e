//! The options of faults as flags, and how they become a fault.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::{Expected, nearest};
use crate::faults::How;

/// Each belongs to some faults; `khd faults` tells which. One that a fault does not have is refused.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Options of faults (khd faults tells which has which)")]
pub struct Options {
    /// stop, restart: time between SIGTERM and SIGKILL
    #[arg(long, value_name = "TIME")]
    grace: Option<String>,
    /// cpu: how many cores it may use, such as 0.1
    #[arg(long, value_name = "CORES")]
    cpus: Option<f64>,
    /// memory: how much it may use, such as 600m
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    /// block: which traffic: brokers, zookeeper, controllers, clients, or a port; several with commas
    #[arg(long, value_name = "TRAFFIC", value_delimiter = ',')]
    traffic: Vec<String>,
    /// block: both, in or out
    #[arg(long, value_name = "DIRECTION")]
    direction: Option<String>,
    /// loss: how many of a hundred packets are dropped
    #[arg(long, value_name = "PERCENT")]
    percent: Option<f64>,
    /// rate: how much it may send, such as 1mbit
    #[arg(long, value_name = "RATE")]
    rate: Option<String>,
    /// delay: by how much each packet is late, such as 100ms
    #[arg(long, value_name = "TIME")]
    delay: Option<String>,
    /// delay: by how much that varies
    #[arg(long, value_name = "TIME")]
    jitter: Option<String>,
    /// config: the topic whose settings change, or all; without it those of the broker
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// config: a setting of Kafka's, such as min.insync.replicas=3; several times for several
    #[arg(long = "setting", value_name = "KEY=VALUE", value_parser = crate::cli::settings::key_value)]
    set: Vec<(String, String)>,
    /// add: how many more of each service that is named
    #[arg(long, value_name = "N")]
    replicas: Option<u16>,
    /// partition: the first set still hears the others, but they do not hear it
    #[arg(long)]
    pub one_way: bool,
}

impl Options {
    /// The fault of that name, with those of these options that were given, and sets of names where it cuts sets.
    ///
    /// # Errors
    /// A usage error when there is no such fault, or when it has no such option.
    pub fn how(&self, name: &str, sets: Option<&[Vec<String>]>) -> Result<How, Expected> {
        let all = How::all();
        if !all.iter().any(|how| how.name() == name) {
            let names = all.iter().map(How::name);
            let near = nearest(name, names.clone());
            let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
            let known: Vec<&str> = names.collect();
            let hint = format!("{near}there are {}; khd faults explains them", known.join(", "));
            return Err(Expected::usage(format!("there is no fault `{name}`")).hint(hint));
        }
        if name == "partition" && sets.is_none() {
            return Err(Expected::usage("a partition needs sets that are cut from each other")
                .hint("khd fail --partition kafka1,zookeeper1/kafka2,kafka3,zookeeper2,zookeeper3"));
        }
        let mut given = self.given();
        if let Some(sets) = sets {
            given.insert("sets".into(), sets.into());
        }
        let known = meanings().remove(name).unwrap_or_default();
        if let Some(strange) = given.keys().find(|option| !known.contains_key(*option)) {
            let flags: Vec<String> = known.keys().map(|option| flag(option)).collect();
            let flags = if flags.is_empty() {
                format!("{name} has no options")
            } else {
                format!("{name} has {}", flags.join(", "))
            };
            return Err(Expected::usage(format!("{name} has no {}", flag(strange))).hint(flags));
        }
        given.insert("how".into(), name.into());
        serde_json::from_value(Value::Object(given)).map_err(|error| {
            Expected::usage(format!("{name} cannot be done so: {error}"))
                .hint("khd faults explains the options of each fault")
        })
    }

    /// The options that were given, by the names that faults know them by.
    fn given(&self) -> Map<String, Value> {
        let text = |value: &Option<String>| value.clone().map(Value::from);
        let number = |value: Option<f64>| {
            let whole = value.filter(|value| value.fract() == 0.0 && value.abs() < 1e9);
            whole.map(|value| Value::from(value as i64)).or(value.map(Value::from))
        };
        let some = |is: bool, value: Value| is.then_some(value);
        let traffic = self
            .traffic
            .iter()
            .map(|word| word.parse::<u16>().map_or(Value::from(word.as_str()), Value::from));
        let set = self
            .set
            .iter()
            .map(|(key, value)| (key.clone(), Value::from(value.as_str())));
        let named = [
            ("grace", text(&self.grace)),
            ("cpus", number(self.cpus)),
            ("memory", text(&self.memory)),
            ("traffic", some(!self.traffic.is_empty(), traffic.collect())),
            ("direction", text(&self.direction)),
            ("percent", number(self.percent)),
            ("rate", text(&self.rate)),
            ("delay", text(&self.delay)),
            ("jitter", text(&self.jitter)),
            ("topic", text(&self.topic)),
            ("set", some(!self.set.is_empty(), Value::Object(set.collect()))),
            ("replicas", self.replicas.map(Value::from)),
            ("one-way", some(self.one_way, true.into())),
        ];
        let given = named
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        given.collect()
    }
}

/// The flag that sets an option of a fault.
pub fn flag(option: &str) -> String {
    match option {
        // `--set` is about khd's own settings.
        "set" => "--setting".into(),
        "sets" => "--partition".into(),
        option => format!("--{option}"),
    }
}

/// What the options mean, by the names of fault and option, as the JSON Schema of faults tells.
pub fn meanings() -> BTreeMap<String, BTreeMap<String, String>> {
    let schema = schemars::schema_for!(How).to_value();
    let faults = schema["oneOf"].as_array().into_iter().flatten();
    let told = faults.filter_map(|fault| {
        let name = fault["properties"]["how"]["const"].as_str()?;
        // A fault with options is a definition of its own, beside its name.
        let definition = fault["$ref"]
            .as_str()
            .and_then(|of| schema.pointer(of.strip_prefix('#')?));
        let properties = [Some(fault), definition].into_iter().flatten();
        let properties = properties.filter_map(|of| of["properties"].as_object()).flatten();
        let options = properties.filter(|(option, _)| *option != "how").map(|(option, is)| {
            // The lines of a comment are no lines of a table.
            let words = is["description"].as_str().unwrap_or_default().split_whitespace();
            (option.clone(), words.collect::<Vec<_>>().join(" "))
        });
        Some((name.to_owned(), options.collect()))
    });
    told.collect()
}

/// Reads sets of names that are cut from each other: `kafka1,zookeeper1/kafka2,kafka3`.
///
/// # Errors
/// When there are not at least two sets, or one of them is empty.
pub fn sets(text: &str) -> Result<Vec<Vec<String>>, String> {
    let names = |set: &str| -> Vec<String> { set.split(',').map(|name| name.trim().to_owned()).collect() };
    let sets: Vec<Vec<String>> = text.split('/').map(names).collect();
    if sets.len() < 2 || sets.iter().flatten().any(String::is_empty) {
        return Err(
            "write the sets as names with commas, and a slash between two sets: kafka1,zookeeper1/kafka2,kafka3".into(),
        );
    }
    Ok(sets)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::Args as _;

    use super::*;

    #[test]
    fn every_option_of_every_fault_is_a_flag_and_every_flag_an_option_of_some_fault() {
        let all = Options {
            grace: Some("5s".into()),
            cpus: Some(0.5),
            memory: Some("1g".into()),
            traffic: vec!["brokers".into(), "9092".into()],
            direction: Some("in".into()),
            percent: Some(20.0),
            rate: Some("1mbit".into()),
            delay: Some("1ms".into()),
            jitter: Some("1ms".into()),
            topic: Some("test-1".into()),
            set: vec![("a".into(), "b".into())],
            replicas: Some(2),
            one_way: true,
        };
        let mut flags: BTreeSet<String> = all.given().into_iter().map(|(name, _)| name).collect();
        // It is what --partition says.
        flags.insert("sets".into());
        let known = || meanings().into_values().flatten();
        assert_eq!(flags, known().map(|(option, _)| option).collect::<BTreeSet<_>>());
        let command = crate::cli::fail::Args::augment_args(clap::Command::new("fail"));
        for (option, meaning) in known() {
            let mut flags = command.get_arguments().filter_map(|argument| argument.get_long());
            assert!(flags.any(|name| format!("--{name}") == flag(&option)), "{option}");
            assert!(!meaning.is_empty(), "{option}");
        }
        let named: BTreeSet<String> = meanings().into_keys().collect();
        assert_eq!(
            named,
            How::all()
                .iter()
                .map(|how| how.name().to_owned())
                .collect::<BTreeSet<_>>()
        );
        assert_eq!(all.given()["traffic"], serde_json::json!(["brokers", 9092]));
        assert_eq!(all.given()["percent"], serde_json::json!(20));
    }

    #[test]
    fn an_unknown_fault_or_option_is_refused_with_what_there_is() {
        let grace = Options {
            grace: Some("5s".into()),
            ..Options::default()
        };
        assert_eq!(grace.how("stop", None).unwrap().name(), "stop");
        let error = grace.how("kill", None).unwrap_err();
        assert_eq!(error.message, "kill has no --grace");
        assert_eq!(error.hint.unwrap(), "kill has no options");
        let error = grace.how("block", None).unwrap_err();
        assert_eq!(error.hint.unwrap(), "block has --direction, --traffic");
        let wrong = Options {
            rate: Some("fast".into()),
            ..Options::default()
        };
        let error = wrong.how("rate", None).unwrap_err();
        assert!(error.message.contains("`fast` is no rate"), "{}", error.message);
        let error = grace.how("kil", None).unwrap_err();
        assert!(error.hint.unwrap().starts_with("did you mean `kill`?"));
    }

    #[test]
    fn sets_of_names_are_read_and_what_is_no_set_is_refused() {
        assert_eq!(
            sets("kafka1,zookeeper1/kafka2").unwrap(),
            [
                vec!["kafka1".to_owned(), "zookeeper1".to_owned()],
                vec!["kafka2".to_owned()]
            ]
        );
        for wrong in ["", "kafka1", "kafka1/", "a,/b"] {
            assert!(sets(wrong).is_err(), "{wrong}");
        }
    }
}
