//! YAML in which every node knows its place in the file, so that whatever is wrong can be pointed at.

use std::fmt;

use saphyr::{LoadableYamlNode as _, MarkedYaml, Scalar, YamlData};
use serde_json::{Map, Value};

use super::problem::Problem;

/// A place in a file, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl Place {
    /// Where a file begins.
    pub const START: Self = Self { line: 1, column: 1 };

    fn of(marker: &saphyr::Marker) -> Self {
        Self {
            line: marker.line().max(1),
            column: marker.col() + 1,
        }
    }
}

/// A value and its place.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where it begins.
    pub at: Place,
    /// What it is.
    pub content: Content,
}

/// What a node is.
#[derive(Debug, Clone)]
pub enum Content {
    /// Text, a number, yes or no, or nothing.
    Scalar(Value),
    /// A list.
    List(Vec<Node>),
    /// Keys with values, in the file's order.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub at: Place,
    /// The value.
    pub value: Node,
}

impl Node {
    /// Reads a file that holds one document.
    pub fn read(text: &str) -> Result<Self, Problem> {
        let documents = MarkedYaml::load_from_str(text)
            .map_err(|error| Problem::new(Place::of(error.marker()), format!("this is no YAML: {}", error.info())))?;
        match documents.as_slice() {
            [] => Err(Problem::new(Place::START, "there is nothing in it")),
            [one] => Self::of(one),
            [_, second, ..] => {
                let at = Place::of(&second.span.start);
                Err(Problem::new(
                    at,
                    "a second document begins here; a file holds one drill",
                ))
            }
        }
    }

    fn of(yaml: &MarkedYaml<'_>) -> Result<Self, Problem> {
        let at = Place::of(&yaml.span.start);
        let content = match &yaml.data {
            YamlData::Value(scalar) => Content::Scalar(match scalar {
                Scalar::Null => Value::Null,
                Scalar::Boolean(value) => (*value).into(),
                Scalar::Integer(value) => (*value).into(),
                Scalar::FloatingPoint(value) => value.into_inner().into(),
                Scalar::String(text) => text.as_ref().into(),
            }),
            YamlData::Sequence(items) => Content::List(items.iter().map(Self::of).collect::<Result<_, _>>()?),
            YamlData::Mapping(entries) => {
                let entry = |(key, value): (&MarkedYaml<'_>, &MarkedYaml<'_>)| {
                    let (key, value) = (Self::of(key)?, Self::of(value)?);
                    match key.word() {
                        Some(word) => Ok(Entry {
                            key: word,
                            at: key.at,
                            value,
                        }),
                        None => Err(Problem::new(key.at, "a key has to be a word")),
                    }
                };
                Content::Map(entries.iter().map(entry).collect::<Result<_, _>>()?)
            }
            _ => {
                return Err(Problem::new(
                    at,
                    "this cannot be read: write plain words, numbers, lists and maps",
                ));
            }
        };
        Ok(Self { at, content })
    }

    /// It as one word or text, where it is no list, no map and not nothing.
    pub fn word(&self) -> Option<String> {
        match &self.content {
            Content::Scalar(Value::String(text)) => Some(text.clone()),
            Content::Scalar(Value::Null) | Content::List(_) | Content::Map(_) => None,
            Content::Scalar(value) => Some(value.to_string()),
        }
    }

    /// It without places.
    pub fn value(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => items.iter().map(Self::value).collect(),
            Content::Map(entries) => {
                let entries = entries.iter().map(|entry| (entry.key.clone(), entry.value.value()));
                Value::Object(entries.collect::<Map<_, _>>())
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}
