//! Sizes: read as Compose writes them, shown as people read them.

use anyhow::{Context as _, bail};

/// One MiB in bytes.
pub const MIB: u64 = 1 << 20;
/// One GiB in bytes.
pub const GIB: u64 = 1 << 30;

/// A size as Compose writes it, such as `512m`, in bytes.
///
/// # Errors
/// When it is no size, or one that no machine has.
pub fn bytes(text: &str) -> anyhow::Result<u64> {
    let wrong = || format!("`{text}` is not a size (write it like 512m or 1g)");
    let lower = text.trim().to_ascii_lowercase();
    let unit_at = lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len());
    let (number, unit) = lower.split_at(unit_at);
    let factor = match unit {
        "" | "b" => 1,
        "k" | "kb" => 1024,
        "m" | "mb" => MIB,
        "g" | "gb" => GIB,
        _ => bail!(wrong()),
    };
    let number: u64 = number.parse().with_context(wrong)?;
    let bytes = number.checked_mul(factor).filter(|bytes| i64::try_from(*bytes).is_ok());
    bytes.with_context(|| format!("`{text}` is too large"))
}

/// A size for people: `1.5 GiB`, `360 MiB`.
pub fn show(bytes: u64) -> String {
    if bytes >= GIB {
        format!("{:.1} GiB", bytes as f64 / GIB as f64)
    } else {
        format!("{} MiB", bytes / MIB)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_compose_writes_them() {
        for (text, expected) in [
            ("512m", 512 * MIB),
            ("1g", GIB),
            ("2GB", 2 * GIB),
            ("64k", 65536),
            ("7", 7),
        ] {
            assert_eq!(bytes(text).unwrap(), expected, "{text}");
        }
        for text in ["much", "1t", "", "99999999999999g"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_as_people_read_them() {
        assert_eq!(show(GIB * 3 / 2), "1.5 GiB");
        assert_eq!(show(360 * MIB), "360 MiB");
    }
}
