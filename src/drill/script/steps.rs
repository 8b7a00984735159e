//! The steps of a drill, and the faults of a soak.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::ValueEnum as _;
use serde_json::{Map, Value};

use super::Step;
use super::fields::{Fields, Found};
use super::node::{Content, Entry, Node, Place};
use super::problem::Problem;
use crate::drill::condition::Condition;
use crate::drill::plan::{Action, Fail};
use crate::faults::selector::Selector;
use crate::faults::{How, Target};
use crate::settings::check::MOST_REPLICAS;
use crate::topology::migration::Phase;
use crate::topology::{CONSUMER, COPIER, PRODUCER, Topology};

/// The key that says what sort of step it is, each with the keys that stand beside it.
pub(super) const SORTS: [(&str, &[&str]); 9] = [
    ("fail", &["how", "as"]),
    ("restore", &[]),
    ("wait-until", &["within"]),
    ("wait", &[]),
    ("scale", &[]),
    ("migrate", &[]),
    ("note", &[]),
    ("repeat", &["steps"]),
    ("parallel", &[]),
];
/// The word for every fault that is in place.
const ALL: &str = "all";
/// More would be a soak.
const MOST_REPEATS: u64 = 1000;

/// Reads steps in their order, and keeps the labels of faults.
pub(super) struct Steps<'a> {
    topology: &'a Topology,
    found: &'a mut Found,
    /// Labels that faults have had so far, each with whether it is in place.
    labels: BTreeMap<String, bool>,
    /// Labels of faults that stay until they are undone.
    in_place: BTreeSet<String>,
    /// How far the steps so far have brought a cluster of ZooKeeper's.
    phase: Phase,
    /// Whether a step so far migrates, though it may have gone back since.
    migrates: bool,
    /// Where links are cut.
    cuts: Vec<Place>,
    /// How many steps that hold others, to be repeated or done at once, are around.
    within: u32,
}

impl<'a> Steps<'a> {
    pub(super) fn new(topology: &'a Topology, found: &'a mut Found) -> Self {
        Self {
            topology,
            found,
            labels: BTreeMap::new(),
            in_place: BTreeSet::new(),
            phase: Phase::ZooKeeper,
            migrates: false,
            cuts: Vec::new(),
            within: 0,
        }
    }

    /// The steps of a whole drill.
    pub(super) fn all(&mut self, node: &Node) -> Vec<Step> {
        let steps = self.row(node, "steps");
        // Who is out by a cut link follows from who keeps the metadata, and while a cluster migrates that is somebody else by
        // and by.
        for at in self.migrates.then_some(&self.cuts).into_iter().flatten() {
            let message =
                "links are not cut in a drill that migrates: khd would not know whom the cluster has to do without";
            self.found
                .add(Problem::new(*at, message).hint("kill, pause or disconnect a server instead"));
        }
        steps
    }

    fn row(&mut self, node: &Node, what: &str) -> Vec<Step> {
        let items = self.found.list(node, what);
        items
            .iter()
            .flat_map(|node| self.step(node).unwrap_or_default())
            .collect()
    }

