//! The fields of a map, and their kinds: what is none of them, or of another kind, is a problem at its place.

use std::time::Duration;

use super::node::{Content, Entry, Node, Place};
use super::problem::Problem;
use crate::settings::duration;

/// All that was found to be wrong so far.
#[derive(Debug, Default)]
pub(super) struct Found(pub(super) Vec<Problem>);

/// The fields of a map.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'n> {
    /// Where the map begins.
    pub(super) at: Place,
    /// Its entries.
    pub(super) entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    pub(super) fn get(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

impl Found {
    pub(super) fn add(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// A result's value, or its problem kept.
    pub(super) fn keep<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.add(problem)).ok()
    }

    /// The entries of a map.
    pub(super) fn map<'n>(&mut self, node: &'n Node, what: &str) -> Option<Fields<'n>> {
        match &node.content {
            Content::Map(entries) => Some(Fields { at: node.at, entries }),
            _ => {
                self.add(Problem::new(
                    node.at,
                    format!("{what} has to be a map of keys and values"),
                ));
                None
            }
        }
    }

    /// Points at each key that is none of these.
    pub(super) fn only(&mut self, fields: Fields<'_>, what: &str, known: &[&str]) {
        for entry in fields
            .entries
            .iter()
            .filter(|entry| !known.contains(&entry.key.as_str()))
        {
            let message = format!("{what} has no key `{}`", entry.key);
            self.add(Problem::unknown(entry.at, message, &entry.key, known));
        }
    }

    pub(super) fn list<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.content {
            Content::List(items) => items,
            _ => {
                self.add(Problem::new(node.at, format!("{what} has to be a list")));
                &[]
            }
        }
    }

    pub(super) fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = node
            .word()
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty());
        if text.is_none() {
            self.add(Problem::new(node.at, format!("{what} has to be text")));
        }
        text
    }

    /// A field that must be there.
    pub(super) fn needed<'n>(&mut self, fields: Fields<'n>, what: &str, key: &str) -> Option<&'n Node> {
        let entry = fields.get(key);
        if entry.is_none() {
            self.add(Problem::new(fields.at, format!("{what} lacks `{key}`")));
        }
        entry.map(|entry| &entry.value)
    }

    pub(super) fn time(&mut self, node: &Node, what: &str) -> Option<Duration> {
        let text = self.text(node, what)?;
        self.keep(duration::parse(&text).map_err(|error| Problem::new(node.at, format!("{what}: {error}"))))
    }

    /// A whole number from `least` to `most`.
    pub(super) fn number(&mut self, node: &Node, what: &str, least: u64, most: u64) -> Option<u64> {
        let number = match &node.content {
            Content::Scalar(value) => value.as_u64().filter(|number| (least..=most).contains(number)),
            _ => None,
        };
        if number.is_none() {
            let message = format!("{what} has to be a whole number from {least} to {most}");
            self.add(Problem::new(node.at, message));
        }
        number
    }
}
