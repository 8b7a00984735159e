//! Durations as people write them: `10ms`, `20s`, `1m 30s`.

use std::time::Duration;

use jiff::SignedDuration;
use jiff::fmt::friendly::SpanPrinter;
use serde::{Deserialize, Deserializer, Serializer};

/// Reads a duration such as `10ms`, `20s` or `1m 30s`; a bare `0` is zero.
///
/// # Errors
/// Says what is allowed when the text is not a duration, or is negative.
pub fn parse(text: &str) -> Result<Duration, String> {
    if text.trim() == "0" {
        return Ok(Duration::ZERO);
    }
    let wrong = || format!("`{text}` is not a duration (write it like 10ms, 20s or 1m 30s)");
    let duration: SignedDuration = text.trim().parse().map_err(|_| wrong())?;
    Duration::try_from(duration).map_err(|_| wrong())
}

/// Writes a duration so that [`parse`] reads it again.
pub fn format(duration: Duration) -> String {
    let signed = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    SpanPrinter::new().duration_to_string(&signed)
}

/// Serializes a duration as text.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

/// Deserializes a duration from text.
///
/// # Errors
/// Those of [`parse`].
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// The same for a duration that may be missing.
pub mod option {
    use super::{Deserialize, Deserializer, Duration, Serializer};

    /// Serializes a duration as text, or nothing.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Deserializes a duration from text, or nothing.
    ///
    /// # Errors
    /// Those of [`parse`](super::parse).
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Option::<String>::deserialize(deserializer)?
            .map(|text| super::parse(&text).map_err(serde::de::Error::custom))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them_and_written_back() {
        for (text, millis) in [
            ("10ms", 10),
            ("20s", 20_000),
            ("1m 30s", 90_000),
            ("0", 0),
            ("1.5s", 1500),
        ] {
            let duration = parse(text).unwrap();
            assert_eq!(duration, Duration::from_millis(millis));
            assert_eq!(parse(&format(duration)), Ok(duration), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_an_example() {
        for text in ["soon", "-1s", "20"] {
            assert!(parse(text).unwrap_err().contains("20s"), "{text}");
        }
    }
}