    /// One step as it is written, which may do several things.
    fn step(&mut self, node: &Node) -> Option<Vec<Step>> {
        let fields = self.found.map(node, "a step")?;
        let known: Vec<&str> = SORTS.iter().map(|(sort, _)| *sort).collect();
        let mut sorts = SORTS
            .iter()
            .filter_map(|(sort, beside)| Some((fields.get(sort)?, *beside)));
        let Some((entry, beside)) = sorts.next() else {
            let key = fields.entries.first().map_or("", |entry| entry.key.as_str());
            let message = format!("there is no step `{key}`");
            self.found.add(Problem::unknown(fields.at, message, key, &known));
            return None;
        };
        if let Some((other, _)) = sorts.next() {
            let message = format!("one step does one thing: `{}` or `{}`", entry.key, other.key);
            self.found
                .add(Problem::new(other.at, message).hint("make it a step of its own, with a `-` before it"));
            return None;
        }
        let sort = entry.key.as_str();
        // Beside a fault stand its options.
        if sort != "fail" {
            let allowed: Vec<&str> = beside.iter().copied().chain([sort]).collect();
            self.found.only(fields, &format!("`{sort}`"), &allowed);
        }
        let action = match sort {
            "fail" => Action::Fail(self.fail(fields, entry, &[])?),
            "restore" => self.restore(&entry.value)?,
            "wait-until" => self.until(fields, &entry.value)?,
            "wait" => Action::Wait(self.found.time(&entry.value, "wait")?),
            "migrate" => self.migrate(&entry.value)?,
            "note" => Action::Note(self.found.text(&entry.value, "a note")?),
            "scale" => return Some(self.scale(&entry.value)),
            "repeat" => {
                let times = self.found.number(&entry.value, "repeat", 1, MOST_REPEATS);
                let steps = self.found.needed(fields, "`repeat`", "steps")?;
                self.within += 1;
                let steps = self.row(steps, "steps");
                self.within -= 1;
                return Some(vec![Step::Repeat(u32::try_from(times?).unwrap_or(u32::MAX), steps)]);
            }
            _ => {
                let rows = self.found.list(&entry.value, "parallel").iter();
                self.within += 1;
                let rows = rows.map(|row| self.row(row, "each row of parallel")).collect();
                self.within -= 1;
                return Some(vec![Step::Parallel(rows)]);
            }
        };
        Some(vec![Step::Do(action)])
    }

    /// A fault with its options beside it; `besides` are keys that are none.
    fn fail(&mut self, fields: Fields<'_>, entry: &Entry, besides: &[&str]) -> Option<Fail> {
        let how = self.how(fields, besides);
        if matches!(how, Some(How::Block(_) | How::Partition(_))) {
            self.cuts.push(fields.at);
        }
        let targets = self.targets(fields, &entry.value, how.as_ref());
        if let (Some(how), Some(targets)) = (&how, &targets) {
            self.makes_sense(fields, how, targets);
        }
        let label = match fields.get("as") {
            Some(label) => self.found.text(&label.value, "a label").inspect(|text| {
                if text == ALL || self.labels.get(text) == Some(&true) {
                    let message = format!("`{text}` cannot be a label here: it means another fault already");
                    self.found.add(Problem::new(label.value.at, message));
                }
            }),
            None => how.as_ref().map(|how| self.free_label(how.name())),
        };
        let label = label?;
        self.labels.insert(label.clone(), true);
        if how.as_ref().is_some_and(|how| how.fault().stays()) {
            self.in_place.insert(label.clone());
        }
        Some(Fail {
            label,
            targets: targets?,
            how: how?,
        })
    }

    /// The fault's name, or with a number where a fault of that name is in place.
    fn free_label(&self, name: &str) -> String {
        let numbered = (2..).map(|number: u32| format!("{name}-{number}"));
        let mut labels = std::iter::once(name.to_owned()).chain(numbered);
        let free = labels.find(|label| self.labels.get(label) != Some(&true));
        free.unwrap_or_else(|| name.to_owned())
    }

    /// Whom a fault hits: who is named, or whom its options imply.
    fn targets(&mut self, fields: Fields<'_>, node: &Node, how: Option<&How>) -> Option<Vec<Selector>> {
        let named = self.named(node)?;
        let Some(how) = how else {
            return Some(named);
        };
        match how.implied_targets() {
            None if named.is_empty() => {
                let message = format!("{} has to be told whom it hits", how.name());
                self.found
                    .add(Problem::new(node.at, message).hint("such as kafka2, controller or leader:test-1/0"));
                None
            }
            None => Some(named),
            Some(_) if !named.is_empty() => {
                let message = format!("{} hits whom its options name", how.name());
                self.found
                    .add(Problem::new(node.at, message).hint("leave `fail` empty"));
                None
            }
            Some(implied) => {
                for target in &implied {
                    let checked = target
                        .check(self.topology)
                        .map_err(|error| Problem::of(fields.at, error));
                    self.found.keep(checked)?;
                }
                Some(implied)
            }
        }
    }

