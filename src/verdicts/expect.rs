//! What is expected of a measured value: `gap<5s`, `availability>0.99`, `lost-write>0`.

use crate::error::nearest;
use crate::settings::duration;
use crate::timeline::limits::{Bound, Op};
use crate::verdicts::{Measure, checks};

const FORM: &str = "write it as CHECK<LIMIT, with one of < <= > >= =, such as 'gap<5s'";

/// Reads an expectation: a check's id, a sign, and a limit in the unit of what that check measures.
///
/// # Errors
/// Says what is wrong with it and what is allowed.
pub fn parse(text: &str) -> Result<(String, Bound), String> {
    let split = Op::ALL
        .into_iter()
        .filter_map(|op| Some((text.find(op.sign())?, op)))
        .min_by_key(|(at, op)| (*at, std::cmp::Reverse(op.sign().len())));
    let Some((at, op)) = split else {
        return Err(FORM.into());
    };
    let (id, limit) = (text[..at].trim(), text[at + op.sign().len()..].trim());
    if id.is_empty() || limit.is_empty() || limit.starts_with(['<', '>', '=']) {
        return Err(FORM.into());
    }
    let measuring = || checks::ALL.into_iter().filter(|check| check.measure().is_some());
    let Some(measure) = measuring()
        .find(|check| check.id() == id)
        .and_then(|check| check.measure())
    else {
        let ids: Vec<&str> = measuring().map(|check| check.id()).collect();
        let what = match checks::ALL.into_iter().any(|check| check.id() == id) {
            true => format!("{id} measures no value that could have a limit"),
            false => format!("there is no check `{id}`"),
        };
        let meant =
            nearest(id, ids.iter().copied()).map_or_else(String::new, |near| format!(" (did you mean {near}?)"));
        return Err(format!("{what}{meant}; those that do: {}", ids.join(", ")));
    };
    let value = measure.parse(limit)?;
    let asked = true;
    Ok((id.to_owned(), Bound { op, value, asked }))
}

impl Measure {
    /// Reads a limit of it.
    fn parse(self, text: &str) -> Result<f64, String> {
        let number = || {
            text.parse::<f64>()
                .ok()
                .filter(|value| value.is_finite() && *value >= 0.0)
        };
        match self {
            Self::Time => duration::parse(text).map(|limit| limit.as_secs_f64() * 1000.0),
            Self::Count => number()
                .filter(|value| value.fract() == 0.0)
                .ok_or_else(|| format!("`{text}` is not a whole number")),
            Self::Share => match text.strip_suffix('%') {
                Some(percent) => percent.trim().parse::<f64>().ok().map(|percent| percent / 100.0),
                None => number(),
            }
            .filter(|share| (0.0..=1.0).contains(share))
            .ok_or_else(|| format!("`{text}` is not a share from 0 to 1, or from 0% to 100%")),
        }
    }

    /// A value of it, as people read it.
    pub fn told(self, value: f64) -> String {
        match self {
            Self::Time if value < 1000.0 => format!("{value:.0} ms"),
            Self::Time => format!("{:.1} s", value / 1000.0),
            Self::Count => format!("{value:.0}"),
            Self::Share => format!("{:.2} %", value * 100.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_in_the_unit_of_its_check() {
        for (text, id, op, value) in [
            ("gap<5s", "gap", Op::Less, 5_000.0),
            ("gap <= 1m 30s", "gap", Op::AtMost, 90_000.0),
            ("availability>0.99", "availability", Op::Greater, 0.99),
            ("availability>=99%", "availability", Op::AtLeast, 0.99),
            ("lost-write=2000", "lost-write", Op::Equal, 2_000.0),
            ("progress>=100", "progress", Op::AtLeast, 100.0),
        ] {
            let asked = true;
            assert_eq!(parse(text), Ok((id.to_owned(), Bound { op, value, asked })), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_is_allowed() {
        for (text, says) in [
            ("gap", "write it as"),
            ("gpa<5s", "did you mean gap?"),
            ("gap<5", "is not a duration"),
            ("one-controller<1", "measures no value"),
            ("gap==5s", "write it as"),
            ("<5s", "write it as"),
            ("availability>99", "is not a share"),
            ("lost-write>0.5", "is not a whole number"),
            ("lost-write>-1", "is not a whole number"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
