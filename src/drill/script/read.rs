//! A drill's file → [`Script`], or all that is wrong with it.

use std::collections::BTreeMap;

use clap::ValueEnum as _;
use serde_json::json;

use super::fields::{Fields, Found};
use super::node::{Content, Entry, Node};
use super::problem::Problem;
use super::steps::Steps;
use super::{Course, Script};
use crate::drill::soak::Soak;
use crate::settings::{Flavor, Settings, load};
use crate::timeline::limits::Limits;
use crate::topology::Topology;
use crate::verdicts::{checks, expect};

/// The keys of a drill.
pub(super) const KEYS: [&str; 9] = [
    "name", "purpose", "tags", "flavors", "lab", "steps", "soak", "expect", "skip",
];
/// Parts of the settings that a drill may want otherwise; the others are about where the lab is, not what.
pub(super) const LAB: [&str; 7] = [
    "flavor",
    "zookeeper",
    "kafka",
    "topics",
    "producer",
    "consumer",
    "copier",
];
/// What a name is made of.
pub const NAME_RULE: &str = "lower-case letters, digits and -, a letter first";

/// Reads a drill, for a lab of these settings.
pub(super) fn read(text: &str, base: &Settings) -> Result<Script, Vec<Problem>> {
    let root = Node::read(text).map_err(|problem| vec![problem])?;
    let mut found = Found::default();
    let script = found
        .map(&root, "a drill")
        .and_then(|fields| script(fields, base, &mut found));
    match script {
        Some(script) if found.0.is_empty() => Ok(script),
        _ => Err(found.0),
    }
}

fn script(fields: Fields<'_>, base: &Settings, found: &mut Found) -> Option<Script> {
    found.only(fields, "a drill", &KEYS);
    let name = found
        .needed(fields, "the drill", "name")
        .and_then(|node| name(node, found));
    let purpose = found.needed(fields, "the drill", "purpose");
    let purpose = purpose.and_then(|node| found.text(node, "purpose"));
    let tags = fields.get("tags").map_or_else(Vec::new, |entry| {
        let tags = found.list(&entry.value, "tags").iter();
        tags.filter_map(|tag| self::name(tag, found)).collect()
    });
    let flavors = fields
        .get("flavors")
        .map_or_else(Vec::new, |entry| flavors(entry, found));
    let lab = fields.get("lab");
    let settings = lab.and_then(|lab| settings(lab, base, found));
    let topology = Topology::of(settings.as_ref().unwrap_or(base));
    let course = course(fields, &topology, found);
    let expect = fields.get("expect").map(|entry| expectations(entry, found));
    let skip = fields.get("skip").map(|entry| reasons(entry, found));
    Some(Script {
        name: name?,
        purpose: purpose?,
        tags,
        flavors,
        lab: lab.map_or_else(|| json!({}), |lab| lab.value.value()),
        course: course?,
        expect: expect.unwrap_or_default(),
        skip: skip.unwrap_or_default(),
    })
}

fn name(node: &Node, found: &mut Found) -> Option<String> {
    let name = found.text(node, "a name")?;
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(legal) {
        found.add(Problem::new(node.at, format!("`{name}` is no name ({NAME_RULE})")));
    }
    Some(name)
}

fn flavors(entry: &Entry, found: &mut Found) -> Vec<Flavor> {
    let known = Flavor::value_variants();
    let mut flavors = Vec::new();
    for node in found.list(&entry.value, "flavors") {
        let Some(word) = found.text(node, "a flavor") else {
            continue;
        };
        match known.iter().find(|flavor| flavor.to_string() == word) {
            Some(flavor) => flavors.push(*flavor),
            None => {
                let names: Vec<String> = known.iter().map(Flavor::to_string).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                found.add(Problem::unknown(
                    node.at,
                    format!("there is no flavor `{word}`"),
                    &word,
                    &names,
                ));
            }
        }
    }
    flavors
}

/// The lab's settings with the drill's over them. Each value is tried alone first, so that each wrong one is pointed at.
fn settings(lab: &Entry, base: &Settings, found: &mut Found) -> Option<Settings> {
    let fields = found.map(&lab.value, "lab")?;
    found.only(fields, "lab", &LAB);
    let before = found.0.len();
    for entry in fields.entries.iter().filter(|entry| LAB.contains(&entry.key.as_str())) {
        leaves(entry, &mut Vec::new(), base, found);
    }
    if found.0.len() > before || fields.entries.iter().any(|entry| !LAB.contains(&entry.key.as_str())) {
        return None;
    }
    found.keep(load::over(base, &lab.value.value()).map_err(|error| Problem::of(lab.at, error)))
}

fn leaves(entry: &Entry, above: &mut Vec<String>, base: &Settings, found: &mut Found) {
    above.push(entry.key.clone());
    match &entry.value.content {
        Content::Map(entries) if !entries.is_empty() => {
            for entry in entries {
                leaves(entry, above, base, found);
            }
        }
        _ => {
            let alone = above
                .iter()
                .rev()
                .fold(entry.value.value(), |inner, key| json!({ (key): inner }));
            // What cannot work only together is found once all of them are.
            if let Err(error) = load::over(&Settings::default(), &alone)
                && load::over(base, &alone).is_err()
                && error.message.starts_with("lab: ")
            {
                found.add(Problem::of(entry.at, error));
            }
        }
    }
    above.pop();
}

fn course(fields: Fields<'_>, topology: &Topology, found: &mut Found) -> Option<Course> {
    let mut steps = Steps::new(topology, found);
    match (fields.get("steps"), fields.get("soak")) {
        (Some(entry), None) => Some(Course::Steps(steps.all(&entry.value))),
        (None, Some(entry)) => {
            let (length, faults) = steps.soak(&entry.value)?;
            Some(Course::Soak(Soak { length, faults }))
        }
        (Some(_), Some(soak)) => {
            found.add(Problem::new(soak.at, "a drill has either steps or a soak"));
            None
        }
        (None, None) => {
            found.add(Problem::new(fields.at, "the drill lacks `steps`"));
            None
        }
    }
}

fn expectations(entry: &Entry, found: &mut Found) -> Limits {
    let mut limits = Limits::new();
    for entry in found
        .map(&entry.value, "expect")
        .iter()
        .flat_map(|fields| fields.entries)
    {
        let Some(limit) = found.text(&entry.value, "a limit") else {
            continue;
        };
        match expect::parse(&format!("{}{limit}", entry.key)) {
            Ok((id, bound)) => {
                limits.insert(id, bound);
            }
            Err(error) => found.add(Problem::new(entry.at, error)),
        }
    }
    limits
}

fn reasons(entry: &Entry, found: &mut Found) -> BTreeMap<String, String> {
    let mut skip = BTreeMap::new();
    let known: Vec<&str> = checks::ALL.iter().map(|check| check.id()).collect();
    for entry in found.map(&entry.value, "skip").iter().flat_map(|fields| fields.entries) {
        if !known.contains(&entry.key.as_str()) {
            let message = format!("there is no check `{}`", entry.key);
            found.add(Problem::unknown(entry.at, message, &entry.key, &known));
        }
        if let Some(reason) = found.text(&entry.value, "the reason") {
            skip.insert(entry.key.clone(), reason);
        }
    }
    skip
}