    /// Points at a fault that makes no sense for its targets, or at options that no target could have.
    fn makes_sense(&mut self, fields: Fields<'_>, how: &How, targets: &[Selector]) {
        let examples: Vec<Target> = targets
            .iter()
            .filter_map(|target| target.example(self.topology))
            .collect();
        if let Err(error) = how.fault().check(self.topology, &examples) {
            self.found.add(Problem::of(fields.at, error));
        }
    }

    /// One target, a list of them, or none.
    fn named(&mut self, node: &Node) -> Option<Vec<Selector>> {
        let one = std::slice::from_ref(node);
        let nodes = match &node.content {
            Content::List(items) => items.as_slice(),
            Content::Scalar(Value::Null) => &[],
            _ => one,
        };
        let mut targets = Vec::new();
        for node in nodes {
            let word = self.found.text(node, "a target")?;
            let selector: Result<Selector, _> = word.parse().map_err(|error: String| Problem::new(node.at, error));
            let selector = self.found.keep(selector)?;
            let checked = selector
                .check(self.topology)
                .map_err(|error| Problem::of(node.at, error));
            self.found.keep(checked)?;
            targets.push(selector);
        }
        Some(targets)
    }

    /// The fault by its name, `stop` where none is given. Each option is tried alone, which works because all have
    /// defaults, so that each wrong one is pointed at.
    fn how(&mut self, fields: Fields<'_>, besides: &[&str]) -> Option<How> {
        let name = match fields.get("how") {
            Some(entry) => self.found.text(&entry.value, "how")?,
            None => "stop".into(),
        };
        let all = How::all();
        let names: Vec<&str> = all.iter().map(How::name).collect();
        if !names.contains(&name.as_str()) {
            let at = fields.get("how").map_or(fields.at, |entry| entry.value.at);
            let message = format!("there is no fault `{name}`");
            self.found.add(Problem::unknown(at, message, &name, &names));
            return None;
        }
        let mut options = Map::from_iter([("how".to_owned(), Value::from(name.as_str()))]);
        let mut well = true;
        let beside = |key: &str| ["fail", "how", "as"].contains(&key) || besides.contains(&key);
        for entry in fields.entries.iter().filter(|entry| !beside(&entry.key)) {
            let mut alone = options.clone();
            alone.retain(|key, _| key == "how");
            alone.insert(entry.key.clone(), entry.value.value());
            match serde_json::from_value::<How>(Value::Object(alone)) {
                Ok(_) => {
                    options.insert(entry.key.clone(), entry.value.value());
                }
                Err(error) => {
                    well = false;
                    self.found.add(option(&name, entry, &error.to_string()));
                }
            }
        }
        let whole = serde_json::from_value(Value::Object(options));
        let whole = whole.map_err(|error| Problem::new(fields.at, format!("{name}: {error}")));
        if well { self.found.keep(whole) } else { None }
    }

    fn restore(&mut self, node: &Node) -> Option<Action> {
        let label = self.found.text(node, "restore")?;
        if label == ALL {
            self.labels.values_mut().for_each(|in_place| *in_place = false);
            self.in_place.clear();
            return Some(Action::Restore(None));
        }
        self.in_place.remove(&label);
        match self.labels.get_mut(&label) {
            Some(in_place) => *in_place = false,
            None => {
                let known: Vec<&str> = self.labels.keys().map(String::as_str).chain([ALL]).collect();
                let message = format!("no fault before this is called `{label}`");
                self.found.add(Problem::unknown(node.at, message, &label, &known));
            }
        }
        Some(Action::Restore(Some(label)))
    }

    fn until(&mut self, fields: Fields<'_>, node: &Node) -> Option<Action> {
        let within = self.found.needed(fields, "`wait-until`", "within");
        let within = within.and_then(|node| self.found.time(node, "within"));
        let word = self.found.text(node, "a condition")?;
        let condition = word.parse::<Condition>().map_err(|_| {
            let known = Condition::ALL.map(|(_, name, _)| name);
            Problem::unknown(node.at, format!("there is no condition `{word}`"), &word, &known)
        });
        Some(Action::Until {
            condition: self.found.keep(condition)?,
            within: within?,
        })
    }

