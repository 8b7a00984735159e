//! `khd drill new`.

use std::io::{ErrorKind, Write as _};
use std::path::Path;

use anyhow::Context as _;

use crate::drill::script::{NAME_RULE, shipped};
use crate::error::{Exit, Expected};

/// Begin a drill of your own: writes a file with a bit of everything
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  khd drill new my-drill      writes my-drill.yaml")]
pub struct Args {
    /// Its name; the file is called NAME.yaml
    name: String,
}

const TEMPLATE: &str = include_str!("template.yaml");

pub fn run(args: Args) -> anyhow::Result<Exit> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !args.name.starts_with(|c: char| c.is_ascii_lowercase()) || !args.name.chars().all(legal) {
        return Err(Expected::usage(format!("`{}` is no name for a drill", args.name))
            .hint(NAME_RULE)
            .into());
    }
    if shipped::text(&args.name).is_some() {
        let message = format!("a drill `{}` comes with khd", args.name);
        return Err(Expected::usage(message)
            .hint("take another name; khd drill show prints that one")
            .into());
    }
    let path = format!("{}.yaml", args.name);
    let text = TEMPLATE.replace("NAME", &args.name);
    let file = std::fs::File::create_new(Path::new(&path));
    let mut file = match file {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(Expected::usage(format!("{path} is there already, and is left as it is")).into());
        }
        file => file.with_context(|| format!("cannot create {path}"))?,
    };
    file.write_all(text.as_bytes())
        .with_context(|| format!("cannot write {path}"))?;
    println!("{path}");
    tell!("check it with khd drill lint {path}, run it with khd drill run {path}");
    Ok(Exit::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::script::Script;
    use crate::settings::Settings;

    #[test]
    fn the_template_is_a_drill() {
        let text = TEMPLATE.replace("NAME", "my-drill");
        let script =
            Script::read("my-drill.yaml", &text, &Settings::default()).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(script.name, "my-drill");
    }
}
