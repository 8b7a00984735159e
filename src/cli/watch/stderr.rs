//! stderr, which the view and everybody who says something share.

use std::fmt::Arguments;
use std::io::{IsTerminal as _, Stderr, Write as _};
use std::sync::{Mutex, MutexGuard, Once, PoisonError, TryLockError};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::cli::watch::draw;
use crate::cli::watch::painter::Painter;
use crate::live::screen::Model;

/// The view, while there is one. Whoever writes to stderr holds this, so that nobody writes into the view.
static VIEW: Mutex<Option<Painter<Stderr>>> = Mutex::new(None);

/// Lines that the view leaves to what is said above it.
const ABOVE: u16 = 3;
/// In fewer columns there is no view.
const NARROWEST: u16 = 20;

fn view() -> MutexGuard<'static, Option<Painter<Stderr>>> {
    VIEW.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says a line on stderr, above the view where there is one.
///
/// A reader that went away (`2>&1 | tee log`, interrupted) must not end khd halfway.
pub fn say(text: Arguments<'_>) {
    let _ = match view().as_mut() {
        Some(view) => view.above(&text.to_string()),
        None => writeln!(std::io::stderr(), "{text}"),
    };
}

/// Prepares the view, and says whether there can be one: on a terminal that can move its cursor, in the foreground.
pub fn raise() -> bool {
    static HOOK: Once = Once::new();
    let able = std::env::var_os("TERM").is_some_and(|name| name != "dumb" && !name.is_empty());
    if !able || !std::io::stderr().is_terminal() || !in_foreground() {
        return false;
    }
    *view() = Some(Painter::new(std::io::stderr()));
    HOOK.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // The panic may be this thread's while it paints.
            let held = match VIEW.try_lock() {
                Ok(view) => Some(view),
                Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            };
            take_down(held.and_then(|mut view| view.take()));
            told(panic);
        }));
    });
    true
}

/// Draws the model, as large as the terminal allows.
pub fn paint(model: &Model) {
    let mut held = view();
    let Some(view) = held.as_mut() else { return };
    let Ok(size) = rustix::termios::tcgetwinsize(std::io::stderr()) else {
        return;
    };
    let room = size.ws_row.saturating_sub(ABOVE.max(size.ws_row / 4));
    // A character in the last column would leave the cursor between two lines.
    let width = size.ws_col.saturating_sub(1);
    let height = if width < NARROWEST || room == 0 {
        0
    } else {
        draw::height(model, width, room)
    };
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    draw::draw(model, buffer.area, &mut buffer);
    // A terminal that is gone has nobody to tell.
    let _ = view.paint(&buffer, (size.ws_col, size.ws_row));
}

/// Takes the view away for good; what was said above it stays.
pub fn lower() {
    take_down(view().take());
}

fn take_down(view: Option<Painter<Stderr>>) {
    if let Some(mut view) = view {
        let _ = view.take_down();
    }
}

/// Whether the terminal listens to this process; one in the background must not paint over others.
fn in_foreground() -> bool {
    match rustix::termios::tcgetpgrp(std::io::stderr()) {
        Ok(group) => group == rustix::process::getpgrp(),
        // A terminal that controls nobody has no foreground.
        Err(_) => true,
    }
}
