//! The drills that come with khd, embedded in the binary.

use include_dir::{Dir, include_dir};

use super::Script;
use crate::error::Expected;
use crate::settings::Settings;

static FOLDER: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/drills");

/// Name and text of each, by name.
pub fn all() -> Vec<(&'static str, &'static str)> {
    let files = FOLDER.files().filter_map(|file| {
        let name = file.path().file_name()?.to_str()?.strip_suffix(".yaml")?;
        Some((name, file.contents_utf8()?))
    });
    let mut all: Vec<_> = files.collect();
    all.sort_unstable();
    all
}

/// The text of the one of that name.
pub fn text(name: &str) -> Option<&'static str> {
    all()
        .into_iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| text)
}

/// All of them, read for a lab of khd's own settings.
///
/// # Errors
/// When one of them cannot be read, which would be a defect of khd: none is left out in silence.
pub fn scripts() -> Result<Vec<Script>, Expected> {
    let read = |(name, text): (&str, &str)| {
        let script = Script::read(&format!("{name}.yaml"), text, &Settings::default());
        script.map_err(Expected::from)
    };
    all().into_iter().map(read).collect()
}
