//! `khd fail --list`.

use crate::cli::settings;
use crate::cli::terminal::table;
use crate::error::Exit;
use crate::faults::journal::Journal;

/// Lists the faults in place, as the lab's journal has them; needs no engine.
pub fn run(settings: &settings::Args, json: bool) -> anyhow::Result<Exit> {
    let state = settings.state()?;
    let lab = state.lab(&settings.name_only(&state)?.settings.project);
    let entries = Journal::at(lab.journal()).entries()?;
    if json {
        println!("{}", serde_json::to_string_pretty(&entries)?);
    } else if entries.is_empty() {
        println!("no fault is in place");
    } else {
        let rows = entries.iter().map(|entry| {
            let options = entry.how.options().into_iter();
            let options: Vec<String> = options.map(|(name, value)| format!("{name}={value}")).collect();
            vec![
                entry.how.name().to_owned(),
                entry.names(),
                options.join(" "),
                entry.since.to_string(),
                entry.run.clone(),
            ]
        });
        print!("{}", table(&["FAULT", "TARGETS", "OPTIONS", "SINCE", "RUN"], rows));
    }
    Ok(Exit::Passed)
}
