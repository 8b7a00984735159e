//! Why a broker refuses what it is asked.

use std::fmt;

use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;

use crate::timeline::event::TopicPartition;

/// Kafka's error, and what the broker says beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The error.
    pub error: ResponseError,
    /// What the broker says, where that is more than the error's name.
    pub message: Option<String>,
}

/// What was refused of some partitions.
pub type Refusals = Vec<(TopicPartition, Refusal)>;

impl Refusal {
    /// The refusal in an answer; nothing where the broker did what it was asked.
    pub(super) fn of(code: i16, message: Option<StrBytes>) -> Option<Self> {
        Some(Self {
            error: ResponseError::try_from_code(code)?,
            message: message
                .map(|message| message.to_string())
                .filter(|text| !text.is_empty()),
        })
    }

    /// Fails when the answer is a refusal.
    pub(super) fn check(code: i16, message: Option<StrBytes>) -> anyhow::Result<()> {
        Self::of(code, message).map_or(Ok(()), |refusal| Err(refusal.into()))
    }
}

/// `NOT_CONTROLLER`, as Kafka's documentation and logs have it.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error {
            ResponseError::Unknown(code) => write!(f, "error code {code}")?,
            known => {
                for (index, letter) in known.to_string().chars().enumerate() {
                    let separator = if index > 0 && letter.is_ascii_uppercase() {
                        "_"
                    } else {
                        ""
                    };
                    write!(f, "{separator}{}", letter.to_ascii_uppercase())?;
                }
            }
        }
        self.message.as_ref().map_or(Ok(()), |message| write!(f, ": {message}"))
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_names_that_kafka_gives_them() {
        let words = |code, message: Option<&'static str>| {
            let refusal = Refusal::of(code, message.map(StrBytes::from_static_str));
            refusal.unwrap().to_string()
        };
        assert_eq!(words(41, None), "NOT_CONTROLLER");
        assert_eq!(words(6, Some("")), "NOT_LEADER_OR_FOLLOWER");
        assert_eq!(
            words(40, Some("Unknown topic config name: a")),
            "INVALID_CONFIG: Unknown topic config name: a"
        );
        assert_eq!(words(9999, None), "error code 9999");
        assert_eq!(Refusal::of(0, None), None);
    }
}
