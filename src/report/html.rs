//! One self-contained page for everybody: the outcome in words, the verdicts, and the run drawn as lanes.
//!
//! The page is made from `html/page.html`, which holds what can be read without scripts; `html/*.js` draw the lanes from
//! the [`Lanes`] that are embedded as JSON. Nothing is loaded: the content security policy forbids it, and allows just
//! this script and this style, by their hashes.

mod words;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::tz::TimeZone;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value, context};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::report::lanes::{Lanes, Partition, Pause};
use crate::report::{Explained, Report, grouped};
use crate::verdicts::Status;

const PAGE: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/style.css");
/// In the order in which they run, as one script.
const SCRIPTS: [&str; 5] = [
    include_str!("html/base.js"),
    include_str!("html/draw.js"),
    include_str!("html/lanes.js"),
    include_str!("html/partitions.js"),
    include_str!("html/hand.js"),
];

/// Renders a report and the lanes of its run as one HTML file.
///
/// # Errors
/// When the lanes cannot be serialized or the page not be made, which would be a defect of khd.
pub fn render(report: &Report, lanes: &Lanes) -> anyhow::Result<String> {
    let script = SCRIPTS.concat();
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_template("page", PAGE).context("cannot read the page")?;
    let verdicts: Vec<Row<'_>> = report.verdicts.iter().map(Row::of).collect();
    let page = context! {
        policy => policy(&script),
        style => Value::from_safe_string(STYLE.to_owned()),
        script => Value::from_safe_string(script),
        lanes => Value::from_safe_string(embedded(lanes)?),
        run => report.run.as_str(),
        started => lanes.started.to_zoned(TimeZone::system()).strftime("%-d %B %Y, %H:%M:%S %Z").to_string(),
        started_iso => lanes.started.to_string(),
        took => words::duration(lanes.duration_ms),
        command => lanes.command.as_str(),
        status => Value::from(Serde(Mark::of(report.status))),
        sentence => report.sentence.as_str(),
        tally => words::tally(&report.verdicts),
        facts => Value::from(Serde(words::facts(report, lanes))),
        faults => report.faults.iter().map(|fault| context! {
            words => fault.words(),
            times => fault.times(),
            proof => fault.proof.as_deref().unwrap_or("never proven"),
        }).collect::<Vec<_>>(),
        verdicts => Value::from(Serde(&verdicts)),
        pauses => lanes.pauses.as_ref().map(|pauses| context! {
            from => words::moment(pauses.from_ms),
            to => words::moment(pauses.to_ms),
            rows => Value::from(Serde(lanes.partitions.iter().map(PauseRow::of).collect::<Vec<_>>())),
        }),
        feed => lanes.feed.iter().map(|told| context! {
            at => words::moment(told.at_ms),
            at_ms => told.at_ms,
            subject => Value::from(Serde(told.subject)),
            text => told.text.as_str(),
        }).collect::<Vec<_>>(),
    };
    let template = environment.get_template("page").context("cannot find the page")?;
    template.render(page).context("cannot make the page")
}

/// The content security policy: this script, this style, and no requests.
fn policy(script: &str) -> String {
    let hash = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)));
    format!(
        "default-src 'none'; script-src {}; style-src {}; img-src data:; base-uri 'none'; form-action 'none'",
        hash(script),
        hash(STYLE)
    )
}

/// JSON that may stand inside a script element: no character in it can end the element or begin a comment.
fn embedded(value: &impl Serialize) -> anyhow::Result<String> {
    let json = serde_json::to_string(value).context("cannot serialize the lanes")?;
    let mut safe = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            // Outside of strings JSON has none of these.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => safe.push_str(&format!("\\u{:04x}", character as u32)),
            other => safe.push(other),
        }
    }
    Ok(safe)
}

/// How a status looks: a class for its colour, and a glyph and a word, since colour alone tells not everybody.
#[derive(Serialize)]
struct Mark {
    class: &'static str,
    glyph: &'static str,
    word: String,
}

impl Mark {
    fn of(status: Status) -> Self {
        let (class, glyph) = match status {
            Status::Passed => ("good", "✓"),
            Status::Skipped => ("none", "–"),
            Status::NoData | Status::Hung | Status::Unknown => ("doubt", "?"),
            Status::Failed => ("bad", "✗"),
        };
        Self {
            class,
            glyph,
            word: status.word().replace('-', " "),
        }
    }
}

/// A verdict as a row of the table.
#[derive(Serialize)]
struct Row<'a> {
    mark: Mark,
    id: &'a str,
    meaning: &'a str,
    summary: &'a str,
    limit: Option<String>,
    measured: Vec<(String, String)>,
}

impl<'a> Row<'a> {
    fn of(verdict: &'a Explained) -> Self {
        let limit = verdict.limit();
        Self {
            mark: Mark::of(verdict.status),
            id: &verdict.id,
            meaning: verdict.meaning,
            // The limit has a column of its own.
            summary: match &limit {
                Some(limit) => verdict
                    .summary
                    .strip_suffix(&format!(" (limit {limit})"))
                    .unwrap_or(&verdict.summary),
                None => &verdict.summary,
            },
            limit,
            measured: words::measured(&verdict.measured),
        }
    }
}

/// The longest pauses of a partition, for the table.
#[derive(Serialize)]
struct PauseRow {
    partition: String,
    unacknowledged: Longest,
    undelivered: Longest,
}

#[derive(Serialize)]
struct Longest {
    length: String,
    at: String,
}

impl PauseRow {
    fn of(lane: &Partition) -> Self {
        Self {
            partition: format!("{}/{}", lane.topic, lane.partition),
            unacknowledged: Longest::of(&lane.unacknowledged),
            undelivered: Longest::of(&lane.undelivered),
        }
    }
}

impl Longest {
    fn of(pauses: &[Pause]) -> Self {
        let longest = pauses
            .iter()
            .reduce(|longest, next| if next.1 > longest.1 { next } else { longest });
        Self {
            length: longest.map_or_else(|| "≤ 250 ms".into(), |pause| format!("{} ms", grouped(pause.1))),
            at: longest.map_or_else(String::new, |pause| words::moment(pause.0)),
        }
    }
}

#[cfg(test)]
mod tests;
