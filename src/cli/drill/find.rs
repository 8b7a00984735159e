//! Drills by name, by file, or by tag.

use std::path::Path;

use crate::drill::script::{Script, shipped};
use crate::error::{Expected, nearest};
use crate::settings::Settings;

/// The text of a drill, and what it is called in messages: one that comes with khd by its name, or else a file.
///
/// # Errors
/// When there is none of that name, or the file cannot be read.
pub fn text(named: &str) -> anyhow::Result<(String, String)> {
    if let Some(text) = shipped::text(named) {
        return Ok((format!("{named}.yaml"), text.to_owned()));
    }
    if Path::new(named).is_file() {
        return file(named);
    }
    let names: Vec<&str> = shipped::all().into_iter().map(|(name, _)| name).collect();
    let hint = match nearest(named, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? `khd drill list` shows all"),
        None => "`khd drill list` shows those that come with khd; a file is named with its path".into(),
    };
    Err(
        Expected::usage(format!("there is no drill `{named}`, and no such file"))
            .hint(hint)
            .into(),
    )
}

/// The text of a file.
///
/// # Errors
/// When it cannot be read.
pub fn file(path: &str) -> anyhow::Result<(String, String)> {
    let text =
        std::fs::read_to_string(path).map_err(|error| Expected::usage(format!("cannot read {path}: {error}")))?;
    Ok((path.to_owned(), text))
}

/// What is to be run.
pub struct Found {
    /// The drills.
    pub scripts: Vec<Script>,
    /// Those of a tag that want a lab that cannot be, with these settings: each with the reason.
    pub unfit: Vec<(String, String)>,
}

/// The drills of these names, and those of a tag that come with khd, each once.
///
/// # Errors
/// When there is none of a name or of the tag, or all that is wrong with one that is named.
pub fn scripts(names: &[String], tag: Option<&str>, base: &Settings) -> anyhow::Result<Found> {
    let (mut scripts, mut unfit): (Vec<Script>, Vec<(String, String)>) = (Vec::new(), Vec::new());
    for name in names {
        let (file, text) = text(name)?;
        scripts.push(Script::read(&file, &text, base).map_err(Expected::from)?);
    }
    if let Some(tag) = tag {
        for known in tagged(tag)? {
            if scripts.iter().all(|script| script.name != known.name) {
                let text = shipped::text(&known.name).unwrap_or_default();
                let file = format!("{}.yaml", known.name);
                match Script::read(&file, text, base).map_err(Expected::from) {
                    Ok(script) => scripts.push(script),
                    // It is right by itself, as all are that come with khd.
                    Err(error) => unfit.push((known.name, error.message)),
                }
            }
        }
    }
    Ok(Found { scripts, unfit })
}

/// Those of a tag that come with khd.
///
/// # Errors
/// When there is none.
pub fn tagged(tag: &str) -> Result<Vec<Script>, Expected> {
    let all = shipped::scripts()?;
    let mut tags: Vec<&str> = all.iter().flat_map(|script| &script.tags).map(String::as_str).collect();
    tags.sort_unstable();
    tags.dedup();
    if !tags.contains(&tag) {
        let known = format!("tags: {}", tags.join(", "));
        let hint = nearest(tag, tags.iter().copied());
        let hint = hint.map_or_else(|| known.clone(), |near| format!("did you mean `{near}`? ({known})"));
        return Err(Expected::usage(format!("no drill is tagged `{tag}`")).hint(hint));
    }
    Ok(all.into_iter().filter(|script| script.is_tagged(tag)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Flavor, KAFKA_3};

    #[test]
    fn a_drill_of_a_tag_that_does_not_go_with_the_settings_stops_no_other() {
        let mut base = Settings {
            flavor: Flavor::KraftSeparate,
            ..Settings::default()
        };
        base.kafka.version = Some(KAFKA_3.into());
        let found = scripts(&[], Some("client"), &base).unwrap();
        let unfit: Vec<&str> = found.unfit.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(unfit, ["group-protocol-consumer"]);
        assert!(found.unfit[0].1.contains("Kafka 4"), "{}", found.unfit[0].1);
        assert!(found.scripts.iter().any(|script| script.name == "consumer-kill"));
        // By its name it is wanted.
        assert!(scripts(&["group-protocol-consumer".into()], None, &base).is_err());
    }
}
