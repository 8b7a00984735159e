//! The lines of a history, as they are written.

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// No offset of any log is so great.
const LIMIT: i64 = 1 << 60;

/// One operation. Times are seconds, from whenever.
#[derive(Debug)]
pub enum Line {
    /// A message was sent.
    Send(Send),
    /// A member asked for messages and got some.
    Poll(Poll),
    /// Partitions were given to a member, beside those it has.
    Assign(Rebalance),
    /// Partitions were taken from a member.
    Revoke(Rebalance),
    /// A member committed.
    Commit(Commit),
    /// A part of a partition's log was finally read.
    Read(Read),
}

impl Line {
    /// Reads a line: once for its kind, then for the rest. To have serde look for the kind would make it keep every line
    /// in pieces first.
    ///
    /// # Errors
    /// When it is not one JSON object with all that its kind needs.
    pub fn parse(line: &[u8]) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Kind<'a> {
            #[serde(borrow)]
            op: Cow<'a, str>,
        }

        if !line.trim_ascii_start().starts_with(b"{") {
            // serde would take a list of a line's fields for the line.
            return Err(serde_json::Error::custom("it is no JSON object"));
        }
        let kind: Kind<'_> = serde_json::from_slice(line)?;
        match &*kind.op {
            "send" => serde_json::from_slice(line).map(Self::Send),
            "poll" => serde_json::from_slice(line).map(Self::Poll),
            "assign" => serde_json::from_slice(line).map(Self::Assign),
            "revoke" => serde_json::from_slice(line).map(Self::Revoke),
            "commit" => serde_json::from_slice(line).map(Self::Commit),
            "read" => serde_json::from_slice(line).map(Self::Read),
            other => Err(serde_json::Error::custom(format!(
                "there is no op `{other}`; there are send, poll, assign, revoke, commit and read"
            ))),
        }
    }
}

/// A member asked for messages and got some.
#[derive(Debug, Deserialize)]
pub struct Poll {
    /// The member.
    pub process: Text,
    /// When it asked.
    pub start: f64,
    /// When it got them.
    pub end: f64,
    /// What it got, in this order.
    pub records: Vec<Record>,
}

/// A member committed.
#[derive(Debug, Deserialize)]
pub struct Commit {
    /// The member.
    pub process: Text,
    /// When.
    pub at: f64,
    /// Topic, partition, and the offset after the last message that is processed.
    pub offsets: Vec<(String, Partition, Offset)>,
}

/// The final read of a part of a partition's log.
#[derive(Debug, Deserialize)]
pub struct Read {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: Partition,
    /// The first offset that was read.
    pub from: Offset,
    /// The offset after the last one that was read.
    pub to: Offset,
    /// The records between them.
    pub records: Vec<Found>,
}

/// A message that was sent.
#[derive(Debug, Deserialize)]
pub struct Send {
    /// Who sent it.
    pub process: Text,
    /// The topic.
    pub topic: String,
    /// The partition; needed when it is acknowledged.
    pub partition: Option<Partition>,
    /// Its value, unique in the topic.
    pub value: Text,
    /// What became of it.
    pub result: Outcome,
    /// The offset that was acknowledged.
    pub offset: Option<i64>,
    /// When the send began.
    pub start: f64,
    /// When its outcome was known.
    pub end: f64,
}

/// How a send ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Acknowledged.
    Ok,
    /// Certainly not written.
    Fail,
    /// Written or not.
    Unknown,
}

/// A record that a poll returned.
#[derive(Debug, Deserialize)]
pub struct Record {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: Partition,
    /// Its offset.
    pub offset: Offset,
    /// Its value.
    pub value: Text,
}

/// A record that the final read found.
#[derive(Debug, Deserialize)]
pub struct Found {
    /// Its offset.
    pub offset: Offset,
    /// Its value.
    pub value: Text,
}

/// Partitions that came or went.
#[derive(Debug, Deserialize)]
pub struct Rebalance {
    /// The member.
    pub process: Text,
    /// When.
    pub at: f64,
    /// Topics and partitions.
    pub partitions: Vec<(String, Partition)>,
}

/// A partition's number.
#[derive(Debug, Clone, Copy)]
pub struct Partition(pub i32);

/// An offset.
#[derive(Debug, Clone, Copy)]
pub struct Offset(pub i64);

/// A name or a value: a text, or a whole number, which is taken for its digits.
#[derive(Debug, PartialEq, Eq)]
pub struct Text(pub String);

impl Offset {
    /// An offset that a log can have.
    pub fn of(number: i64) -> Result<Self, String> {
        if (0..LIMIT).contains(&number) {
            Ok(Self(number))
        } else {
            Err(format!("{number} is no offset"))
        }
    }
}

impl<'de> Deserialize<'de> for Offset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(i64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Partition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match i32::deserialize(deserializer)? {
            number if number >= 0 => Ok(Self(number)),
            number => Err(D::Error::custom(format!("{number} is no partition"))),
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrNumber;

        impl serde::de::Visitor<'_> for TextOrNumber {
            type Value = Text;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a text or a whole number")
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Text, E> {
                Ok(Text(text))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
        }

        deserializer.deserialize_any(TextOrNumber)
    }
}
