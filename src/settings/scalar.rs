//! Values that YAML reads as numbers or booleans and that are words all the same: `acks: 1`, `log.retention.ms: 1000`.

use std::fmt;

use indexmap::IndexMap;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::settings::{Acks, EachImage, ImageSet, Images, Properties};

/// A word, however YAML typed it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Scalar {
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

/// Deserializes properties, each value of which may be a number or a boolean.
pub(crate) fn properties<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Properties, D::Error> {
    let properties = IndexMap::<String, Scalar>::deserialize(deserializer)?;
    Ok(properties
        .into_iter()
        .map(|(name, value)| (name, value.to_string()))
        .collect())
}

impl TryFrom<Scalar> for Acks {
    type Error = String;

    fn try_from(scalar: Scalar) -> Result<Self, String> {
        match scalar.to_string().as_str() {
            "all" | "-1" => Ok(Self::All),
            "1" => Ok(Self::One),
            "0" => Ok(Self::Zero),
            other => Err(format!("`{other}` is no value for acks (all, 1 or 0)")),
        }
    }
}

// By hand, because an untagged enum would only say that "no variant matched".
impl<'de> Deserialize<'de> for Images {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ImagesVisitor;

        impl<'de> Visitor<'de> for ImagesVisitor {
            type Value = Images;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`khd`, `confluent`, or image references under `kafka`, `zookeeper` and `khd`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Images, E> {
                match text {
                    "khd" => Ok(Images::Set(ImageSet::Khd)),
                    "confluent" => Ok(Images::Set(ImageSet::Confluent)),
                    _ => Err(E::unknown_variant(text, &["khd", "confluent"])),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Images, A::Error> {
                EachImage::deserialize(MapAccessDeserializer::new(map)).map(Images::Each)
            }
        }

        deserializer.deserialize_any(ImagesVisitor)
    }
}