    /// To a phase that the one before leads to: each names its phase, so that a drill reads as what the cluster is.
    fn migrate(&mut self, node: &Node) -> Option<Action> {
        let word = self.found.text(node, "a phase")?;
        let all = Phase::value_variants();
        let known: Vec<String> = all.iter().map(Phase::to_string).collect();
        let Some(phase) = all.iter().copied().find(|phase| phase.to_string() == word) else {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let message = format!("there is no phase `{word}` of a migration");
            self.found.add(Problem::unknown(node.at, message, &word, &known));
            return None;
        };
        if self.within > 0 {
            let message = "a migration goes one way, with nothing beside it: it is neither repeated nor in parallel";
            self.found.add(Problem::new(node.at, message));
        }
        if let Some(fault) = self.in_place.first() {
            let message =
                format!("`{fault}` is in place, and servers are restarted one after another only while none is out");
            self.found
                .add(Problem::new(node.at, message).hint(format!("restore: {fault}, in a step before")));
        }
        if !self.phase.leads_to(phase) {
            let next = all.iter().filter(|next| self.phase.leads_to(**next));
            let next: Vec<String> = next.map(Phase::to_string).collect();
            let message = format!("no step leads from {} to {phase}", self.phase);
            let hint = match next.as_slice() {
                [] => "there is no way on or back".to_owned(),
                next => format!("the next is {}", next.join(" or ")),
            };
            self.found.add(Problem::new(node.at, message).hint(hint));
        }
        self.phase = phase;
        self.migrates = true;
        Some(Action::Migrate(phase))
    }

    fn scale(&mut self, node: &Node) -> Vec<Step> {
        let Some(fields) = self.found.map(node, "scale") else {
            return Vec::new();
        };
        self.found.only(fields, "scale", &[PRODUCER, CONSUMER, COPIER]);
        let mut steps = Vec::new();
        for entry in fields.entries {
            let most = u64::from(MOST_REPLICAS);
            if let Some(replicas) = self.found.number(&entry.value, &entry.key, 0, most) {
                steps.push(Step::Do(Action::Scale {
                    service: entry.key.clone(),
                    replicas: replicas as u16,
                }));
            }
        }
        steps
    }

    /// How long a soak takes, and what it draws from: faults with their weights.
    pub(super) fn soak(&mut self, node: &Node) -> Option<(Duration, Vec<(u32, Fail)>)> {
        let fields = self.found.map(node, "soak")?;
        self.found.only(fields, "soak", &["for", "faults"]);
        let length = self.found.needed(fields, "soak", "for");
        let length = length.and_then(|node| self.found.time(node, "for"));
        let nodes = self.found.needed(fields, "soak", "faults")?;
        let mut faults = Vec::new();
        for node in self.found.list(nodes, "faults") {
            let fields = self.found.map(node, "a fault")?;
            let weight = self.found.needed(fields, "a fault of a soak", "weight");
            let weight = weight.and_then(|node| self.found.number(node, "weight", 1, 1000));
            let Some(entry) = fields.get("fail") else {
                self.found
                    .add(Problem::new(fields.at, "a fault of a soak lacks `fail`"));
                continue;
            };
            let fail = self.fail(fields, entry, &["weight"]);
            if let (Some(weight), Some(fail)) = (weight, fail) {
                faults.push((weight as u32, fail));
            }
        }
        if faults.is_empty() {
            self.found
                .add(Problem::new(nodes.at, "a soak needs faults to draw from"));
        }
        Some((length?, faults))
    }
}

/// What serde says of an option, in khd's words where it is an unknown one.
fn option(fault: &str, entry: &Entry, error: &str) -> Problem {
    if !error.starts_with("unknown field") {
        return Problem::new(entry.value.at, format!("{}: {error}", entry.key));
    }
    // unknown field `x`, expected one of `a`, `b`
    let known: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
    let message = format!("{fault} has no option `{}`", entry.key);
    Problem::unknown(entry.at, message, &entry.key, &known)
}
