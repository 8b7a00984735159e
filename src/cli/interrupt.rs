//! Ctrl-C and SIGTERM: once to clean up and end, twice to end at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::error::Exit;

/// Cancels the token at the first signal. At the second the process ends, and says what it leaves behind.
///
/// # Errors
/// When signals cannot be listened to.
pub fn on_signal(cleaning: &'static str, left_behind: &'static str) -> anyhow::Result<CancellationToken> {
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
                tell!("khd: ended at once; {left_behind}");
                std::process::exit(Exit::Interrupted as i32);
            }
            cancelled.cancel();
            tell!("khd: interrupted: {cleaning} (once more to end at once)");
        }
    });
    Ok(token)
}
