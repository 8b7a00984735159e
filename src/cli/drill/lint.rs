//! `khd drill lint`.

use super::find;
use crate::cli::settings;
use crate::drill::script::Script;
use crate::error::Exit;

/// Check files of drills, and point at all that is wrong with them
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  khd drill lint my-drill.yaml\n  khd drill lint drills/*.yaml")]
pub struct Args {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
}

pub fn run(args: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    let base = settings.wanted()?.settings;
    let mut wrong = 0;
    for file in &args.files {
        let (file, text) = find::file(file)?;
        match Script::read(&file, &text, &base) {
            Ok(script) => tell!("{file}: {} is well", script.name),
            Err(problems) => {
                wrong += problems.list.len();
                println!("{problems}");
            }
        }
    }
    if wrong == 0 {
        return Ok(Exit::Passed);
    }
    tell!("{wrong} problem{}", if wrong == 1 { "" } else { "s" });
    Ok(Exit::Usage)
}
