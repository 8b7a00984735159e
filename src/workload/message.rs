//! What a message looks like: `<unix ms>:<producer id>:<sequence>`, padded up to the size that was asked for.
//!
//! The sequence is dense for each producer and partition and starts at 0, so that a set of messages is a set of
//! ranges. Values of anyone else do not parse, and are simply not khd's.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// A message's identity, as its value tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// When its send began: milliseconds since the Unix epoch, by the producer's clock.
    pub begun: i64,
    /// The producer's id, unique for each process.
    pub producer: &'a str,
    /// Its place among the producer's messages to the same partition.
    pub sequence: u64,
}

impl<'a> Message<'a> {
    /// Writes the value into `buffer`, padded with `:` and dots to `size` bytes; a longer value stays as it is.
    pub fn write(&self, buffer: &mut Vec<u8>, size: usize) {
        buffer.clear();
        // Writing into a vector cannot fail.
        let _ = write!(buffer, "{}:{}:{}", self.begun, self.producer, self.sequence);
        if buffer.len() < size {
            buffer.push(b':');
            buffer.resize(size, b'.');
        }
    }

    /// Reads a value; `None` when it is not one of khd's.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut parts = value.splitn(4, |byte| *byte == b':');
        let begun = i64::try_from(number(parts.next()?)?).ok()?;
        let producer = std::str::from_utf8(parts.next()?).ok()?;
        let sequence = number(parts.next()?)?;
        let padded = parts.next().unwrap_or_default().iter().all(|byte| *byte == b'.');
        (is_id(producer) && padded).then_some(Self {
            begun,
            producer,
            sequence,
        })
    }
}

/// Digits only: `parse` alone would take a sign too.
fn number(digits: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok()?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
    digits.parse().ok()
}

fn is_id(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(is_id_byte)
}

fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

/// Milliseconds since the Unix epoch, now.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as i64
}

/// An id that no other process has: the host's name and the time, in base 36.
pub fn process_id(host: &str) -> String {
    let host: String = host
        .chars()
        .map(|c| if c.is_ascii() && is_id_byte(c as u8) { c } else { '-' })
        .collect();
    format!("{host}-{}", base36(now_ms() as u64))
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit((number % 36) as u32, 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

/// The host's name; in a container, the container's.
pub fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            begun in 0..i64::MAX,
            producer in "[a-zA-Z0-9._-]{1,40}",
            sequence: u64,
            size in 0..300usize,
        ) {
            let message = Message { begun, producer: &producer, sequence };
            let mut value = Vec::new();
            message.write(&mut value, size);
            prop_assert!(value.len() >= size);
            prop_assert_eq!(Message::parse(&value), Some(message));
            let mut bare = Vec::new();
            message.write(&mut bare, 0);
            prop_assert_eq!(value.len(), size.max(bare.len()));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(value in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Message::parse(&value);
        }
    }

    #[test]
    fn values_of_strangers_are_not_ours() {
        for stranger in [
            "",
            "hello",
            "1:2",
            "1::3",
            "+1:a:2",
            "1:a:-2",
            "1:a b:2",
            "1:a:2:payload",
            "1767777777777:6f1c0e0e-5d1b-4e7e-9a55-27f9a1b0c0de",
            "99999999999999999999:a:1",
        ] {
            assert_eq!(Message::parse(stranger.as_bytes()), None, "{stranger}");
        }
    }

    #[test]
    fn ids_never_hold_the_separator() {
        let id = process_id("a:b c");
        assert!(id.starts_with("a-b-c-") && is_id(&id), "{id}");
        assert_eq!(base36(0), "0");
        assert_eq!(base36(36 * 36 + 35), "10z");
    }
}
