//! Ctrl-C and SIGTERM: once to clean up and end, twice to end at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::watch::stderr;
use crate::error::Exit;
use crate::faults::journal::Journal;

/// Cancels the token at the first signal. At the second the process ends, and says what it leaves behind just then.
///
/// # Errors
/// When signals cannot be listened to.
pub fn on_signal(
    cleaning: &'static str,
    left_behind: impl Fn() -> String + Send + 'static,
) -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let cancelled = token.clone();
    tokio::spawn(async move {
        for time in 1.. {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if time > 1 {
                stderr::lower();
                tell!("khd: ended at once; {}", left_behind());
                std::process::exit(Exit::Interrupted as i32);
            }
            cancelled.cancel();
            tell!("khd: interrupted: {cleaning} (once more to end at once)");
        }
    });
    Ok(token)
}

/// Which faults are in place, and how to undo them.
pub fn faults_in_place(journal: &Journal) -> String {
    match journal.entries() {
        Ok(entries) if entries.is_empty() => "no fault is in place".into(),
        Ok(entries) => {
            let words: Vec<String> = entries.iter().map(|entry| entry.words()).collect();
            format!(
                "still in place:\n     {}\n     undo it: khd restore",
                words.join("\n     ")
            )
        }
        Err(error) => format!("a fault may be left in place: khd restore ({error:#})"),
    }
}
